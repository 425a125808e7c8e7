import { join } from 'node:path'

/** Where the docker CLI finds a master, and whose rights whoever may open the socket has there. */
export interface DockerSocket {
  readonly path: string
  readonly uid: string
}

/** What the kernel keeps of a socket's name: 108 bytes on Linux, 104 on macOS, the last one a zero. */
const pathBytesMax = 103

/** The socket in a master's directory, or undefined where its name would be too long for the kernel. */
export function dockerSocketIn(directory: string, uid: string): DockerSocket | undefined {
  const path = join(directory, 'docker.sock')
  const isPossible = process.platform !== 'win32' && Buffer.byteLength(path) <= pathBytesMax
  return isPossible ? { path, uid } : undefined
}

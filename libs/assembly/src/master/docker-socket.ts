import { hostname } from 'node:os'
import { join } from 'node:path'
import type { MasterApi } from '@conclave/actors'
import { dockerFace, dockerServerOptions } from '@conclave/faces-docker'
import type { FaceListenerOptions } from './face-listener.ts'

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

/** The face behind a socket, as a listener takes it. */
export const dockerListener = (
  master: MasterApi,
  { path, uid }: DockerSocket,
): Pick<FaceListenerOptions, 'face' | 'plugin' | 'server' | 'path' | 'requestSeconds'> => ({
  face: 'docker',
  plugin: dockerFace({ master, principal: { uid }, hostname: hostname() }),
  server: dockerServerOptions,
  path,
  requestSeconds: 0,
})

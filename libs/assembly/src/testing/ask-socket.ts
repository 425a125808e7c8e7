import { request } from 'node:http'
import { utf8Text } from '@conclave/kernel'

export interface SocketAnswer {
  readonly status: number
  /** Parsed JSON, or an empty text. */
  readonly body: unknown
}

/** One request to whoever listens at a socket of this machine, as a docker client makes it. */
export function askSocket(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<SocketAnswer> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const asked = request({ socketPath, method, path, headers }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () => {
        const text = utf8Text(Buffer.concat(pieces))
        const status = response.statusCode ?? 0
        resolve({ status, body: text === '' ? '' : (JSON.parse(text) as unknown) })
      })
    })
    asked.on('error', reject)
    asked.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

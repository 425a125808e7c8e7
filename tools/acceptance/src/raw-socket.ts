import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

const patienceMs = 60_000

/**
 * Sends bytes as they are and nothing more, and says that no more will come unless an answer is
 * wanted: HTTP servers do not answer who has left. @returns what came back until the other side closed
 * @throws when it never closes
 */
export const sendRaw = (
  url: string,
  bytes: Uint8Array,
  wants: 'an answer' | 'nothing' = 'nothing',
): Promise<Buffer> =>
  exchange(
    url,
    (host, port) => connect({ host, port }),
    'connect',
    (socket) => {
      if (wants === 'nothing') socket.end(bytes)
      else socket.write(bytes)
    },
  )

/** The same behind a TLS handshake in which we show no certificate and believe any. */
export const sendThroughTls = (url: string, bytes: Uint8Array): Promise<Buffer> =>
  exchange(
    url,
    (host, port) => connectTls({ host, port, rejectUnauthorized: false }),
    'secureConnect',
    (socket) => socket.end(bytes),
  )

function exchange(
  url: string,
  open: (host: string, port: number) => Socket,
  opened: string,
  speak: (socket: Socket) => void,
): Promise<Buffer> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = open(hostname, Number(port))
    const patience = setTimeout(() => {
      reject(new Error(`${url} neither answers nor closes`))
      socket.destroy()
    }, patienceMs)
    socket.once(opened, () => speak(socket))
    socket.on('data', (chunk) => chunks.push(chunk))
    // A reset is a way to close, too.
    socket.on('error', () => undefined)
    socket.once('close', () => {
      clearTimeout(patience)
      resolve(Buffer.concat(chunks))
    })
  })
}

/** The status and the body of the first answer in what came back. */
export function answerIn(bytes: Buffer): { readonly status: number; readonly body: string } {
  const text = bytes.toString('utf8')
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
  return { status, body: text.slice(text.indexOf('\r\n\r\n') + 4) }
}

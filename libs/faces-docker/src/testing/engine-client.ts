import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'

/** Where an Engine listens: a path, a port of this machine, or a port with TLS. */
export type Place = string | number | (ConnectionOptions & { readonly port: number })

/** One connection to an Engine, spoken to byte by byte, as the CLI's own client does it. */
export class EngineClient {
  readonly #socket: Socket
  #seen = Buffer.alloc(0)
  #hasEnded = false
  #wake: () => void = () => {}

  constructor(place: Place) {
    this.#socket =
      typeof place === 'object'
        ? connectTls({ allowHalfOpen: true, ...place } as ConnectionOptions)
        : connect({
            allowHalfOpen: true,
            ...(typeof place === 'string' ? { path: place } : { port: place }),
          })
    this.#socket.on('data', (bytes) => {
      this.#seen = Buffer.concat([this.#seen, bytes])
      this.#wake()
    })
    for (const event of ['end', 'close', 'error']) {
      this.#socket.on(event, () => {
        this.#hasEnded = true
        this.#wake()
      })
    }
  }

  send(bytes: string | Uint8Array): this {
    this.#socket.write(bytes)
    return this
  }

  /** A request that wants the connection. `host`: CLI 20.10 sends none. */
  upgrade(path: string, body: object | undefined, host = 'api.moby.localhost'): this {
    const text = body === undefined ? '' : `${JSON.stringify(body)}\n`
    return this.send(
      `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: Docker-Client/28.2.2 (linux)\r\n` +
        `Content-Length: ${text.length}\r\nConnection: Upgrade\r\nContent-Type: application/json\r\n` +
        `Upgrade: tcp\r\n\r\n${text}`,
    )
  }

  /** The client's input has ended. */
  halfClose(): this {
    this.#socket.end()
    return this
  }

  vanish(): void {
    this.#socket.destroy()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Everything so far, once it has `text` in it. */
  async until(text: string): Promise<string> {
    while (!this.#seen.includes(text)) {
      if (this.#hasEnded) throw new Error(`ended without ${text}: ${this.#seen.toString('latin1')}`)
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    return this.#seen.toString('latin1')
  }

  /** Everything, up to the end of the connection; apart from the head, if there is one. */
  async rest(): Promise<{ readonly head: string; readonly body: Buffer }> {
    while (!this.#hasEnded) await new Promise<void>((resolve) => (this.#wake = resolve))
    const at = this.#seen.indexOf('\r\n\r\n')
    return {
      head: this.#seen.subarray(0, at).toString(),
      body: this.#seen.subarray(at + 4),
    }
  }
}

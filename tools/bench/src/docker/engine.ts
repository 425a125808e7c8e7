import { HttpConnections, type HttpAnswer } from '../http-connections.ts'

/** An Engine under load: ours, or a real dockerd. Both are asked over their sockets by the same client. */
export interface Engine {
  readonly name: string
  /** The path of its socket. */
  readonly socket: string
  readonly pids: readonly number[]
}

const json = { 'content-type': 'application/json' }

/** Kept connections to an Engine's socket, as many as are asked at once. */
export class EngineConnections {
  readonly #http: HttpConnections

  constructor({ socket }: Engine) {
    this.#http = new HttpConnections(socket)
  }

  /** @throws when it answers anything but what is wanted */
  async ask(method: string, path: string, wanted: number, body?: object): Promise<HttpAnswer> {
    const answer = await this.#http.request({
      method,
      url: new URL(path, 'http://docker'),
      headers: json,
      ...(body !== undefined && { body: Buffer.from(JSON.stringify(body)) }),
    })
    if (answer.status === wanted) return answer
    throw new Error(`${method} ${path} answered ${answer.status}: ${answer.body.toString().trim()}`)
  }

  async json<T>(method: string, path: string, wanted: number, body?: object): Promise<T> {
    return JSON.parse((await this.ask(method, path, wanted, body)).body.toString()) as T
  }

  close(): void {
    this.#http.close()
  }
}

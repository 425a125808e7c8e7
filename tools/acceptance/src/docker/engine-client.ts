import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

export interface EngineAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface EngineAsked {
  /** Sent as JSON, unless it is bytes already. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** Plain HTTP to an Engine's socket, for what no client of Docker's would send. */
export class EngineClient {
  readonly #socketPath: string
  readonly #agent = new Agent({ keepAlive: true })

  /** @param host such as `unix:///run/docker.sock` */
  constructor(host: string) {
    this.#socketPath = host.replace('unix://', '')
  }

  async ask(method: string, path: string, asked: EngineAsked = {}): Promise<EngineAnswer> {
    const answer = await this.#send(method, path, asked)
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }
  }

  /** What it answers as JSON, or as it is where it is none. */
  async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.ask(method, path, body === undefined ? {} : { body })
    return JSON.parse(answer.body.toString()) as T
  }

  /**
   * Turns a connection into a stream, as `docker exec` does, says at once that no more will come, and
   * reads to the end.
   */
  async hijack(path: string, body: unknown): Promise<EngineAnswer> {
    const bytes = Buffer.from(`${JSON.stringify(body)}\n`)
    const asked = request({
      socketPath: this.#socketPath,
      method: 'POST',
      path,
      headers: {
        'content-type': 'application/json',
        'content-length': bytes.length,
        connection: 'Upgrade',
        upgrade: 'tcp',
      },
    })
    asked.write(bytes)
    asked.end()
    const upgraded = once(asked, 'upgrade') as Promise<[IncomingMessage, Duplex, Buffer]>
    const answered = once(asked, 'response') as Promise<[IncomingMessage]>
    for (const one of [upgraded, answered]) one.catch(() => undefined)
    const [answer, socket, head] = await Promise.race([upgraded, answered])
    const chunks: Buffer[] = head === undefined ? [] : [head]
    socket?.end()
    for await (const chunk of socket ?? answer) chunks.push(chunk as Buffer)
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }
  }

  close(): void {
    this.#agent.destroy()
  }

  async #send(
    method: string,
    path: string,
    { body, headers }: EngineAsked,
  ): Promise<IncomingMessage> {
    const bytes = body === undefined ? undefined : bytesOf(body)
    const asked = request({
      socketPath: this.#socketPath,
      agent: this.#agent,
      method,
      path,
      headers: {
        ...(bytes !== undefined && {
          'content-type': 'application/json',
          'content-length': bytes.length,
        }),
        ...headers,
      },
    })
    asked.end(bytes)
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    return answer
  }
}

const bytesOf = (body: unknown): Buffer =>
  body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(`${JSON.stringify(body)}\n`)

/** Docker's frames (docker-swarm.md A7), by the stream they are of: 1 is standard output, 2 standard error. */
export function streamsIn(bytes: Buffer): ReadonlyMap<number, string> {
  const streams = new Map<number, string>()
  for (let at = 0; at + 8 <= bytes.length;) {
    const stream = bytes.readUInt8(at)
    const length = bytes.readUInt32BE(at + 4)
    const text = bytes.toString('utf8', at + 8, at + 8 + length)
    streams.set(stream, (streams.get(stream) ?? '') + text)
    at += 8 + length
  }
  return streams
}

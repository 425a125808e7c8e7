import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

/** What a plug-in was asked. */
export interface PluginCall {
  readonly path: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

export interface PluginAnswer {
  readonly status?: number
  readonly body: object | string
}

/** A plug-in of Docker's that has secrets: a server on a socket, as small as its protocol lets it be. */
export class TestPlugin {
  readonly calls: PluginCall[] = []
  readonly path: string
  readonly #server: Server
  readonly #answer: (request: Readonly<Record<string, unknown>>) => PluginAnswer

  private constructor(
    path: string,
    answer: (request: Readonly<Record<string, unknown>>) => PluginAnswer,
  ) {
    this.path = path
    this.#answer = answer
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async start(
    path: string,
    answer: (request: Readonly<Record<string, unknown>>) => PluginAnswer,
  ): Promise<TestPlugin> {
    const plugin = new TestPlugin(path, answer)
    await new Promise<void>((resolve) => plugin.#server.listen(path, resolve))
    return plugin
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    const { url: path = '', headers } = request
    this.calls.push({ path, headers, body })
    const answer: PluginAnswer =
      path === '/Plugin.Activate'
        ? { body: { Implements: ['secretprovider'] } }
        : this.#answer(JSON.parse(body) as Readonly<Record<string, unknown>>)
    response.writeHead(answer.status ?? 200, {
      'content-type': 'application/vnd.docker.plugins.v1.1+json',
    })
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
  }
}

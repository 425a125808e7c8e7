import type { AddressInfo } from 'node:net'
import { FakeMaster } from '@conclave/actors/testing'
import { HttpClient, type HttpRequest, type HttpStream } from '@conclave/runtime'
import { LogLines } from '@conclave/testkit'
import { fastify, type FastifyInstance, type InjectOptions } from 'fastify'
import { conclaveFace, conclaveServerOptions } from '../face.ts'

const metrics = async (): Promise<string> => 'conclave_term 3\n'

/** The face before a master in memory, with a log that leaves nothing out. */
export class Front {
  readonly master = new FakeMaster()
  readonly log = new LogLines()
  readonly client = new HttpClient()
  readonly app: FastifyInstance = fastify({
    ...conclaveServerOptions,
    forceCloseConnections: true,
    logger: { level: 'trace', stream: this.log },
  })

  constructor() {
    void this.app.register(conclaveFace({ master: this.master, metrics }))
  }

  /** One request, as `admin` unless told otherwise, and its answer as JSON. */
  async ask(
    method: NonNullable<InjectOptions['method']>,
    url: string,
    options: {
      body?: unknown
      headers?: Readonly<Record<string, string>>
      as?: string
    } = {},
  ) {
    const { body, headers, as = 'admin' } = options
    const isRaw = typeof body === 'string' || Buffer.isBuffer(body)
    const answer = await this.app.inject({
      method,
      url,
      headers: {
        ...this.master.identity.headerOf(as),
        'content-type': 'application/json',
        ...headers,
      },
      ...(body === undefined ? {} : { payload: isRaw ? Buffer.from(body) : JSON.stringify(body) }),
    })
    const type = String(answer.headers['content-type'])
    const isJson = answer.body !== '' && type.startsWith('application/json')
    return {
      status: answer.statusCode,
      headers: answer.headers,
      text: answer.body,
      json: isJson ? answer.json<unknown>() : undefined,
    }
  }

  /** A stream over a socket of its own. */
  async stream(
    url: string,
    wanted: Omit<HttpRequest, 'url'> & { readonly as?: string } = {},
  ): Promise<HttpStream> {
    if (this.app.server.address() === null) await this.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = this.app.server.address() as AddressInfo
    const { as = 'admin', ...request } = wanted
    return this.client.stream({
      ...request,
      url: `http://127.0.0.1:${port}${url}`,
      headers: { ...this.master.identity.headerOf(as), ...request.headers },
    })
  }

  async close(): Promise<void> {
    this.client.close()
    await this.app.close()
  }
}

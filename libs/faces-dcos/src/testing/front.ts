import { FakeMaster } from '@conclave/actors/testing'
import { LogLines } from '@conclave/testkit'
import { fastify, type FastifyInstance, type InjectOptions } from 'fastify'
import { dcosFace, dcosServerOptions } from '../face.ts'

/** The face before a master in memory, with a log that leaves nothing out. */
export class Front {
  readonly master = new FakeMaster()
  readonly log = new LogLines()
  readonly app: FastifyInstance = fastify({
    ...dcosServerOptions,
    logger: { level: 'trace', stream: this.log },
  })

  constructor() {
    void this.app.register(dcosFace(this.master))
  }

  /** One request, as `admin` unless its headers say otherwise. */
  ask(
    method: NonNullable<InjectOptions['method']>,
    url: string,
    options: { body?: unknown; headers?: InjectOptions['headers']; as?: string } = {},
  ) {
    const { body, headers, as = 'admin' } = options
    const isBytes = Buffer.isBuffer(body)
    return this.app.inject({
      method,
      url,
      headers: {
        ...this.master.identity.headerOf(as),
        ...(body === undefined
          ? {}
          : { 'content-type': isBytes ? 'application/octet-stream' : 'application/json' }),
        ...headers,
      },
      // A copy, because what arrives is wiped.
      ...(body === undefined
        ? {}
        : {
            payload: isBytes || typeof body === 'string' ? Buffer.from(body) : JSON.stringify(body),
          }),
    })
  }
}

export const secretUrl = (path: string): string => `/secrets/v1/secret/default/${path}`

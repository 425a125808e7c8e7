import type { AddressInfo } from 'node:net'
import { FakeMaster } from '@conclave/actors/testing'
import { LogLines } from '@conclave/testkit'
import { fastify, type FastifyInstance, type InjectOptions } from 'fastify'
import { mesosFace, mesosServerOptions } from '../face.ts'

export const schedulerUrl = '/api/v1/scheduler'
export const operatorUrl = '/api/v1'

/** The face before a master in memory, with a log that leaves nothing out. */
export class Front {
  readonly master = new FakeMaster()
  readonly log = new LogLines()
  readonly app: FastifyInstance = fastify({
    ...mesosServerOptions,
    forceCloseConnections: true,
    logger: { level: 'trace', stream: this.log },
  })

  constructor() {
    void this.app.register(mesosFace(this.master))
  }

  /** One call, as `admin` unless its headers say otherwise. A header of '' is left out. */
  async ask(
    url: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
    method: NonNullable<InjectOptions['method']> = 'POST',
  ) {
    const all = {
      ...this.master.identity.headerOf('admin'),
      'content-type': 'application/json',
      ...headers,
    }
    const answer = await this.app.inject({
      method,
      url,
      headers: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== '')),
      payload:
        typeof body === 'string' || Buffer.isBuffer(body)
          ? Buffer.from(body)
          : JSON.stringify(body),
    })
    return { status: answer.statusCode, body: answer.body, headers: answer.headers }
  }

  /** Where it listens, for clients with sockets of their own. */
  async listen(): Promise<string> {
    if (this.app.server.address() === null) await this.app.listen({ port: 0, host: '127.0.0.1' })
    return `127.0.0.1:${(this.app.server.address() as AddressInfo).port}`
  }
}

export const subscribe = (info: object = {}): object => ({
  type: 'SUBSCRIBE',
  subscribe: { framework_info: { user: 'root', name: 'test', ...info } },
})

export const call = (type: string, parts: object = {}): object => ({
  type,
  framework_id: { value: 'framework-1' },
  ...parts,
})

/** An ACCEPT that launches a task with `data` (base64) as an inline secret in its environment. */
export const launchWith = (data: string): object =>
  call('ACCEPT', {
    accept: {
      offer_ids: [{ value: 'offer-1' }],
      operations: [
        {
          type: 'LAUNCH',
          launch: {
            task_infos: [
              {
                name: 'task',
                task_id: { value: 'task-1' },
                agent_id: { value: 'agent-1' },
                command: {
                  value: 'true',
                  environment: {
                    variables: [
                      { name: 'A', type: 'SECRET', secret: { type: 'VALUE', value: { data } } },
                    ],
                  },
                },
              },
            ],
          },
        },
      ],
    },
  })

import { FakeMaster } from '@conclave/actors/testing'
import { LogLines } from '@conclave/testkit'
import {
  fastify,
  type FastifyInstance,
  type InjectOptions,
  type LightMyRequestResponse,
} from 'fastify'
import type { Engine } from '../engine.ts'
import { dockerFace, dockerServerOptions } from '../face.ts'
import { recordedRoot } from './recorded-root.ts'
import { swarmKind, swarmName } from '../swarm-gate.ts'
import { swarmSpec } from '../swarm-spec.ts'

/** The face before a master in memory, with a log that leaves nothing out. */
export class Front {
  readonly master = new FakeMaster()
  readonly log = new LogLines()
  readonly app: FastifyInstance = fastify({
    ...dockerServerOptions,
    logger: { level: 'trace', stream: this.log },
  })

  readonly engine: Engine

  constructor(more: Partial<Engine> = {}) {
    const principal = { uid: 'admin' }
    const { authority } = this.master
    authority.view = { ...authority.view, rootPem: recordedRoot.TrustRoot }
    this.engine = { master: this.master, principal, hostname: 'laptop', ...more }
    void this.app.register(dockerFace(this.engine))
  }

  /** As after `docker swarm init`. */
  async withSwarm(): Promise<this> {
    const caller = { principal: { uid: 'admin' }, requestId: 'test' }
    const id = 'useeokwralrx84remzo30ohlz'
    await this.master.documents.create(caller, swarmKind, {
      id,
      name: swarmName,
      body: swarmSpec({}),
    })
    return this
  }

  async ask(
    method: NonNullable<InjectOptions['method']>,
    url: string,
    body?: unknown,
  ): Promise<LightMyRequestResponse> {
    return this.app.inject({
      method,
      url,
      ...(body === undefined
        ? {}
        : {
            headers: { 'content-type': 'application/json' },
            payload: typeof body === 'string' ? body : JSON.stringify(body),
          }),
    })
  }
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64')

import type { Caller, FrameworkApi, MasterApi, OperatorApi, PlainAnswer } from '@conclave/actors'
import { FakeMaster } from '@conclave/actors/testing'
import { DrivenCluster, openOffers, type Stream } from '@conclave/cluster/testing'
import { SchedulerCall, sealSecrets, type MasterResponse } from '@conclave/model'
import { fastify, type FastifyInstance } from 'fastify'
import { mesosFace, mesosServerOptions } from '../face.ts'

const written = { withHidden: false }

/** So many calls on one cluster; then a new one, so that a long run costs no more memory than a short one. */
const callsMax = 200

/**
 * The face before the core that decides for real, with an agent and a framework `admin` that is offered
 * it: what passes the face does whatever it does to a leader. Nothing is logged, kept or sent.
 */
export class CoreFront {
  readonly app: FastifyInstance = fastify(mesosServerOptions)
  readonly #fake = new FakeMaster()
  #cluster!: DrivenCluster
  #stream!: Stream & { frameworkId: string }
  #calls = callsMax

  constructor() {
    this.#renew()
    void this.app.register(mesosFace(this.#master()))
  }

  /** Ids that are known there now. */
  texts(): readonly string[] {
    const { frameworkId } = this.#stream
    const offers = openOffers(this.#stream)
    const ids = offers.flatMap(({ id, agent_id: agentId }) => [id.value, agentId.value])
    return [frameworkId, ...ids, 'admin', 'task-1', 'cpus', 'mem', 'team', 'A', 'true']
  }

  get frameworkId(): string {
    return this.#stream.frameworkId
  }

  /** @param isSubscribe and so without the stream id that every other call to the scheduler API has */
  async ask(url: string, payload: Buffer, isSubscribe = false) {
    if (this.#calls++ >= callsMax) this.#renew()
    const headers = {
      ...this.#fake.identity.headerOf('admin'),
      'content-type': 'application/json',
      ...(!isSubscribe && { 'mesos-stream-id': this.#stream.streamId }),
    }
    const answer = await this.app.inject({ method: 'POST', url, headers, payload })
    return { status: answer.statusCode, body: answer.body }
  }

  #renew(): void {
    this.#calls = 0
    this.#cluster = new DrivenCluster()
    this.#cluster.agent()
    this.#stream = this.#cluster.framework('admin')
  }

  #call(uid: string, call: SchedulerCall, streamId: string | undefined): PlainAnswer {
    const seal = () => ({ id: this.#cluster.uuid(), envelope: 'c2VhbGVk' })
    const sealed = sealSecrets(SchedulerCall, call, seal)
    const answer = this.#cluster.callAs(uid, streamId, sealed)
    // A framework that was torn down or is silent would make all that follows one and the same refusal.
    if (!this.#stream.isOpen || openOffers(this.#stream).length === 0) this.#calls = callsMax
    return answer
  }

  #master(): MasterApi {
    const frameworks: FrameworkApi = {
      // A subscription would stay open, as it should: it is asked for, and then turned down.
      subscribe: ({ principal }: Caller, call) => {
        const id = this.#cluster.uuid()
        const refusal = this.#cluster.core.subscribe(principal.uid, call, id)
        this.#cluster.step({ kind: 'framework-disconnected', streamId: id })
        return refusal ?? { status: 409, body: 'not today' }
      },
      disconnected: () => undefined,
      call: ({ principal }, call, streamId) => this.#call(principal.uid, call, streamId),
    }
    const operators: Pick<OperatorApi, 'call' | 'watch'> = {
      call: async ({ principal }, call) => {
        const answer = this.#cluster.core.operator({ uid: principal.uid, isOperator: true }, call)
        this.#cluster.drain()
        if (!('response' in answer)) return answer
        const message: MasterResponse = answer.response
        return { status: 200, shown: { message, writing: written } }
      },
      watch: () => ({ status: 409, body: 'not today' }),
    }
    const ours: Readonly<Record<string | symbol, unknown>> = { frameworks, operators }
    return new Proxy<MasterApi>(this.#fake, {
      get: (fake, name) => {
        if (Object.hasOwn(ours, name)) return ours[name]
        const found: unknown = Reflect.get(fake, name, fake)
        return typeof found === 'function' ? found.bind(fake) : found
      },
    })
  }
}

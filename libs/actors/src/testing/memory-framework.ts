import { parseCall, SchedulerEvent, toJson, type SchedulerCall } from '@conclave/model'
import type { MasterActor } from '../master/master-actor.ts'
import type { Caller, FrameworkConnection, PlainAnswer } from '../master/master-api.ts'

interface Heard {
  readonly type: string
  readonly [field: string]: unknown
}

interface OfferHeard {
  readonly id: { readonly value: string }
  readonly agent_id: { readonly value: string }
}

let streams = 0

/** A scheduler in a test's hands, at one master. */
export class MemoryFramework implements FrameworkConnection {
  readonly streamId = `stream-${++streams}`
  readonly heard: Heard[] = []
  isClosed = false
  readonly #master: MasterActor
  readonly #caller: Caller

  constructor(master: MasterActor, caller: Caller) {
    this.#master = master
    this.#caller = caller
  }

  get frameworkId(): string | undefined {
    const subscribed = this.heard.find(({ type }) => type === 'SUBSCRIBED')?.['subscribed']
    return (subscribed as { framework_id: { value: string } } | undefined)?.framework_id.value
  }

  get offers(): readonly OfferHeard[] {
    return this.heard
      .filter(({ type }) => type === 'OFFERS')
      .flatMap(({ offers }) => (offers as { offers: OfferHeard[] }).offers)
  }

  /** The states that updates told of one task, in order. */
  statesOf(taskId: string): readonly string[] {
    return this.heard.flatMap(({ type, update }) => {
      const { status } = (update ?? {}) as {
        status?: { task_id: { value: string }; state: string }
      }
      return type === 'UPDATE' && status?.task_id.value === taskId ? [status.state] : []
    })
  }

  subscribe(): PlainAnswer | undefined {
    const framework_info = { user: 'root', name: 'test', failover_timeout: 60 }
    return this.#master.frameworks.subscribe(
      this.#caller,
      parseCall({ type: 'SUBSCRIBE', subscribe: { framework_info } }),
      this,
    )
  }

  call(call: object): PlainAnswer {
    return this.#master.frameworks.call(this.#caller, this.parsed(call), this.streamId)
  }

  parsed(call: object): SchedulerCall {
    return parseCall({ framework_id: { value: this.frameworkId }, ...call })
  }

  /** Launches `task`, which needs no ids but its own, on the newest offer. */
  launch(task: { readonly task_id: { readonly value: string } }): PlainAnswer {
    const offer = this.offers.at(-1)
    if (offer === undefined) throw new Error('there was no offer')
    return this.call({
      type: 'ACCEPT',
      accept: {
        offer_ids: [offer.id],
        operations: [
          { type: 'LAUNCH', launch: { task_infos: [{ ...task, agent_id: offer.agent_id }] } },
        ],
        filters: { refuse_seconds: 0 },
      },
    })
  }

  send(event: SchedulerEvent): void {
    this.heard.push(toJson(SchedulerEvent, event) as Heard)
  }

  close(): void {
    this.isClosed = true
  }
}

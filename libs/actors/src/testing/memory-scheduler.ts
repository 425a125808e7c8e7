import { parseCall, type SchedulerEvent } from '@conclave/model'
import { FrameworkActor, type FrameworkInput } from '../framework/framework-actor.ts'
import type { MasterActor } from '../master/master-actor.ts'
import type { Caller, FrameworkConnection } from '../master/master-api.ts'

let streams = 0

/** A framework as the scheduler app runs it, at one master, without the wire between. */
export class MemoryScheduler implements FrameworkConnection {
  readonly streamId = `scheduler-${++streams}`
  isClosed = false
  readonly #master: MasterActor
  readonly #caller: Caller
  readonly #actor = new FrameworkActor()
  readonly #cancel = new AbortController()
  #ownId: string | undefined

  /** @param frameworkId of the one that ran before it, to go on with its tasks */
  constructor(master: MasterActor, caller: Caller, frameworkId?: string) {
    this.#master = master
    this.#caller = caller
    this.#ownId = frameworkId
    const known = frameworkId === undefined ? {} : { id: { value: frameworkId } }
    const framework_info = { user: 'root', name: 'conclave', failover_timeout: 3600, ...known }
    const call = parseCall({
      type: 'SUBSCRIBE',
      ...(frameworkId !== undefined && { framework_id: { value: frameworkId } }),
      subscribe: { framework_info },
    })
    const refused = master.frameworks.subscribe(caller, call, this)
    if (refused !== undefined) throw new Error(`no subscription: ${refused.status}`)
  }

  get id(): string | undefined {
    return this.#ownId
  }

  send(heard: SchedulerEvent): void {
    if (heard.subscribed !== undefined) {
      this.#ownId = heard.subscribed.framework_id.value
      this.#step({ kind: 'subscribed', frameworkId: this.#ownId })
      void this.#follow()
    }
    if (heard.offers !== undefined) {
      const offers = heard.offers.offers.map(({ id, agent_id, resources }) => ({
        offerId: id.value,
        agentId: agent_id.value,
        scalars: Object.fromEntries(
          resources.map(({ name, scalar }) => [name, scalar?.value ?? 0]),
        ),
      }))
      this.#step({ kind: 'offers', offers })
    }
    if (heard.update === undefined) return
    const { task_id, agent_id, state, reason, uuid } = heard.update.status
    const status = { taskId: task_id.value, agentId: agent_id?.value, state, reason, uuid }
    this.#step({ kind: 'update', status })
  }

  tick(): void {
    this.#step({ kind: 'tick' })
  }

  /** As its process's end does: the master finds out by the stream. */
  kill(): void {
    this.close()
    this.#master.frameworks.disconnected(this)
  }

  close(): void {
    this.isClosed = true
    this.#cancel.abort()
  }

  async #follow(): Promise<void> {
    const pending = this.#master.runs.pending(this.#caller, this.#cancel.signal)
    for await (const one of pending) this.#step({ kind: 'pending', pending: one })
  }

  #step(input: FrameworkInput): void {
    this.#actor.step(input)
    // A call is answered by events that come while it is made: they wait for their turn.
    queueMicrotask(() => {
      for (const { call } of this.#actor.takeEffects()) {
        if (this.isClosed) return
        const parsed = parseCall({ framework_id: { value: this.#ownId }, ...call })
        const answer = this.#master.frameworks.call(this.#caller, parsed, this.streamId)
        if (answer.status >= 300) this.close()
      }
    })
  }
}

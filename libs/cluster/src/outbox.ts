import type { EventDraft, MasterEvent, SchedulerEvent, ToAgent } from '@conclave/model'
import type { ClusterEffect, RecordChange } from './effect.ts'

/** What was decided and not carried out yet, in order. */
export class Outbox {
  #effects: ClusterEffect[] = []

  /** One transaction. Everything that is said after it waits for it. */
  commit(changes: readonly RecordChange[]): void {
    if (changes.length > 0) this.#effects.push({ do: 'commit', changes })
  }

  toAgent(connection: number, message: ToAgent): void {
    this.#effects.push({ do: 'send-agent', connection, message })
  }

  closeAgent(connection: number): void {
    this.#effects.push({ do: 'close-agent', connection })
  }

  toFramework(streamId: string, event: SchedulerEvent): void {
    this.#effects.push({ do: 'send-framework', streamId, event })
  }

  closeFramework(streamId: string): void {
    this.#effects.push({ do: 'close-framework', streamId })
  }

  toOperator(streamId: string, event: MasterEvent): void {
    this.#effects.push({ do: 'send-operator', streamId, event })
  }

  closeOperator(streamId: string): void {
    this.#effects.push({ do: 'close-operator', streamId })
  }

  emit(event: EventDraft): void {
    this.#effects.push({ do: 'emit', event })
  }

  take(): readonly ClusterEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}

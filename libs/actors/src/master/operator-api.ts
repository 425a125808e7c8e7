import type { LegacyEndpoint, LegacyQuery, PlainAnswer } from '@conclave/cluster'
import type { JsonObject, MasterCall, MasterEvent, MasterResponse, Writing } from '@conclave/model'
import type { Caller } from './master-api.ts'

export type { LegacyEndpoint, LegacyQuery }

/** A message that is ready to be shown to whoever asked, once it is written as `writing` says. */
export interface ShownMessage<T> {
  readonly message: T
  readonly writing: Writing
}

/** The open stream of somebody who follows the state. */
export interface OperatorConnection {
  readonly streamId: string
  send(event: ShownMessage<MasterEvent>): void
  close(): void
}

/**
 * Mesos' operator API at the leader, and the read endpoints of before. Operators (`operatorResource`)
 * see everything; whoever may be a framework sees the frameworks that they subscribed, and what is
 * theirs; anybody else is refused. Source: mesos.md §6, §9.
 */
export interface OperatorApi {
  /** Any call but SUBSCRIBE. What changes something is audited first. */
  call(
    caller: Caller,
    call: MasterCall,
  ): Promise<PlainAnswer | { readonly status: 200; readonly shown: ShownMessage<MasterResponse> }>
  /** SUBSCRIBE: events go to `connection` until either side closes it. An answer is a refusal. */
  watch(caller: Caller, connection: OperatorConnection): PlainAnswer | undefined
  /** The connection's client went away. */
  unwatched(connection: OperatorConnection): void
  /** What an endpoint such as `/state` answers. */
  legacy(
    caller: Caller,
    endpoint: LegacyEndpoint,
    query: LegacyQuery,
  ): PlainAnswer | { readonly status: 200; readonly json: JsonObject }
}

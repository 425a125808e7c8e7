import type { PlainAnswer } from '@conclave/cluster'
import type { JsonObject, MasterCall, MasterResponse } from '@conclave/model'
import type { Caller } from '../master/master-api.ts'
import type {
  LegacyEndpoint,
  LegacyQuery,
  OperatorApi,
  OperatorConnection,
  ShownMessage,
} from '../master/operator-api.ts'

/** The operators' part of a master in memory: it is healthy, and knows nothing else. */
export class FakeOperators implements OperatorApi {
  readonly #enter: () => void
  /** Calls that reached the master, oldest first. */
  readonly calls: { readonly uid: string; readonly call: MasterCall }[] = []
  readonly asked: { readonly endpoint: LegacyEndpoint; readonly query: LegacyQuery }[] = []
  readonly connections: OperatorConnection[] = []
  /** What a call that is no GET_HEALTH is answered. */
  answer: PlainAnswer | { readonly status: 200; readonly shown: ShownMessage<MasterResponse> } = {
    status: 501,
    body: '501 Not Implemented.',
  }
  /** What is answered to any endpoint of before. */
  json: JsonObject = { version: '1.11.0' }
  /** The refusal of the next subscription, and of every endpoint of before. */
  refusal: PlainAnswer | undefined

  constructor(enter: () => void) {
    this.#enter = enter
  }

  async call({ principal }: Caller, call: MasterCall): ReturnType<OperatorApi['call']> {
    this.#enter()
    this.calls.push({ uid: principal.uid, call })
    if (call.type !== 'GET_HEALTH') return this.answer
    const message: MasterResponse = { type: 'GET_HEALTH', get_health: { healthy: true } }
    return { status: 200, shown: { message, writing: { withHidden: false } } }
  }

  watch(_caller: Caller, connection: OperatorConnection): PlainAnswer | undefined {
    this.#enter()
    if (this.refusal !== undefined) return this.refusal
    this.connections.push(connection)
    const writing = { withHidden: false }
    const subscribed = { heartbeat_interval_seconds: 15 }
    connection.send({ message: { type: 'SUBSCRIBED', subscribed }, writing })
    connection.send({ message: { type: 'HEARTBEAT' }, writing })
    return undefined
  }

  unwatched(connection: OperatorConnection): void {
    const at = this.connections.indexOf(connection)
    if (at !== -1) this.connections.splice(at, 1)
  }

  legacy(
    _caller: Caller,
    endpoint: LegacyEndpoint,
    query: LegacyQuery,
  ): ReturnType<OperatorApi['legacy']> {
    this.#enter()
    this.asked.push({ endpoint, query })
    return this.refusal ?? { status: 200, json: this.json }
  }
}

import type {
  ClusterCore,
  LegacyEndpoint,
  LegacyQuery,
  PlainAnswer,
  Viewer,
} from '@conclave/cluster'
import {
  MasterEvent,
  MasterResponse,
  type JsonObject,
  type MachineId,
  type MasterCall,
} from '@conclave/model'
import type { LoggingLevel } from '../ports.ts'
import type { Access } from './access.ts'
import type { Caller } from './master-api.ts'
import type { OperatorApi, OperatorConnection, ShownMessage } from './operator-api.ts'
import { frameworksResource, operatorResource } from './resources.ts'
import type { ShownMessages } from './shown-messages.ts'
import type { Term } from './term.ts'

/** What it needs of the leader's term. */
export interface OperatedTerm extends Pick<Term, 'flush' | 'step'> {
  readonly core: Pick<ClusterCore, 'operator' | 'watch' | 'legacy'> | undefined
}

export interface OperatorServiceOptions {
  readonly access: Pick<Access, 'may' | 'audit' | 'denied'>
  readonly term: () => OperatedTerm | undefined
  readonly messages: ShownMessages
  readonly logging?: LoggingLevel | undefined
}

type CallType = NonNullable<MasterCall['type']>

const notReady: PlainAnswer = { status: 503, body: 'Master has not finished recovery' }
const forbidden: PlainAnswer = { status: 403, body: '403 Forbidden.' }

const forAll: ReadonlySet<CallType> = new Set(['GET_HEALTH', 'GET_VERSION', 'GET_MASTER'])

/** What shows a part of the state to those who have a part in it. */
const filtered: ReadonlySet<CallType> = new Set([
  'GET_STATE',
  'GET_TASKS',
  'GET_AGENTS',
  'GET_FRAMEWORKS',
  'GET_EXECUTORS',
  'GET_OPERATIONS',
  'GET_ROLES',
  'GET_WEIGHTS',
  'GET_QUOTA',
  'GET_MAINTENANCE_STATUS',
  'GET_MAINTENANCE_SCHEDULE',
])

const changing: ReadonlySet<CallType> = new Set([
  'TEARDOWN',
  'MARK_AGENT_GONE',
  'SET_LOGGING_LEVEL',
  'UPDATE_WEIGHTS',
  'UPDATE_MAINTENANCE_SCHEDULE',
  'START_MAINTENANCE',
  'STOP_MAINTENANCE',
  'DRAIN_AGENT',
  'DEACTIVATE_AGENT',
  'REACTIVATE_AGENT',
])

/** What a call is about, for the record of it. */
const aboutWhat = (call: MasterCall): string =>
  call.teardown?.framework_id.value ??
  (call.mark_agent_gone ?? call.drain_agent ?? call.deactivate_agent ?? call.reactivate_agent)
    ?.agent_id.value ??
  call.update_weights?.weight_infos.map(({ role }) => role).join(' ') ??
  machinesOf(call)
    .map(({ hostname, ip }) => hostname || ip)
    .join(' ')

const machinesOf = (call: MasterCall): readonly MachineId[] =>
  (call.start_maintenance ?? call.stop_maintenance)?.machines ??
  call.update_maintenance_schedule?.schedule.windows.flatMap((window) => window.machine_ids) ??
  []

/** Of the read endpoints of before, those that are about the master and not about anybody's tasks. */
const ofMaster: ReadonlySet<LegacyEndpoint> = new Set(['flags', 'metrics/snapshot'])

/** What keeps a level from being set, or undefined: of agents as of masters. */
export function loggingProblem({
  level,
  duration,
}: NonNullable<MasterCall['set_logging_level']>): string | undefined {
  if (level > 3) return `'set_logging_level.level' is ${level}: there are the levels 0 to 3`
  if (duration.nanoseconds > 0) return undefined
  return "'set_logging_level.duration' must be positive"
}

/** Operators at the leader, and whoever looks at what is theirs. */
export class OperatorService implements OperatorApi {
  readonly #options: OperatorServiceOptions
  readonly #watchers = new Map<
    string,
    { readonly connection: OperatorConnection; readonly caller: Caller; readonly viewer: Viewer }
  >()

  constructor(options: OperatorServiceOptions) {
    this.#options = options
  }

  async call(
    caller: Caller,
    call: MasterCall,
  ): Promise<PlainAnswer | { readonly status: 200; readonly shown: ShownMessage<MasterResponse> }> {
    if (this.#options.term()?.core === undefined) return notReady
    const viewer = this.#viewerOf(caller)
    const type = call.type ?? 'UNKNOWN'
    if (changing.has(type)) await this.#audit(caller, call, viewer)
    const mayCall =
      forAll.has(type) ||
      viewer?.isOperator === true ||
      (filtered.has(type) && viewer !== undefined)
    if (!mayCall) return forbidden
    // The audit took a while: who leads now?
    const term = this.#options.term()
    const { core } = term ?? {}
    if (term === undefined || core === undefined) return notReady
    try {
      const ofLog = this.#ofLog(call)
      if (ofLog !== undefined) return ofLog
      const own = { uid: caller.principal.uid, isOperator: false }
      const answer = core.operator(viewer ?? own, call)
      if (!('response' in answer)) return answer
      return { status: 200, shown: this.#options.messages.shown(MasterResponse, answer.response) }
    } finally {
      term.flush()
    }
  }

  /** The two calls that are about this process rather than the cluster. */
  #ofLog(call: MasterCall): Awaited<ReturnType<OperatorApi['call']>> | undefined {
    const { logging, messages } = this.#options
    if (call.type === 'GET_LOGGING_LEVEL' && logging !== undefined) {
      const { level } = logging
      const response = { type: 'GET_LOGGING_LEVEL', get_logging_level: { level } } as const
      return { status: 200, shown: messages.shown(MasterResponse, response) }
    }
    const wanted = call.type === 'SET_LOGGING_LEVEL' ? call.set_logging_level : undefined
    if (wanted === undefined || logging === undefined) return undefined
    const problem = loggingProblem(wanted)
    if (problem !== undefined) return { status: 400, body: problem }
    logging.set(wanted.level, wanted.duration.nanoseconds / 1e6)
    return { status: 200, body: '' }
  }

  watch(caller: Caller, connection: OperatorConnection): PlainAnswer | undefined {
    const term = this.#options.term()
    const { core } = term ?? {}
    if (term === undefined || core === undefined) return notReady
    const viewer = this.#viewerOf(caller)
    if (viewer === undefined) return forbidden
    this.#watchers.set(connection.streamId, { connection, caller, viewer })
    core.watch(viewer, connection.streamId)
    term.flush()
    return undefined
  }

  unwatched({ streamId }: OperatorConnection): void {
    if (!this.#watchers.delete(streamId)) return
    this.#options.term()?.step({ kind: 'operator-disconnected', streamId })
  }

  legacy(
    caller: Caller,
    endpoint: LegacyEndpoint,
    query: LegacyQuery,
  ): PlainAnswer | { readonly status: 200; readonly json: JsonObject } {
    const core = this.#options.term()?.core
    if (core === undefined) return notReady
    const viewer = this.#viewerOf(caller)
    if (viewer === undefined || (ofMaster.has(endpoint) && !viewer.isOperator)) return forbidden
    const { show } = this.#options.messages
    return { status: 200, json: core.legacy({ endpoint, query, viewer, show }) }
  }

  // ── the leader's part ─────────────────────────────────────────────────────────────────────────

  send(streamId: string, event: MasterEvent): void {
    const connection = this.#watchers.get(streamId)?.connection
    if (connection === undefined) return
    connection.send(this.#options.messages.shown(MasterEvent, event))
  }

  close(streamId: string): void {
    const watcher = this.#watchers.get(streamId)
    this.#watchers.delete(streamId)
    watcher?.connection.close()
  }

  /** Rights have changed: who would see another part of the state now has to ask again. */
  endForbidden(): void {
    for (const { connection, caller, viewer } of this.#watchers.values()) {
      if (this.#viewerOf(caller)?.isOperator === viewer.isOperator) continue
      connection.close()
      this.unwatched(connection)
    }
  }

  closeAll(): void {
    for (const streamId of this.#watchers.keys()) this.close(streamId)
  }

  /** Undefined for who may see nothing at all. */
  #viewerOf(caller: Caller): Viewer | undefined {
    const { access } = this.#options
    const { uid } = caller.principal
    if (access.may(caller, operatorResource, 'full')) return { uid, isOperator: true }
    if (access.may(caller, frameworksResource, 'create')) return { uid, isOperator: false }
    return undefined
  }

  async #audit(caller: Caller, call: MasterCall, viewer: Viewer | undefined): Promise<void> {
    const what = aboutWhat(call)
    const path = `mesos/${call.type?.toLowerCase()}/${what.slice(0, 255)}`
    const { access } = this.#options
    if (viewer?.isOperator === true) await access.audit(caller, 'administer', path, 'allowed')
    else await access.denied(caller, 'administer', operatorResource, 'full', path)
  }
}

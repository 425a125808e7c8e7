import type { PlainAnswer } from '@conclave/cluster'
import { equalSecrets, readExecutorToken, type ExecutorTokenVerdict } from '@conclave/crypto'
import { utf8, type Clock, type RedactedBytes } from '@conclave/kernel'
import type { AgentInfo, EventDraft, ExecutorCall } from '@conclave/model'
import type { EndedContainer } from '../agent-sessions.ts'
import type { AgentTask } from '../agent-task.ts'
import { rootOf } from '../container-name.ts'
import type { Executor, ExecutorConnection } from '../executors/executor.ts'
import type { Executors } from '../executors/executors.ts'
import type {
  ContainerEnd,
  LaunchAnswer,
  NestedContainers,
} from '../executors/nested-containers.ts'
import type {
  AgentApi,
  AgentStatus,
  AgentStateView,
  CallerAnswer,
  ExecutorPrincipal,
  WantedContainer,
} from './agent-api.ts'
import { viewOf } from './agent-view.ts'
import type { Callers } from './callers.ts'
import type { LocalSession, LocalSessions, SessionSink } from './local-sessions.ts'

export interface AgentServiceOptions {
  readonly options: {
    readonly runtime: string
    readonly ipAddress: string
    readonly clock: Clock
    readonly executorTokenKey?: RedactedBytes
    readonly onWork?: () => void
  }
  readonly agentId: () => string | undefined
  readonly info: () => AgentInfo
  readonly isRegistered: () => boolean
  readonly callers: Callers
  readonly executors: Executors
  readonly nested: NestedContainers
  readonly sessions: LocalSessions
  readonly containers: () => readonly AgentTask[]
  readonly tasks: () => readonly AgentTask[]
  /** Those whose output is kept although they have ended, oldest first. */
  readonly ended: () => readonly EndedContainer[]
  readonly leaked: ReadonlyMap<string, RedactedBytes>
  readonly emit: (event: EventDraft) => void
}

const accepted: PlainAnswer = { status: 202, body: '' }

/** Mesos' words for who is not who the call says. Source: mesos.md §18. */
const lacks = (who: string, claim: string): string =>
  `Authenticated principal '${who}' does not contain ${claim}`

/** This agent, for its own listener. What a call decides is carried out at once. */
export class AgentService implements AgentApi {
  readonly #o: AgentServiceOptions

  constructor(options: AgentServiceOptions) {
    this.#o = options
  }

  status(): AgentStatus {
    const { runtime, ipAddress } = this.#o.options
    const info = this.#o.info()
    const agentId = this.#o.agentId()
    const own = agentId === undefined ? info : { ...info, id: { value: agentId } }
    return { agentId, isRegistered: this.#o.isRegistered(), info: own, runtime, ipAddress }
  }

  view(): AgentStateView {
    const { tasks, containers, executors, nested, ended } = this.#o
    return { ...viewOf(tasks(), containers(), executors, nested), ended: ended() }
  }

  whoCalls(authorization: string, source: string, call: string): Promise<CallerAnswer> {
    return this.#working(() => this.#o.callers.ask(authorization, source.slice(0, 64), call))
  }

  executorToken(token: string): ExecutorTokenVerdict | undefined {
    const { executorTokenKey: key, clock } = this.#o.options
    return key && readExecutorToken(key, token, clock.nowMs())
  }

  isOwnContainer(principal: ExecutorPrincipal, containerId: string): boolean {
    const { cid } = claimsOf(principal)
    const executor = this.#o.executors.ofContainer(rootOf(containerId))
    return cid !== undefined && executor !== undefined && isSame(executor.containerId, cid)
  }

  leakedValue(sealedId: string): RedactedBytes | undefined {
    return this.#o.leaked.get(sealedId)
  }

  refused(event: Parameters<AgentApi['refused']>[0]): void {
    this.#working(() => {
      const agentId = this.#o.agentId() ?? ''
      this.#o.emit({ type: 'executor.refused', agentId, ...event })
    })
  }

  executorCall(
    principal: ExecutorPrincipal | undefined,
    call: ExecutorCall,
    connection: ExecutorConnection | undefined,
  ): PlainAnswer | undefined {
    // Before any look-up: it says nothing and changes nothing.
    if (call.type === 'HEARTBEAT') return accepted
    const { executors } = this.#o
    const [frameworkId, executorId] = [call.framework_id.value, call.executor_id.value]
    const isKnown = [...executors.all()].some((one) => one.frameworkId === frameworkId)
    const hasTasks = this.#o.tasks().some((task) => task.frameworkId === frameworkId)
    if (!isKnown && !hasTasks) return { status: 400, body: 'Framework cannot be found' }
    const executor = executors.get(frameworkId, executorId)
    if (executor === undefined) return { status: 400, body: 'Executor cannot be found' }
    const problem = principal && claimProblem(principal, executor)
    if (problem !== undefined) {
      const { containerId } = executor
      const why = `${call.type ?? ''} with other claims`
      const named = { frameworkId, executorId, containerId }
      this.refused({ call: call.type ?? 'UNKNOWN', status: 403, why, ...named })
      return { status: 403, body: problem }
    }
    return this.#working(() => this.#perform(executor, call, connection))
  }

  #perform(
    executor: Executor,
    call: ExecutorCall,
    connection: ExecutorConnection | undefined,
  ): PlainAnswer | undefined {
    const { executors } = this.#o
    // A default executor is this agent: nobody else can be one.
    if (executor.kind === 'default') {
      return { status: 403, body: 'Executor is part of the agent' }
    }
    if (call.type === 'SUBSCRIBE' && connection !== undefined) {
      const { stage } = executor.run ?? {}
      if (stage !== 'starting' && stage !== 'running') {
        return { status: 503, body: 'Executor is not running' }
      }
      executors.subscribe(executor, call, connection)
      return undefined
    }
    if (executor.connection === undefined && executor.stage !== 'running') {
      return { status: 403, body: 'Executor is not subscribed' }
    }
    if (call.type === 'UPDATE' && call.update !== undefined) {
      executors.update(executor, call.update.status)
    }
    if (call.type === 'MESSAGE' && call.message !== undefined) {
      executors.message(executor, call.message.data)
    }
    return accepted
  }

  executorGone(call: ExecutorCall, connection: ExecutorConnection): void {
    const executor = this.#o.executors.get(call.framework_id.value, call.executor_id.value)
    if (executor === undefined) return
    this.#working(() => this.#o.executors.disconnected(executor, connection))
  }

  launch(wanted: WantedContainer): Promise<LaunchAnswer> {
    return this.#working(
      () => new Promise((resolve) => this.#o.nested.launch(wanted, (answer) => resolve(answer))),
    )
  }

  openSession(wanted: WantedContainer, sink: SessionSink): LocalSession | LaunchAnswer {
    return this.#working(() => {
      let answer: LaunchAnswer = { outcome: 'no-parent' }
      const session = this.#o.nested.session(wanted, sink, (one) => {
        answer = one
      })
      return session === undefined ? answer : this.#awake(session)
    })
  }

  openOutput(containerId: string, sink: SessionSink, follow: boolean): LocalSession | undefined {
    const task = this.#o.containers().find((one) => one.containerId === containerId)
    const hasOutput = task?.stage === 'running' || task?.stage === 'ending'
    if (!hasOutput && !this.#hasEnded(containerId)) return undefined
    return this.#working(() => this.#awake(this.#o.sessions.logs(containerId, sink, follow)))
  }

  #hasEnded(containerId: string): boolean {
    return this.#o.ended().some((one) => one.containerId === containerId)
  }

  sessionOf(containerId: string): LocalSession | undefined {
    const session = this.#o.nested.sessionOf(containerId)
    return session && this.#awake(session)
  }

  waitingBytes(sessionId: string): number | undefined {
    return this.#o.sessions.waitingBytes(sessionId)
  }

  hasContainer(containerId: string): boolean {
    return (
      this.#o.containers().some((one) => one.containerId === containerId) ||
      this.#o.nested.sessionOf(containerId) !== undefined
    )
  }

  wait(containerId: string): Promise<ContainerEnd> | undefined {
    const { promise, resolve } = Promise.withResolvers<ContainerEnd>()
    return this.#o.nested.wait(containerId, resolve) ? promise : undefined
  }

  kill(containerId: string, signal: string): boolean {
    return this.#working(() => this.#o.nested.kill(containerId, signal))
  }

  remove(containerId: string): 'removed' | 'unknown' | 'running' {
    return this.#working(() => this.#o.nested.remove(containerId))
  }

  /** Whatever the core decides meanwhile is carried out now, and not with the next tick. */
  #working<T>(act: () => T): T {
    const result = act()
    this.#o.options.onWork?.()
    return result
  }

  #awake(session: LocalSession): LocalSession {
    return {
      sessionId: session.sessionId,
      write: (bytes) => this.#working(() => session.write(bytes)),
      endInput: () => this.#working(() => session.endInput()),
      signal: (name) => this.#working(() => session.signal(name)),
      close: () => this.#working(() => session.close()),
    }
  }
}

const claimsOf = (principal: ExecutorPrincipal): Readonly<Record<string, string>> =>
  'claims' in principal ? principal.claims : {}

const isSame = (a: string, b: string): boolean => equalSecrets(utf8(a), utf8(b))

/** What speaks against `principal` being that executor, in the container that it runs in now. */
function claimProblem(
  principal: ExecutorPrincipal,
  { frameworkId, executorId, containerId }: Executor,
): string | undefined {
  const { fid = '', eid = '', cid = '' } = claimsOf(principal)
  const who = 'uid' in principal ? principal.uid : JSON.stringify({ claims: principal.claims })
  const set = 'which is set in the call'
  if (!isSame(fid, frameworkId)) {
    return lacks(who, `an 'fid' claim with the framework ID ${frameworkId}, ${set}`)
  }
  if (!isSame(eid, executorId)) {
    return lacks(who, `an 'eid' claim with the executor ID ${executorId}, ${set}`)
  }
  return isSame(cid, containerId)
    ? undefined
    : lacks(who, "a 'cid' claim with the correct active ContainerID")
}

import {
  checkContainer,
  planContainer,
  PlanRefused,
  type CheckedContainer,
  type Plan,
  type PlannedSecret,
  type SecretLimits,
} from '@conclave/isolators'
import { uuidBytes, type Clock, type Core, type Random } from '@conclave/kernel'
import {
  exitCodeLabel,
  type AgentInfo,
  type EventDraft,
  type FromAgent,
  type TaskInfo,
  type TaskReason,
  type TaskState,
  type TaskStatus,
  type ToAgent,
} from '@conclave/model'
import {
  ComposedResolver,
  refusalIn,
  StoreResolver,
  ValueResolver,
  wipeResolved,
  type Resolved,
  type Resolver,
} from '@conclave/resolver'
import type { AgentTask, PlacedSecret, TaskEnd } from './agent-task.ts'
import { argumentsOf, commandOf, environmentOf, executorIdOf, userOf } from './command.ts'
import type { ContainerExit, ContainerSpec, OutputChunk } from './container-runtime.ts'
import { Health, healthPlanOf, type HealthPlan } from './health.ts'
import { EventReport } from './event-report.ts'
import { StatusUpdates, taskKey, type TaskName } from './status-updates.ts'
import { collectFailure, exitMessage, killedBeforeStart, launchFailure } from './wording.ts'

/** What an agent is told: by its master, by the machine, and by time. */
export type AgentInput =
  /** A master can be reached. It may still turn out not to lead. */
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'message'; readonly message: ToAgent }
  | { readonly kind: 'tick' }
  | { readonly kind: 'prepared'; readonly containerId: string; readonly failure?: string }
  | { readonly kind: 'started'; readonly containerId: string; readonly failure?: string }
  | { readonly kind: 'exited'; readonly containerId: string; readonly exit: ContainerExit }
  | { readonly kind: 'destroyed'; readonly containerId: string; readonly failure?: string }
  | { readonly kind: 'session-output'; readonly sessionId: string; readonly chunk: OutputChunk }
  | {
      readonly kind: 'session-ended'
      readonly sessionId: string
      readonly exitCode?: number
      readonly error?: string
    }
  /** The result of a health check. */
  | { readonly kind: 'checked'; readonly containerId: string; readonly isSuccess: boolean }
  /** End every container, then say so. */
  | { readonly kind: 'stop'; readonly graceMs: number }

export type AgentEffect =
  | { readonly do: 'send'; readonly message: FromAgent }
  /** Remembers who this agent is across restarts, or forgets it. */
  | { readonly do: 'keep-agent-id'; readonly agentId: string | undefined }
  /** Makes a container and carries out its plan, whose bytes are wiped whatever happens: `prepared`. */
  | { readonly do: 'prepare'; readonly spec: ContainerSpec; readonly plan: Plan }
  | { readonly do: 'start'; readonly containerId: string }
  | { readonly do: 'signal'; readonly containerId: string; readonly signal: string }
  /** Ends what runs, leaves nothing but the output: `destroyed`. */
  | { readonly do: 'destroy'; readonly containerId: string }
  | { readonly do: 'forget-output'; readonly containerId: string }
  /** Runs a command beside the container's own, and tells whether it ended with 0: `checked`. */
  | {
      readonly do: 'check'
      readonly containerId: string
      readonly argv: readonly string[]
      readonly env: Readonly<Record<string, string>>
    }
  /** Ends the check that is under way. */
  | { readonly do: 'abandon-check'; readonly containerId: string }
  | {
      readonly do: 'open-logs'
      readonly sessionId: string
      readonly containerId: string
      readonly follow: boolean
    }
  | {
      readonly do: 'open-exec'
      readonly sessionId: string
      readonly containerId: string
      readonly argv: readonly string[]
      readonly env: Readonly<Record<string, string>>
    }
  | { readonly do: 'write-session'; readonly sessionId: string; readonly bytes: Uint8Array }
  | { readonly do: 'end-session-input'; readonly sessionId: string }
  | { readonly do: 'signal-session'; readonly sessionId: string; readonly signal: string }
  | { readonly do: 'close-session'; readonly sessionId: string }
  /** Nothing runs any more. */
  | { readonly do: 'stopped' }

export interface AgentLimits {
  readonly tickMs: number
  /** How long masters have to release a container's secrets. */
  readonly resolveTimeoutMs: number
  /** Between being told that its id is over, and beginning anew. */
  readonly registerAgainMs: number
  readonly statusRetryFirstMs: number
  readonly statusRetryMaxMs: number
  /** Between SIGTERM and SIGKILL for a task that ran too long and says nothing of its own. */
  readonly killGraceMs: number
  /** Containers that have ended and whose output can still be read. */
  readonly endedOutputsMax: number
  readonly secrets: Partial<SecretLimits>
}

export const usualAgentLimits: AgentLimits = {
  tickMs: 100,
  resolveTimeoutMs: 30_000,
  registerAgainMs: 1000,
  statusRetryFirstMs: 10_000,
  statusRetryMaxMs: 600_000,
  killGraceMs: 3000,
  endedOutputsMax: 64,
  secrets: {},
}

export interface AgentActorOptions {
  /** From an earlier registration. */
  readonly agentId: string | undefined
  /** Without an id: the master gives it. */
  readonly info: AgentInfo
  readonly runtime: string
  /** What tasks are told of where they are. */
  readonly ipAddress: string
  readonly clock: Clock
  readonly random: Random
  readonly limits?: Partial<AgentLimits>
}

interface CheckedTask {
  readonly container: CheckedContainer
  readonly healthPlan: HealthPlan | undefined
}

interface EndedOutput {
  readonly containerId: string
  readonly exitCode: number | undefined
}

type Told<Type extends ToAgent['type']> = Extract<ToAgent, { type: Type }>

/**
 * One agent: launches what its master says, gives each container its secrets, and tells what became of
 * it. It has no clock of its own but ticks, and does nothing itself: it answers with effects.
 *
 * 1. A container starts only when all of its secrets are in their places; else it never was.
 * 2. A task has exactly one terminal status, told when nothing of its container is left.
 * 3. No effect but `prepare` carries a value, and no value outlives it here.
 */
export class AgentActor implements Core<AgentInput, AgentEffect> {
  readonly #options: AgentActorOptions
  readonly #limits: AgentLimits
  readonly #store: StoreResolver
  readonly #resolver: Resolver
  readonly #updates: StatusUpdates
  readonly #report: EventReport
  readonly #tasks = new Map<string, AgentTask>()
  readonly #byContainer = new Map<string, AgentTask>()
  /** By task: the newest container of each that has ended, oldest first. */
  readonly #ended = new Map<string, EndedOutput>()
  /** Open sessions, with the task whose output they are. */
  readonly #sessions = new Map<string, { readonly logsOf: string | undefined }>()
  #effects: AgentEffect[] = []
  #agentId: string | undefined
  #isConnected = false
  #isRegistered = false
  /** This agent's id is over: nothing more is told in its name. */
  #isOver = false
  #isStopping = false
  #registerAtTick = Infinity
  #ticks = 0

  constructor(options: AgentActorOptions) {
    this.#options = options
    this.#limits = { ...usualAgentLimits, ...options.limits }
    this.#agentId = options.agentId
    const { random, clock } = options
    this.#store = new StoreResolver({
      random,
      ask: (question) => this.#sendIfRegistered({ type: 'resolve', ...question }),
    })
    this.#resolver = new ComposedResolver({ value: new ValueResolver(), store: this.#store })
    this.#updates = new StatusUpdates({
      send: (message) => this.#send(message),
      onAllAcknowledged: (task) => this.#forget(task),
      retryFirstTicks: this.#ticksIn(this.#limits.statusRetryFirstMs),
      retryMaxTicks: this.#ticksIn(this.#limits.statusRetryMaxMs),
    })
    this.#report = new EventReport(clock)
  }

  /** Containers that are being made, run, or are being ended. */
  get containerCount(): number {
    return this.#byContainer.size
  }

  step(input: AgentInput): void {
    switch (input.kind) {
      case 'connected':
        this.#isConnected = true
        this.#register()
        break
      case 'disconnected':
        this.#disconnected()
        break
      case 'message':
        this.#told(input.message)
        break
      case 'tick':
        this.#tick()
        break
      case 'prepared':
        this.#prepared(input.containerId, input.failure)
        break
      case 'started':
        this.#started(input.containerId, input.failure)
        break
      case 'exited':
        this.#exited(input.containerId, input.exit)
        break
      case 'destroyed':
        this.#destroyed(input.containerId, input.failure)
        break
      case 'session-output':
        this.#sessionOutput(input.sessionId, input.chunk)
        break
      case 'session-ended':
        this.#sessionEnded(input)
        break
      case 'checked':
        this.#checked(input.containerId, input.isSuccess)
        break
      case 'stop':
        this.#stop(input.graceMs)
        break
    }
    if (!this.#isRegistered) return
    for (const events of this.#report.take()) this.#send({ type: 'events', events })
  }

  takeEffects(): readonly AgentEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  // ── the master ────────────────────────────────────────────────────────────────────────────────

  #register(): void {
    this.#registerAtTick = Infinity
    const { info, runtime } = this.#options
    // What ended is listed until its last status is acknowledged: it is not lost, only not yet told.
    const tasks = [...this.#tasks.values()].map(({ frameworkId, taskId, containerId }) => ({
      frameworkId,
      taskId,
      containerId,
    }))
    const agentId = this.#agentId === undefined ? {} : { agentId: this.#agentId }
    this.#send({ type: 'register', ...agentId, info, runtime, tasks })
  }

  #disconnected(): void {
    this.#isConnected = false
    this.#isRegistered = false
    this.#updates.disconnected()
    for (const sessionId of this.#sessions.keys()) this.#do({ do: 'close-session', sessionId })
    this.#sessions.clear()
    for (const task of this.#tasks.values()) task.waitingLogs.length = 0
  }

  #told(message: ToAgent): void {
    switch (message.type) {
      case 'registered':
        return this.#registered(message.agentId)
      case 'not-leader':
        // The link follows it by itself.
        return
      case 'shutdown':
        return this.#over()
      case 'launch':
        return this.#launch(message)
      case 'kill':
        return this.#kill(message)
      case 'status-acknowledged':
        return this.#updates.acknowledge(message, message.uuid)
      case 'resolved':
        return this.#store.answered(message.requestId, message.resolutions)
      case 'open-logs':
        return this.#openLogs(message)
      case 'open-exec':
        return this.#openExec(message)
      case 'session-input':
        return this.#toSession(message.sessionId, {
          do: 'write-session',
          sessionId: message.sessionId,
          bytes: new Uint8Array(Buffer.from(message.data, 'base64')),
        })
      case 'session-input-end':
        return this.#toSession(message.sessionId, {
          do: 'end-session-input',
          sessionId: message.sessionId,
        })
      case 'session-signal':
        return this.#toSession(message.sessionId, {
          do: 'signal-session',
          sessionId: message.sessionId,
          signal: message.signal,
        })
      case 'session-close':
        return this.#closeSession(message.sessionId)
    }
  }

  #registered(agentId: string): void {
    if (this.#isOver) return
    if (agentId !== this.#agentId) this.#do({ do: 'keep-agent-id', agentId })
    this.#agentId = agentId
    this.#isRegistered = true
    this.#updates.connected()
    this.#store.askAgain()
  }

  /** Whoever this agent was is over: its tasks are nobody's, so they end, and it begins anew. */
  #over(): void {
    this.#isOver = true
    this.#isRegistered = false
    this.#updates.disconnected()
    this.#updates.clear()
    for (const task of this.#tasks.values()) this.#endNow(task)
    this.#beginAnewIfEmpty()
  }

  #beginAnewIfEmpty(): void {
    if (!this.#isOver || this.#tasks.size > 0) return
    this.#isOver = false
    this.#agentId = undefined
    this.#report.clear()
    this.#do({ do: 'keep-agent-id', agentId: undefined })
    // Not at once: a master that refuses this agent for good would be asked without end.
    this.#registerAtTick = this.#ticks + this.#ticksIn(this.#limits.registerAgainMs)
  }

  // ── launching ─────────────────────────────────────────────────────────────────────────────────

  #launch({ frameworkId, containerId, task: info }: Told<'launch'>): void {
    const taskId = info.task_id.value
    const key = taskKey({ frameworkId, taskId })
    // Told twice, it is launched once.
    if (this.#tasks.has(key) || this.#byContainer.has(containerId) || this.#isOver) return
    const checked = this.#check(info)
    const task: AgentTask = {
      frameworkId,
      taskId,
      containerId,
      info,
      checked: checked instanceof PlanRefused ? undefined : checked.container,
      healthPlan: checked instanceof PlanRefused ? undefined : checked.healthPlan,
      health: undefined,
      stage: 'resolving',
      abandon: () => {},
      resolveAtTickMax: this.#ticks + this.#ticksIn(this.#limits.resolveTimeoutMs),
      placed: [],
      isKilled: false,
      isOverdue: false,
      isUnhealthy: false,
      overdueAtTick: Infinity,
      killAtTick: Infinity,
      exit: undefined,
      end: undefined,
      waitingLogs: [],
    }
    this.#tasks.set(key, task)
    this.#byContainer.set(containerId, task)
    if (checked instanceof PlanRefused)
      return this.#failLaunch(task, launchFailure(checked.message))
    if (this.#isStopping) return this.#failLaunch(task, launchFailure('the agent is stopping'))
    this.#resolve(task, checked.container)
  }

  #check(info: TaskInfo): CheckedTask | PlanRefused {
    try {
      const command = commandOf(info)
      argumentsOf(command)
      const healthPlan = healthPlanOf(info, (ms) => this.#ticksIn(ms))
      return { container: checkContainer(command, info.container), healthPlan }
    } catch (refusal) {
      if (refusal instanceof PlanRefused) return refusal
      throw refusal
    }
  }

  #resolve(task: AgentTask, checked: CheckedContainer): void {
    const { frameworkId, taskId, containerId } = task
    const wanted = checked.secrets.map(({ secret, purpose }) => ({ secret, purpose }))
    let isAnswered = false
    const abandon = this.#resolver.resolve(
      { frameworkId, taskId, containerId },
      wanted,
      (resolved) => {
        isAnswered = true
        this.#resolved(task, checked, resolved)
      },
    )
    if (!isAnswered) task.abandon = abandon
  }

  #resolved(task: AgentTask, checked: CheckedContainer, resolved: readonly Resolved[]): void {
    if (task.stage !== 'resolving') return wipeResolved(resolved)
    task.abandon = () => {}
    const refusal = refusalIn(resolved)
    if (refusal !== undefined) {
      wipeResolved(resolved)
      return this.#failLaunch(task, collectFailure(refusal.why))
    }
    const values = resolved.filter((one) => one.outcome === 'value')
    for (const { path, version, bytes } of values) {
      const sizeBytes = bytes.reveal().length
      this.#tell(task, { type: 'secret.resolved', path, version, sizeBytes })
    }
    const user = userOf(checked.command)
    try {
      const plan = planContainer(
        checked,
        {
          owner: { uid: user.uid, gid: user.gid },
          environment: environmentOf(task.info, task.frameworkId, {
            agentId: this.#agentId ?? '',
            ipAddress: this.#options.ipAddress,
            port: this.#options.info.port ?? 5051,
          }),
          limits: this.#limits.secrets,
        },
        values.map(({ bytes }) => bytes),
      )
      task.placed = placedIn(checked.secrets, values, plan)
      task.stage = 'preparing'
      const { containerId } = task
      const hostname = task.info.container?.hostname ?? containerId.slice(0, 12)
      const argv = argumentsOf(checked.command)
      this.#do({ do: 'prepare', spec: { containerId, hostname, argv, user }, plan })
    } catch (refused) {
      if (!(refused instanceof PlanRefused)) throw refused
      this.#failLaunch(task, launchFailure(refused.message))
    }
  }

  #prepared(containerId: string, failure: string | undefined): void {
    const task = this.#byContainer.get(containerId)
    if (task?.stage !== 'preparing') return
    if (failure !== undefined) {
      // Undone by whoever failed: nothing was placed, and nothing has to be destroyed.
      task.placed = []
      return this.#failLaunch(task, launchFailure(failure))
    }
    for (const { path, where, at, mode } of task.placed) {
      const shown = mode === undefined ? {} : { mode }
      this.#tell(task, { type: 'secret.placed', path, where, at: shortened(at), ...shown })
    }
    if (task.isKilled) return this.#endLaunch(task)
    task.stage = 'starting'
    this.#update(task, 'TASK_STARTING', 'SOURCE_EXECUTOR')
    this.#do({ do: 'start', containerId })
  }

  #started(containerId: string, failure: string | undefined): void {
    const task = this.#byContainer.get(containerId)
    if (task?.stage !== 'starting') return
    if (failure !== undefined) {
      task.end = {
        state: 'TASK_FAILED',
        source: 'SOURCE_AGENT',
        message: launchFailure(failure),
        reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      }
      return this.#destroy(task)
    }
    task.stage = 'running'
    this.#tell(task, { type: 'container.started' })
    // Once it was said that it is being killed, "running" would be a step back.
    if (!task.isKilled) this.#update(task, 'TASK_RUNNING', 'SOURCE_EXECUTOR')
    const longest = task.info.max_completion_time?.nanoseconds
    if (task.healthPlan !== undefined) task.health = new Health(task.healthPlan, this.#ticks)
    if (longest !== undefined) task.overdueAtTick = this.#ticks + this.#ticksIn(longest / 1e6)
    for (const { sessionId, follow } of task.waitingLogs.splice(0)) {
      this.#do({ do: 'open-logs', sessionId, containerId, follow })
    }
    if (task.isKilled) this.#terminate(task)
  }

  #failLaunch(task: AgentTask, message: string): void {
    this.#finish(task, {
      state: 'TASK_FAILED',
      source: 'SOURCE_AGENT',
      message,
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    })
  }

  /** A kill came while a container was being made, and it was made all the same. */
  #endLaunch(task: AgentTask): void {
    task.end = endOfKilledLaunch
    this.#destroy(task)
  }

  // ── ending ────────────────────────────────────────────────────────────────────────────────────

  #kill({ frameworkId, taskId, graceMs, tellKilling }: Told<'kill'>): void {
    const task = this.#tasks.get(taskKey({ frameworkId, taskId }))
    if (task === undefined) return
    this.#askToEnd(task, graceMs, tellKilling)
  }

  #askToEnd(task: AgentTask, graceMs: number, tellKilling: boolean): void {
    const killAtTick = this.#ticks + this.#ticksIn(graceMs)
    // A later kill may shorten the grace, not lengthen it.
    task.killAtTick = Math.min(task.killAtTick, killAtTick)
    if (task.isKilled) return
    task.isKilled = true
    if (task.stage === 'resolving') {
      task.abandon()
      return this.#finish(task, endOfKilledLaunch)
    }
    if (task.stage !== 'running' && task.stage !== 'starting') return
    if (tellKilling) this.#update(task, 'TASK_KILLING', 'SOURCE_EXECUTOR')
    if (task.stage === 'running') this.#terminate(task)
  }

  #terminate(task: AgentTask): void {
    const signal = task.killAtTick <= this.#ticks ? 'KILL' : 'TERM'
    this.#do({ do: 'signal', containerId: task.containerId, signal })
  }

  #exited(containerId: string, exit: ContainerExit): void {
    const task = this.#byContainer.get(containerId)
    if (task === undefined || task.exit !== undefined) return
    task.exit = exit
    if (task.stage === 'running' || task.stage === 'starting') this.#destroy(task)
  }

  #destroy(task: AgentTask): void {
    task.stage = 'ending'
    this.#do({ do: 'destroy', containerId: task.containerId })
  }

  #destroyed(containerId: string, failure: string | undefined): void {
    const task = this.#byContainer.get(containerId)
    if (task?.stage !== 'ending') return
    if (failure === undefined) this.#forgotten(task)
    this.#finish(task, task.end ?? endOf(task, task.exit))
  }

  #forgotten(task: AgentTask): void {
    const files = task.placed.filter(({ where }) => where === 'tmpfs').length
    const variables = task.placed.length - files
    if (task.placed.length > 0) this.#tell(task, { type: 'secret.forgotten', files, variables })
    task.placed = []
  }

  /** The last thing that is told of a task: nothing of its container is left by now. */
  #finish(task: AgentTask, end: TaskEnd): void {
    const wasContainer = task.exit !== undefined
    const wasMade = task.stage === 'ending'
    const exitCode = task.exit?.exitCode
    task.stage = 'ended'
    task.abandon = () => {}
    task.end = end
    this.#byContainer.delete(task.containerId)
    if (wasContainer) {
      const code = exitCode === undefined ? {} : { exitCode }
      this.#tell(task, { type: 'container.ended', ...code, why: shortened(end.message) })
    }
    for (const { sessionId } of task.waitingLogs.splice(0)) {
      this.#endSession(sessionId, { error: 'the container never started' })
    }
    if (wasContainer) this.#keepOutput(task, exitCode)
    else if (wasMade) this.#do({ do: 'forget-output', containerId: task.containerId })
    if (this.#isOver) {
      this.#tasks.delete(taskKey(task))
      return this.#beginAnewIfEmpty()
    }
    this.#update(task, end.state, end.source, end)
    this.#stoppedIfEmpty()
  }

  #keepOutput(task: AgentTask, exitCode: number | undefined): void {
    const key = taskKey(task)
    this.#forgetOutput(key)
    this.#ended.set(key, { containerId: task.containerId, exitCode })
    const [oldest] = this.#ended.keys()
    if (oldest !== undefined && this.#ended.size > this.#limits.endedOutputsMax) {
      this.#forgetOutput(oldest)
    }
  }

  #forgetOutput(key: string): void {
    const ended = this.#ended.get(key)
    if (ended === undefined) return
    this.#ended.delete(key)
    this.#do({ do: 'forget-output', containerId: ended.containerId })
  }

  /** Its last status is acknowledged. Its output may still be read. */
  #forget(task: TaskName): void {
    this.#tasks.delete(taskKey(task))
  }

  #stop(graceMs: number): void {
    this.#isStopping = true
    for (const task of this.#tasks.values()) this.#askToEnd(task, graceMs, false)
    this.#stoppedIfEmpty()
  }

  #stoppedIfEmpty(): void {
    if (this.#isStopping && this.#byContainer.size === 0) this.#do({ do: 'stopped' })
  }

  /** Without grace and without a word. */
  #endNow(task: AgentTask): void {
    task.isKilled = true
    switch (task.stage) {
      case 'resolving':
        task.abandon()
        return this.#finish(task, endOfKilledLaunch)
      case 'starting':
      case 'running':
        return this.#destroy(task)
      case 'ended':
        this.#tasks.delete(taskKey(task))
        return
      case 'preparing':
      case 'ending':
        return
    }
  }

  #tick(): void {
    this.#ticks++
    const isDue = this.#isConnected && !this.#isStopping && this.#ticks >= this.#registerAtTick
    if (isDue) this.#register()
    this.#updates.tick()
    for (const task of this.#byContainer.values()) this.#tickTask(task)
  }

  #tickTask(task: AgentTask): void {
    if (task.stage === 'resolving' && this.#ticks >= task.resolveAtTickMax) {
      task.abandon()
      const seconds = this.#limits.resolveTimeoutMs / 1000
      const why = `no master released its secrets within ${seconds} seconds`
      return this.#failLaunch(task, collectFailure(why))
    }
    if (task.stage !== 'running') return
    if (task.isKilled && this.#ticks >= task.killAtTick) {
      task.killAtTick = Infinity
      this.#do({ do: 'signal', containerId: task.containerId, signal: 'KILL' })
    } else if (!task.isKilled && this.#ticks >= task.overdueAtTick) {
      task.isOverdue = true
      this.#askToEnd(task, this.#graceMsOf(task), false)
    }
    if (task.health !== undefined && !task.isKilled) this.#tickHealth(task, task.health)
  }

  #graceMsOf({ info }: AgentTask): number {
    const own = info.kill_policy?.grace_period?.nanoseconds
    return own === undefined ? this.#limits.killGraceMs : own / 1e6
  }

  #tickHealth({ containerId }: AgentTask, health: Health): void {
    switch (health.tick(this.#ticks)) {
      case 'ask': {
        const { argv, env } = health.plan
        return this.#do({ do: 'check', containerId, argv, env })
      }
      case 'give-up':
        this.#do({ do: 'abandon-check', containerId })
        return this.#checked(containerId, false)
      case undefined:
        return
    }
  }

  #checked(containerId: string, isSuccess: boolean): void {
    const task = this.#byContainer.get(containerId)
    if (task?.stage !== 'running' || task.health === undefined || task.isKilled) return
    const { healthy, isOver } = task.health.checked(isSuccess, this.#ticks)
    if (healthy !== undefined) {
      const reason = 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED'
      this.#update(task, 'TASK_RUNNING', 'SOURCE_EXECUTOR', { reason })
    }
    if (!isOver) return
    task.isUnhealthy = true
    this.#askToEnd(task, this.#graceMsOf(task), false)
  }

  // ── sessions ──────────────────────────────────────────────────────────────────────────────────

  #openLogs({ sessionId, follow, ...name }: Told<'open-logs'>): void {
    const key = taskKey(name)
    const task = this.#tasks.get(key)
    this.#sessions.set(sessionId, { logsOf: key })
    if (task !== undefined && task.stage !== 'ended') {
      if (task.stage === 'running' || task.stage === 'ending') {
        const { containerId } = task
        return this.#do({ do: 'open-logs', sessionId, containerId, follow })
      }
      task.waitingLogs.push({ sessionId, follow })
      return
    }
    const ended = this.#ended.get(key)
    if (ended === undefined) {
      return this.#endSession(sessionId, { error: `there is no output of task ${name.taskId}` })
    }
    this.#do({ do: 'open-logs', sessionId, containerId: ended.containerId, follow })
  }

  #openExec({ sessionId, argv, env, ...name }: Told<'open-exec'>): void {
    const task = this.#tasks.get(taskKey(name))
    this.#sessions.set(sessionId, { logsOf: undefined })
    if (task?.stage !== 'running') {
      return this.#endSession(sessionId, { error: `task ${name.taskId} is not running` })
    }
    this.#do({ do: 'open-exec', sessionId, containerId: task.containerId, argv, env })
  }

  #toSession(sessionId: string, effect: AgentEffect): void {
    if (this.#sessions.has(sessionId)) this.#do(effect)
  }

  #closeSession(sessionId: string): void {
    if (this.#sessions.delete(sessionId)) this.#do({ do: 'close-session', sessionId })
    for (const { waitingLogs } of this.#byContainer.values()) {
      const index = waitingLogs.findIndex((one) => one.sessionId === sessionId)
      if (index >= 0) waitingLogs.splice(index, 1)
    }
  }

  #sessionOutput(sessionId: string, { stream, bytes }: OutputChunk): void {
    if (!this.#sessions.has(sessionId)) return
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
    this.#send({ type: 'session-output', sessionId, stream, data })
  }

  #sessionEnded(end: Extract<AgentInput, { kind: 'session-ended' }>): void {
    const { logsOf } = this.#sessions.get(end.sessionId) ?? {}
    const ofTask =
      logsOf === undefined
        ? undefined
        : (this.#tasks.get(logsOf)?.exit?.exitCode ?? this.#ended.get(logsOf)?.exitCode)
    const exitCode = end.exitCode ?? ofTask
    this.#endSession(end.sessionId, {
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(end.error === undefined ? {} : { error: shortened(end.error) }),
    })
  }

  #endSession(sessionId: string, end: { exitCode?: number; error?: string }): void {
    if (!this.#sessions.delete(sessionId)) return
    this.#send({ type: 'session-end', sessionId, ...end })
  }

  // ── saying ────────────────────────────────────────────────────────────────────────────────────

  #update(
    task: AgentTask,
    state: TaskState,
    source: 'SOURCE_AGENT' | 'SOURCE_EXECUTOR',
    more: { readonly message?: string; readonly reason?: TaskReason } = {},
  ): void {
    const { clock, random, ipAddress } = this.#options
    const address = { protocol: 'IPv4' as const, ip_address: ipAddress }
    const exitCode = task.exit?.exitCode
    const status: TaskStatus = {
      task_id: { value: task.taskId },
      state,
      source,
      ...(more.message === undefined ? {} : { message: more.message }),
      ...(more.reason === undefined ? {} : { reason: more.reason }),
      ...(this.#agentId === undefined ? {} : { agent_id: { value: this.#agentId } }),
      executor_id: { value: executorIdOf(task.info) },
      timestamp: clock.nowMs() / 1000,
      uuid: Buffer.from(uuidBytes(random)).toString('base64'),
      ...(task.health?.isHealthy === undefined ? {} : { healthy: task.health.isHealthy }),
      ...(exitCode === undefined
        ? {}
        : { labels: { labels: [{ key: exitCodeLabel, value: `${exitCode}` }] } }),
      container_status: {
        container_id: { value: task.containerId },
        network_infos: [{ ip_addresses: [address], groups: [], port_mappings: [] }],
      },
    }
    if (!this.#isOver) this.#updates.add(task, status)
  }

  #tell(task: AgentTask, told: TaskEvent): void {
    const { frameworkId, taskId, containerId } = task
    const agentId = this.#agentId ?? ''
    this.#report.add({ ...told, frameworkId, taskId, containerId, agentId })
  }

  #send(message: FromAgent): void {
    if (this.#isConnected) this.#do({ do: 'send', message })
  }

  #sendIfRegistered(message: FromAgent): void {
    if (this.#isRegistered) this.#send(message)
  }

  #do(effect: AgentEffect): void {
    this.#effects.push(effect)
  }

  #ticksIn(ms: number): number {
    return Math.ceil(ms / this.#limits.tickMs)
  }
}

type ContainerField = 'frameworkId' | 'taskId' | 'containerId' | 'agentId'
/** An event of one container, without the four names that all of them have. */
type TaskEvent = EventDraft extends infer Draft
  ? Draft extends { readonly containerId: string }
    ? Omit<Draft, ContainerField>
    : never
  : never

const endOfKilledLaunch: TaskEnd = {
  state: 'TASK_KILLED',
  source: 'SOURCE_AGENT',
  message: killedBeforeStart,
  reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
}

/** How a task ended whose program ran. */
function endOf(task: AgentTask, exit: ContainerExit = { exitCode: 137, signal: 'KILL' }): TaskEnd {
  const told = { source: 'SOURCE_EXECUTOR', message: exitMessage(exit) } as const
  if (task.isOverdue) {
    return { ...told, state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED' }
  }
  if (task.isUnhealthy) return { ...told, state: 'TASK_FAILED' }
  if (task.isKilled) return { ...told, state: 'TASK_KILLED' }
  return { ...told, state: exit.exitCode === 0 ? 'TASK_FINISHED' : 'TASK_FAILED' }
}

/** What of the resolved secrets the plan really places: an overridden variable is not among it. */
function placedIn(
  secrets: readonly PlannedSecret[],
  values: readonly { readonly path: string; readonly bytes: object }[],
  plan: Plan,
): readonly PlacedSecret[] {
  const kept = new Set(
    plan.flatMap((step): object[] => {
      if (step.do === 'write-file') return [step.bytes]
      return step.do === 'set-env' && typeof step.value !== 'string' ? [step.value] : []
    }),
  )
  return secrets.flatMap(({ placement }, index) => {
    const value = values[index]
    return value !== undefined && kept.has(value.bytes) ? [{ path: value.path, ...placement }] : []
  })
}

/** As long as a field of an event or an error of a session may be. */
const shortened = (text: string): string => (text.length > 1000 ? `${text.slice(0, 1000)}…` : text)

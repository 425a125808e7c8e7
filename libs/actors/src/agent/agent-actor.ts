import type { ContainerAbilities } from '@conclave/isolators'
import type { Core } from '@conclave/kernel'
import type { AgentInfo, FromAgent, ToAgent } from '@conclave/model'
import {
  ComposedResolver,
  OutsideResolver,
  StoreResolver,
  ValueResolver,
  type Resolver,
} from '@conclave/resolver'
import type { AgentEffect, AgentInput } from './agent-effect.ts'
import { usualAgentLimits, type AgentActorOptions, type AgentLimits } from './agent-options.ts'
import { AgentSessions } from './agent-sessions.ts'
import type { AgentTask } from './agent-task.ts'
import type { AgentApi } from './api/agent-api.ts'
import { AgentService } from './api/agent-service.ts'
import { Callers } from './api/callers.ts'
import { LocalSessions } from './api/local-sessions.ts'
import { executorIdOf } from './command.ts'
import { ContainerTree } from './container-tree.ts'
import { Endings } from './endings.ts'
import { EventReport } from './event-report.ts'
import { Executors } from './executors/executors.ts'
import { NestedContainers } from './executors/nested-containers.ts'
import { HealthChecks } from './health-checks.ts'
import { Launches } from './launches.ts'
import { Leaks } from './leaks/leaks.ts'
import { Rotations } from './rotations.ts'
import { StatusUpdates, taskKey, type TaskName } from './status-updates.ts'
import { TaskTeller } from './task-teller.ts'
import { shortened } from './wording.ts'

/** How long masters may think about who calls. */
const callerTimeoutMs = 5000

type Told<Type extends ToAgent['type']> = Extract<ToAgent, { type: Type }>

/**
 * One agent: launches what its master says, gives each container its secrets, and tells what became of
 * it. It has no clock of its own but ticks, and does nothing itself: it answers with effects.
 *
 * 1. A container starts only when all of its secrets are in their places; else it never was.
 * 2. A task has exactly one terminal status, told when nothing of its container is left.
 * 3. No effect but `prepare` carries a value, and no value outlives it here; unless it leaks as Mesos does (`leaks/`).
 */
export class AgentActor implements Core<AgentInput, AgentEffect> {
  readonly #options: AgentActorOptions
  readonly #limits: AgentLimits
  readonly #store: StoreResolver
  readonly #outside: OutsideResolver
  readonly #resolver: Resolver
  readonly #updates: StatusUpdates
  readonly #report: EventReport
  readonly #teller: TaskTeller
  readonly #sessions: AgentSessions
  readonly #rotations: Rotations
  readonly #executors: Executors
  readonly #callers: Callers
  readonly #local: LocalSessions
  readonly #leaks: Leaks | undefined
  readonly #nested: NestedContainers
  readonly #launches: Launches
  readonly #endings: Endings
  readonly #health: HealthChecks
  /** For whoever listens for HTTP on this agent's behalf. */
  readonly api: AgentApi
  readonly #tasks = new Map<string, AgentTask>()
  readonly #containers = new ContainerTree()
  #info: AgentInfo
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
    this.#info = options.info
    const { random, clock } = options
    this.#store = new StoreResolver({
      random,
      ask: (question) => this.#sendIfRegistered({ type: 'resolve', ...question }),
    })
    this.#outside = new OutsideResolver({
      ask: (question) => this.#do({ do: 'resolve-outside', question }),
      abandon: (questionId) => this.#do({ do: 'abandon-outside', questionId }),
    })
    const value = new ValueResolver()
    const byName = { store: this.#store, default: value, outside: this.#outside }
    const references = byName[options.references ?? 'store']
    this.#resolver = new ComposedResolver({ value, store: this.#store, references })
    this.#updates = new StatusUpdates({
      send: (message) => this.#send(message),
      onAllAcknowledged: (task) => this.#forget(task),
      retryFirstTicks: this.#ticksIn(this.#limits.statusRetryFirstMs),
      retryMaxTicks: this.#ticksIn(this.#limits.statusRetryMaxMs),
    })
    this.#report = new EventReport(clock)
    this.#teller = new TaskTeller({
      updates: this.#updates,
      report: this.#report,
      agentId: () => this.#agentId,
      isOver: () => this.#isOver,
      ipAddress: options.ipAddress,
      clock,
      random,
    })
    this.#leaks = options.faithfulLeaks === true ? this.#newLeaks() : undefined
    this.#executors = new Executors({
      limits: this.#limits,
      random,
      ticks: () => this.#ticks,
      ticksIn: (ms) => this.#ticksIn(ms),
      agentId: () => this.#agentId ?? '',
      agentInfo: () => ({ ...this.#info, id: { value: this.#agentId ?? '' } }),
      run: (request) => this.#launches.begin(request),
      proceed: (task) => this.#launches.proceed(task),
      giveUp: (task, end) => this.#endings.finish(task, end),
      askToEnd: (task, graceMs) => this.#endings.askToEnd(task, graceMs, false),
      endNow: (task) => this.#endings.endNow(task),
      graceMsOf: (task) => this.#endings.graceMsOf(task),
      tellOf: ({ executorId, containerId }, { frameworkId, taskId }, end) =>
        this.#teller.update({ frameworkId, taskId, executorId, containerId }, end),
      beforeTold: this.#leaks && ((...told) => this.#leaks?.ofTask(...told)),
      forward: (task, status) => this.#teller.forward(task, status),
      send: (message) => this.#sendIfRegistered(message),
      emit: (event) => this.#report.add(event),
    })
    this.#callers = new Callers({
      random,
      ask: (question) => this.#sendIfRegistered(question),
      isRegistered: () => this.#isRegistered,
      timeoutTicks: this.#ticksIn(callerTimeoutMs),
    })
    this.#local = new LocalSessions({ random, do: (effect) => this.#do(effect) })
    this.#nested = new NestedContainers({
      limits: this.#limits,
      get: (name) => this.#containers.get(name),
      run: (request) => this.#launches.begin(request),
      end: (task) => this.#endings.endNow(task),
      signal: (containerId, signal) => this.#do({ do: 'signal', containerId, signal }),
      executors: this.#executors,
      sessions: this.#local,
      agentId: () => this.#agentId ?? '',
      removed: (name) => this.#leaks?.removed(name),
    })
    this.api = new AgentService({
      options,
      agentId: () => this.#agentId,
      info: () => this.#info,
      isRegistered: () => this.#isRegistered,
      callers: this.#callers,
      executors: this.#executors,
      nested: this.#nested,
      sessions: this.#local,
      containers: () => [...this.#containers.values()],
      tasks: () => [...this.#tasks.values()],
      ended: () => this.#sessions.endedContainers(),
      leaked: this.#leaks?.values ?? new Map(),
      emit: (event) => this.#report.add(event),
    })
    const abilities = abilitiesOf(options)
    this.#rotations = new Rotations({
      abilities,
      limits: this.#limits.secrets,
      running: (containerId) => {
        const task = this.#containers.get(containerId)
        return task?.stage === 'running' && !task.isKilled ? task : undefined
      },
      resolver: this.#resolver,
      do: (effect) => this.#do(effect),
      send: (message) => this.#sendIfRegistered(message),
      teller: this.#teller,
      ticks: () => this.#ticks,
      timeoutTicks: this.#ticksIn(this.#limits.resolveTimeoutMs),
    })
    this.#sessions = new AgentSessions({
      taskOf: (name) =>
        this.#tasks.get(taskKey(name)) ?? this.#executors.taskOf(name)?.executor.run,
      endedOutputsMax: this.#limits.endedOutputsMax,
      do: (effect) => this.#do(effect),
    })
    this.#endings = new Endings({
      limits: this.#limits,
      tasks: this.#tasks,
      containers: this.#containers,
      sessions: this.#sessions,
      leaks: this.#leaks,
      teller: this.#teller,
      ticks: () => this.#ticks,
      ticksIn: (ms) => this.#ticksIn(ms),
      isOver: () => this.#isOver,
      groupTaskEnded: (task, end) => this.#executors.groupTaskEnded(task, end),
      gone: () => {
        this.#beginAnewIfEmpty()
        this.#stoppedIfEmpty()
      },
      do: (effect) => this.#do(effect),
    })
    this.#launches = new Launches({
      limits: this.#limits,
      abilities,
      ipAddress: options.ipAddress,
      executorTokenKey: options.executorTokenKey,
      agentId: () => this.#agentId ?? '',
      info: () => this.#info,
      isStopping: () => this.#isStopping,
      tasks: this.#tasks,
      containers: this.#containers,
      resolver: this.#resolver,
      values: value,
      isAskedOutside: options.references === 'outside',
      sessions: this.#sessions,
      leaks: this.#leaks,
      teller: this.#teller,
      endings: this.#endings,
      ticks: () => this.#ticks,
      ticksIn: (ms) => this.#ticksIn(ms),
      do: (effect) => this.#do(effect),
    })
    this.#health = new HealthChecks({
      containers: this.#containers,
      endings: this.#endings,
      teller: this.#teller,
      ticks: () => this.#ticks,
      do: (effect) => this.#do(effect),
    })
  }

  /** Containers that are being made, run, or are being ended. */
  get containerCount(): number {
    return this.#containers.size
  }

  /** Where this agent's own listener is. Said before it registers: offers name it. */
  listensOn(port: number): void {
    this.#info = { ...this.#info, port }
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
      case 'resolved-outside':
        this.#outside.answered(input.questionId, input.resolved)
        break
      case 'prepared':
        this.#launches.prepared(input.containerId, input.failure)
        break
      case 'files-replaced':
        this.#rotations.replaced(input)
        break
      case 'started':
        this.#launches.started(input.containerId, input.failure)
        break
      case 'exited':
        this.#endings.exited(input.containerId, input.exit)
        break
      case 'destroyed':
        this.#endings.destroyed(input.containerId, input.failure)
        break
      case 'session-output':
        if (!this.#local.output(input)) this.#sessions.output(input)
        break
      case 'session-taken':
        this.#sessions.taken(input)
        break
      case 'session-ended':
        if (!this.#local.ended(input)) this.#sessions.ended(input)
        break
      case 'checked':
        this.#health.checked(input.containerId, input.isSuccess)
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
    const { runtime } = this.#options
    const info = this.#info
    // What ended is listed until its last status is acknowledged: it is not lost, only not yet told.
    const known = [...this.#tasks.values(), ...this.#executors.tasks()]
    const tasks = known.map(({ frameworkId, taskId, recordId }) => ({
      frameworkId,
      taskId,
      containerId: recordId,
    }))
    const agentId = this.#agentId === undefined ? {} : { agentId: this.#agentId }
    const executors = this.#executors.running()
    this.#send({ type: 'register', ...agentId, info, runtime, tasks, executors })
  }

  #disconnected(): void {
    this.#isConnected = false
    this.#isRegistered = false
    this.#updates.disconnected()
    this.#sessions.closeAll()
    this.#callers.disconnected()
  }

  #told(message: ToAgent): void {
    switch (message.type) {
      case 'registered':
        return this.#registered(message.agentId)
      case 'not-leader':
        // The link follows it by itself.
        return
      case 'authority':
        // For whoever keeps the agent's certificate.
        return
      case 'masters':
        // For whoever keeps the link to them.
        return
      case 'shutdown':
        return this.#over()
      case 'launch':
        return this.#launch(message)
      case 'launch-group':
        return this.#launchGroup(message)
      case 'executor-message':
        return this.#executors.tellExecutor(message)
      case 'shutdown-executor':
        return this.#executors.shutdown(message)
      case 'caller-known':
        return this.#callers.answered(message)
      case 'kill':
        return this.#kill(message)
      case 'rotate-files':
        return this.#rotations.begin(message)
      case 'status-acknowledged':
        return this.#acknowledged(message)
      case 'resolved':
        return this.#store.answered(message.requestId, message.resolutions)
      case 'open-logs':
        return this.#sessions.openLogs(message)
      case 'open-exec':
        return this.#sessions.openExec(message)
      case 'open-usage':
        return this.#sessions.openUsage(message)
      case 'session-input':
        return this.#sessions.input(message)
      case 'session-input-end':
        return this.#sessions.endInput(message)
      case 'session-signal':
        return this.#sessions.signal(message)
      case 'session-resize':
        return this.#sessions.resize(message)
      case 'session-hold':
        return this.#sessions.hold(message.sessionId, true)
      case 'session-go':
        return this.#sessions.hold(message.sessionId, false)
      case 'session-close':
        return this.#sessions.close(message.sessionId)
      case 'signal-task':
        return this.#signal(message)
      case 'resize-task':
        return this.#resize(message)
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
    this.#executors.endAllNow()
    for (const task of this.#tasks.values()) this.#endings.endNow(task)
    for (const task of this.#containers.values()) this.#endings.endNow(task)
    this.#beginAnewIfEmpty()
  }

  #beginAnewIfEmpty(): void {
    if (!this.#isOver || this.#tasks.size > 0 || this.#containers.size > 0) return
    this.#isOver = false
    this.#agentId = undefined
    this.#report.clear()
    this.#do({ do: 'keep-agent-id', agentId: undefined })
    // Not at once: a master that refuses this agent for good would be asked without end.
    this.#registerAtTick = this.#ticks + this.#ticksIn(this.#limits.registerAgainMs)
  }

  // ── launching ─────────────────────────────────────────────────────────────────────────────────

  #launch(message: Told<'launch'>): void {
    const { frameworkId, framework, containerId, task: info } = message
    const taskId = info.task_id.value
    // Told twice, it is launched once.
    if (this.#isKnown({ frameworkId, taskId }) || this.#containers.has(containerId)) return
    if (this.#isOver) return
    if (info.executor !== undefined && info.command === undefined) {
      return this.#executors.launch(message)
    }
    const executorId = executorIdOf(info)
    const recordId = containerId
    const isCheckpointed = framework?.checkpoint === true
    const task = { frameworkId, taskId, executorId, containerId, recordId, info, isCheckpointed }
    this.#launches.begin({ role: 'task', ...task })
  }

  #launchGroup(message: Told<'launch-group'>): void {
    const { frameworkId } = message
    const tasks = message.tasks.filter(
      ({ task }) => !this.#isKnown({ frameworkId, taskId: task.task_id.value }),
    )
    if (tasks.length > 0 && !this.#isOver) this.#executors.launchGroup({ ...message, tasks })
  }

  #isKnown(name: TaskName): boolean {
    return this.#tasks.has(taskKey(name)) || this.#executors.taskOf(name) !== undefined
  }

  #newLeaks(): Leaks {
    return new Leaks({
      resolver: this.#resolver,
      random: this.#options.random,
      agentId: () => this.#agentId ?? '',
      runsKept: this.#limits.endedOutputsMax,
      leave: (at, bytes, mode) => this.#do({ do: 'leave-file', at, bytes, mode }),
      remove: (at) => this.#do({ do: 'remove-left', at }),
      tell: ({ frameworkId, taskId, containerId }, where, at) => {
        const container = { frameworkId, taskId, containerId, agentId: this.#agentId ?? '' }
        this.#report.add({ type: 'secret.leaked', ...container, where, at: shortened(at) })
      },
    })
  }

  #acknowledged(message: Told<'status-acknowledged'>): void {
    const status = this.#updates.acknowledge(message, message.uuid)
    if (status !== undefined) this.#executors.acknowledged(message, status)
  }

  // ── ending ────────────────────────────────────────────────────────────────────────────────────

  #kill({ frameworkId, taskId, graceMs, tellKilling }: Told<'kill'>): void {
    const task = this.#tasks.get(taskKey({ frameworkId, taskId }))
    if (task === undefined) {
      this.#executors.kill({ frameworkId, taskId }, graceMs)
      return
    }
    this.#endings.askToEnd(task, graceMs, tellKilling)
  }

  #signal({ frameworkId, taskId, signal }: Told<'signal-task'>): void {
    const task = this.#tasks.get(taskKey({ frameworkId, taskId }))
    if (task?.stage === 'running') this.#endings.signal(task, signal)
  }

  #resize({ frameworkId, taskId, rows, columns }: Told<'resize-task'>): void {
    const task = this.#tasks.get(taskKey({ frameworkId, taskId }))
    if (task?.stage !== 'running') return
    this.#do({ do: 'resize', containerId: task.containerId, size: { rows, columns } })
  }

  /** Its last status is acknowledged. Its output may still be read. */
  #forget(task: TaskName): void {
    this.#tasks.delete(taskKey(task))
  }

  #stop(graceMs: number): void {
    this.#isStopping = true
    for (const executor of this.#executors.all()) {
      this.#executors.shutDown(executor, 'shutdown', graceMs)
    }
    for (const task of this.#tasks.values()) this.#endings.askToEnd(task, graceMs, false)
    this.#nested.endAll()
    this.#stoppedIfEmpty()
  }

  #stoppedIfEmpty(): void {
    if (this.#isStopping && this.#containers.size === 0) this.#do({ do: 'stopped' })
  }

  #tick(): void {
    this.#ticks++
    const isDue = this.#isConnected && !this.#isStopping && this.#ticks >= this.#registerAtTick
    if (isDue) this.#register()
    this.#updates.tick()
    this.#executors.tick()
    this.#callers.tick()
    this.#rotations.tick()
    for (const task of this.#containers.values()) {
      this.#launches.tick(task)
      this.#endings.tick(task)
      this.#health.tick(task)
    }
  }

  // ── saying ────────────────────────────────────────────────────────────────────────────────────

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

function abilitiesOf(options: AgentActorOptions): ContainerAbilities {
  const { hasImages = false, simulatesImage, hasUris = false, isDockerFaithful = false } = options
  return { hasImages, simulatesImage, hasUris, isDockerFaithful }
}

import {
  checkContainer,
  planContainer,
  PlanRefused,
  type CheckedContainer,
  type ContainerAbilities,
  type SecretLimits,
} from '@conclave/isolators'
import { signExecutorToken } from '@conclave/crypto'
import type { Clock, Core, Random, RedactedBytes } from '@conclave/kernel'
import type { AgentInfo, EventDraft, FromAgent, TaskStatus, ToAgent } from '@conclave/model'
import {
  ComposedResolver,
  OutsideResolver,
  refusalIn,
  StoreResolver,
  ValueResolver,
  wipeResolved,
  type Resolved,
  type Resolver,
} from '@conclave/resolver'
import type { AgentEffect, AgentInput } from './agent-effect.ts'
import { AgentSessions } from './agent-sessions.ts'
import { terminalOf, type AgentTask, type RunRequest, type TaskEnd } from './agent-task.ts'
import {
  argumentsOf,
  commandOf,
  environmentOf,
  executorIdOf,
  executorVariables,
  userOf,
} from './command.ts'
import type { AgentApi } from './api/agent-api.ts'
import { AgentService } from './api/agent-service.ts'
import { Callers } from './api/callers.ts'
import { LocalSessions } from './api/local-sessions.ts'
import type { ContainerExit } from './container-runtime.ts'
import { ContainerTree } from './container-tree.ts'
import { EventReport } from './event-report.ts'
import { Executors, usualExecutorLimits, type ExecutorLimits } from './executors/executors.ts'
import { NestedContainers } from './executors/nested-containers.ts'
import { Health, healthPlanOf, type HealthPlan } from './health.ts'
import { Leaks } from './leaks/leaks.ts'
import { placedIn } from './placed-secrets.ts'
import { Rotations } from './rotations.ts'
import { StatusUpdates, taskKey, type TaskName } from './status-updates.ts'
import {
  endOf,
  endOfFailedLaunch,
  endOfKilledLaunch,
  endOfRefusedContainer,
  statusOf,
  type StatusSubject,
  type TaskNews,
} from './task-status.ts'
import { expandedCommand, expandedFiles, hostnameOf } from './templates.ts'
import {
  collectFailure,
  launchFailure,
  shortened,
  startFailure,
  unresolvedFile,
} from './wording.ts'

export interface AgentLimits extends ExecutorLimits {
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
  ...usualExecutorLimits,
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
  /**
   * Who answers references: the masters (`store`), nobody (`default`, as in Mesos without a module), or
   * a module that the machine loaded (`outside`).
   */
  readonly references?: 'store' | 'default' | 'outside'
  /** Whether the machine gets images. Where it does not, `container.mesos.image` is ignored. */
  readonly hasImages?: boolean
  /** Whether the machine has an image without asking a registry, with a config for one or without. */
  readonly simulatesImage?: ((name: string, hasConfig: boolean) => boolean) | undefined
  /** Signs what executors show at the agent's listener. Without it they are given nothing to show. */
  readonly executorTokenKey?: RedactedBytes
  /** Gives values away where Mesos does, on its disk too: for teaching, and never by default (ADR 38). */
  readonly faithfulLeaks?: boolean
  /** A call of the listener has left effects that should not wait for the next input. */
  readonly onWork?: () => void
  /** Whether it fetches `command.uris`. Where it does not, they are passed over. */
  readonly hasUris?: boolean
  /** Whether DOCKER containers lose their secrets without a word, as in Mesos. Else they are refused. */
  readonly isDockerFaithful?: boolean
}

/** How long masters may think about who calls. */
const callerTimeoutMs = 5000

interface CheckedTask {
  readonly container: CheckedContainer
  readonly healthPlan: HealthPlan | undefined
}

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
  readonly #values = new ValueResolver()
  readonly #resolver: Resolver
  readonly #updates: StatusUpdates
  readonly #report: EventReport
  readonly #sessions: AgentSessions
  readonly #rotations: Rotations
  readonly #executors: Executors
  readonly #callers: Callers
  readonly #local: LocalSessions
  readonly #leaks: Leaks | undefined
  readonly #nested: NestedContainers
  /** For whoever listens for HTTP on this agent's behalf. */
  readonly api: AgentApi
  readonly #tasks = new Map<string, AgentTask>()
  readonly #byContainer = new ContainerTree()
  /** To be destroyed as soon as nothing is nested in them any more. */
  readonly #emptying = new Set<AgentTask>()
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
    const value = this.#values
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
    this.#leaks = options.faithfulLeaks === true ? this.#newLeaks() : undefined
    this.#executors = new Executors({
      limits: this.#limits,
      random,
      ticks: () => this.#ticks,
      ticksIn: (ms) => this.#ticksIn(ms),
      agentId: () => this.#agentId ?? '',
      agentInfo: () => ({ ...this.#info, id: { value: this.#agentId ?? '' } }),
      run: (request) => this.#begin(request),
      proceed: (task) => this.#proceed(task),
      giveUp: (task, end) => this.#finish(task, end),
      askToEnd: (task, graceMs) => this.#askToEnd(task, graceMs, false),
      endNow: (task) => this.#endNow(task),
      graceMsOf: (task) => this.#graceMsOf(task),
      tellOf: ({ executorId, containerId }, { frameworkId, taskId }, end) =>
        this.#update({ frameworkId, taskId, executorId, containerId }, end),
      beforeTold: this.#leaks && ((...told) => this.#leaks?.ofTask(...told)),
      forward: (task, status) => this.#forward(task, status),
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
      get: (name) => this.#byContainer.get(name),
      run: (request) => this.#begin(request),
      end: (task) => this.#endNow(task),
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
      containers: () => [...this.#byContainer.values()],
      tasks: () => [...this.#tasks.values()],
      ended: () => this.#sessions.endedContainers(),
      leaked: this.#leaks?.values ?? new Map(),
      emit: (event) => this.#report.add(event),
    })
    this.#rotations = new Rotations({
      abilities: this.#abilities(),
      limits: this.#limits.secrets,
      running: (containerId) => {
        const task = this.#byContainer.get(containerId)
        return task?.stage === 'running' && !task.isKilled ? task : undefined
      },
      resolver: this.#resolver,
      do: (effect) => this.#do(effect),
      send: (message) => this.#sendIfRegistered(message),
      placed: (task, checked, values) => this.#placedAnew(task, checked, values),
      ticks: () => this.#ticks,
      timeoutTicks: this.#ticksIn(this.#limits.resolveTimeoutMs),
    })
    this.#sessions = new AgentSessions({
      taskOf: (name) =>
        this.#tasks.get(taskKey(name)) ?? this.#executors.taskOf(name)?.executor.run,
      endedOutputsMax: this.#limits.endedOutputsMax,
      do: (effect) => this.#do(effect),
    })
  }

  /** Containers that are being made, run, or are being ended. */
  get containerCount(): number {
    return this.#byContainer.size
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
        this.#prepared(input.containerId, input.failure)
        break
      case 'files-replaced':
        this.#rotations.replaced(input)
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
        if (!this.#local.output(input)) this.#sessions.output(input)
        break
      case 'session-taken':
        this.#sessions.taken(input)
        break
      case 'session-ended':
        if (!this.#local.ended(input)) this.#sessions.ended(input)
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
    for (const task of this.#tasks.values()) this.#endNow(task)
    for (const task of this.#byContainer.values()) this.#endNow(task)
    this.#beginAnewIfEmpty()
  }

  #beginAnewIfEmpty(): void {
    if (!this.#isOver || this.#tasks.size > 0 || this.#byContainer.size > 0) return
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
    if (this.#isKnown({ frameworkId, taskId }) || this.#byContainer.has(containerId)) return
    if (this.#isOver) return
    if (info.executor !== undefined && info.command === undefined) {
      return this.#executors.launch(message)
    }
    const executorId = executorIdOf(info)
    const recordId = containerId
    const isCheckpointed = framework?.checkpoint === true
    const task = { frameworkId, taskId, executorId, containerId, recordId, info, isCheckpointed }
    this.#begin({ role: 'task', ...task })
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

  #begin(request: RunRequest): AgentTask {
    const checked = this.#check(request)
    const isRefused = checked instanceof PlanRefused
    const task: AgentTask = {
      ...request,
      checked: isRefused ? undefined : checked.container,
      healthPlan: isRefused ? undefined : checked.healthPlan,
      health: undefined,
      stage: request.isWaiting === true ? 'waiting' : 'resolving',
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
    if (request.owner === undefined) this.#tasks.set(taskKey(request), task)
    this.#byContainer.add(task)
    if (task.stage === 'resolving') this.#resolveOr(task, isRefused ? checked : undefined)
    return task
  }

  /** Its executor's container is there. */
  #proceed(task: AgentTask): void {
    if (task.stage !== 'waiting') return
    task.stage = 'resolving'
    task.resolveAtTickMax = this.#ticks + this.#ticksIn(this.#limits.resolveTimeoutMs)
    const checked = this.#check(task)
    this.#resolveOr(task, checked instanceof PlanRefused ? checked : undefined)
  }

  #resolveOr(task: AgentTask, refusal: PlanRefused | undefined): void {
    if (refusal !== undefined) return this.#failLaunch(task, refusal.message)
    if (this.#isStopping) return this.#failLaunch(task, 'the agent is stopping')
    if (task.checked !== undefined) this.#resolve(task, task.checked)
  }

  #check({ info, command: own, container: ownContainer }: RunRequest): CheckedTask | PlanRefused {
    try {
      const ofContainer = ownContainer ?? info.container
      const command = expandedCommand(own ?? commandOf(info), ofContainer)
      const abilities = this.#abilities()
      const container = checkContainer(command, ofContainer, abilities)
      argumentsOf(command, container.image)
      const healthPlan = healthPlanOf(info, (ms) => this.#ticksIn(ms))
      return { container, healthPlan }
    } catch (refusal) {
      if (refusal instanceof PlanRefused) return refusal
      throw refusal
    }
  }

  #resolve(task: AgentTask, checked: CheckedContainer): void {
    const { frameworkId, taskId, recordId: containerId } = task
    const wanted = checked.secrets.map(({ secret, purpose }) => ({ secret, purpose }))
    let isAnswered = false
    const resolver = task.isStandalone === true ? this.#values : this.#resolver
    const abandon = resolver.resolve({ frameworkId, taskId, containerId }, wanted, (resolved) => {
      isAnswered = true
      this.#resolved(task, checked, resolved)
    })
    if (!isAnswered) task.abandon = abandon
  }

  #resolved(task: AgentTask, checked: CheckedContainer, resolved: readonly Resolved[]): void {
    if (task.stage !== 'resolving') return wipeResolved(resolved)
    task.abandon = () => {}
    this.#leaks?.resolved(task, checked, resolved)
    const refusal = refusalIn(resolved)
    if (refusal !== undefined) {
      wipeResolved(resolved)
      const { placement, file } = checked.secrets[resolved.indexOf(refusal)] ?? {}
      // Images are provisioned by somebody else than isolators, who has no such prefix.
      const isOutside = placement?.where === 'image' || placement?.where === 'uri'
      const message = isOutside ? refusal.why : collectFailure(refusal.why)
      return this.#failLaunch(
        task,
        file?.object_id === undefined ? message : unresolvedFile(file, refusal),
      )
    }
    const values = resolved.filter((one) => one.outcome === 'value')
    for (const { path, version, bytes } of values) {
      const sizeBytes = bytes.reveal().length
      this.#tell(task, { type: 'secret.resolved', path, version, sizeBytes })
    }
    const user = userOf(checked.command)
    const bytes = values.map((one) => one.bytes)
    try {
      const { service } = task.info.container ?? {}
      const hostname = hostnameOf(task.info.container) ?? task.containerId.slice(0, 12)
      const contents = expandedFiles(checked.secrets, bytes, checked.command, service)
      const plan = planContainer(
        checked,
        {
          owner: { uid: user.uid, gid: user.gid },
          environment: this.#environmentOf(task),
          limits: this.#limits.secrets,
        },
        contents,
      )
      const placed = values.map((value, at) => ({ ...value, bytes: contents[at] ?? value.bytes }))
      task.placed = placedIn(checked.secrets, placed, plan)
      task.stage = 'preparing'
      const { containerId } = task
      const { command } = checked
      const argv = argumentsOf(command, checked.image)
      const kind = task.hasToken === true ? { isExecutor: true } : {}
      const terminal = terminalOf(task)
      const workdir = service?.workdir === undefined ? {} : { workdir: service.workdir }
      const helpers = this.#leaks?.planned(task, command, plan)
      const shown = helpers === undefined ? {} : { helpers }
      const input = service?.open_stdin === true ? { hasInput: true } : {}
      const how = { ...workdir, ...kind, ...terminal, ...input, ...shown }
      this.#do({
        do: 'prepare',
        spec: { containerId, hostname, argv, command, user, ...how },
        plan,
      })
    } catch (refused) {
      if (!(refused instanceof PlanRefused)) throw refused
      wipeResolved(resolved)
      this.#failLaunch(task, refused.message)
    }
  }

  #abilities(): ContainerAbilities {
    const { hasImages = false, simulatesImage, hasUris = false } = this.#options
    const { isDockerFaithful = false } = this.#options
    return { hasImages, simulatesImage, hasUris, isDockerFaithful }
  }

  /** What its files are of now. */
  #placedAnew(
    task: AgentTask,
    checked: CheckedContainer,
    values: readonly { readonly path: string }[],
  ): void {
    const files = checked.secrets.filter(({ placement }) => placement.where === 'tmpfs')
    for (const [index, { path }] of values.entries()) {
      const { placement } = files[index] ?? {}
      if (placement?.where !== 'tmpfs') continue
      const { where, at, mode } = placement
      this.#tell(task, { type: 'secret.placed', path, where, at: shortened(at), mode })
    }
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

  #prepared(containerId: string, failure: string | undefined): void {
    const task = this.#byContainer.get(containerId)
    if (task?.stage !== 'preparing') return
    if (failure !== undefined) {
      // Undone by whoever failed: nothing was placed, and nothing has to be destroyed.
      task.placed = []
      if (task.isKilled) return this.#finish(task, endOfKilledLaunch)
      return this.#failLaunch(task, failure)
    }
    for (const { path, where, at, mode } of task.placed) {
      const shown = mode === undefined ? {} : { mode }
      this.#tell(task, { type: 'secret.placed', path, where, at: shortened(at), ...shown })
    }
    this.#leaks?.prepared(task)
    if (task.isKilled) return this.#endLaunch(task)
    task.stage = 'starting'
    this.#update(task, { state: 'TASK_STARTING', source: 'SOURCE_EXECUTOR' })
    this.#do({ do: 'start', containerId })
  }

  #started(containerId: string, failure: string | undefined): void {
    const task = this.#byContainer.get(containerId)
    if (task?.stage !== 'starting') return
    if (failure !== undefined) {
      task.end = this.#endOfFailedStart(task, failure)
      return this.#destroy(task)
    }
    task.stage = 'running'
    this.#tell(task, { type: 'container.started' })
    // Once it was said that it is being killed, "running" would be a step back.
    if (!task.isKilled) this.#update(task, { state: 'TASK_RUNNING', source: 'SOURCE_EXECUTOR' })
    const longest = task.info.max_completion_time?.nanoseconds
    if (task.healthPlan !== undefined) task.health = new Health(task.healthPlan, this.#ticks)
    if (longest !== undefined) task.overdueAtTick = this.#ticks + this.#ticksIn(longest / 1e6)
    this.#sessions.started(task)
    task.owner?.started()
    if (task.isKilled) this.#terminate(task)
  }

  #failLaunch(task: AgentTask, why: string): void {
    // A default executor says that it starts before it asks for a container.
    if (task.role === 'group-task') {
      this.#update(task, { state: 'TASK_STARTING', source: 'SOURCE_EXECUTOR' })
    }
    this.#finish(task, this.#endOfFailedStart(task, why))
  }

  /** Of a service in the Engine's words, for which Docker's clients look. */
  #endOfFailedStart(task: AgentTask, why: string): TaskEnd {
    const isOfService = task.info.container?.service !== undefined
    return isOfService ? endOfFailedLaunch(startFailure(why)) : endOfFailedRun(task, why)
  }

  #environmentOf({ info, frameworkId, executorId, containerId, hasToken }: AgentTask) {
    const place = {
      agentId: this.#agentId ?? '',
      ipAddress: this.#options.ipAddress,
      port: this.#info.port ?? 5051,
    }
    const usual = new Map([
      ...environmentOf(info, frameworkId, place),
      ['MESOS_EXECUTOR_ID', executorId],
    ])
    if (hasToken !== true) return usual
    const { executorTokenKey: key } = this.#options
    const claims = { fid: frameworkId, eid: executorId, cid: containerId }
    const token = key && signExecutorToken(key, claims)
    const shutdownGraceMs = this.#limits.executorShutdownMs
    return new Map([...usual, ...executorVariables({ executorId, token, shutdownGraceMs })])
  }

  #acknowledged(message: Told<'status-acknowledged'>): void {
    const status = this.#updates.acknowledge(message, message.uuid)
    if (status !== undefined) this.#executors.acknowledged(message, status)
  }

  #forward(task: TaskName, status: TaskStatus): void {
    const isRepeated = this.#updates.isWaiting(task, status.uuid)
    if (this.#isOver || isRepeated || this.#updates.isFull(task)) return
    this.#updates.add(task, {
      ...status,
      agent_id: { value: this.#agentId ?? '' },
      timestamp: status.timestamp ?? this.#options.clock.nowMs() / 1000,
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
    if (task === undefined) {
      this.#executors.kill({ frameworkId, taskId }, graceMs)
      return
    }
    this.#askToEnd(task, graceMs, tellKilling)
  }

  #askToEnd(task: AgentTask, graceMs: number, tellKilling: boolean): void {
    const killAtTick = this.#ticks + this.#ticksIn(graceMs)
    // A later kill may shorten the grace, not lengthen it.
    task.killAtTick = Math.min(task.killAtTick, killAtTick)
    if (task.isKilled) return
    task.isKilled = true
    if (task.stage === 'waiting' || task.stage === 'resolving') {
      task.abandon()
      return this.#finish(task, endOfKilledLaunch)
    }
    if (task.stage === 'preparing') {
      this.#do({ do: 'abandon-prepare', containerId: task.containerId })
    }
    if (task.stage !== 'running' && task.stage !== 'starting') return
    if (tellKilling) this.#update(task, { state: 'TASK_KILLING', source: 'SOURCE_EXECUTOR' })
    if (task.stage === 'running') this.#terminate(task)
  }

  #signal({ frameworkId, taskId, signal }: Extract<ToAgent, { type: 'signal-task' }>): void {
    const task = this.#tasks.get(taskKey({ frameworkId, taskId }))
    if (task?.stage !== 'running') return
    this.#do(
      signal === undefined
        ? endingOf(task)
        : { do: 'signal', containerId: task.containerId, signal },
    )
  }

  #resize({ frameworkId, taskId, rows, columns }: Told<'resize-task'>): void {
    const task = this.#tasks.get(taskKey({ frameworkId, taskId }))
    if (task?.stage !== 'running') return
    this.#do({ do: 'resize', containerId: task.containerId, size: { rows, columns } })
  }

  #terminate(task: AgentTask): void {
    const { containerId } = task
    const isOverdue = task.killAtTick <= this.#ticks
    const ending = isOverdue
      ? ({ do: 'signal', containerId, signal: 'KILL' } as const)
      : endingOf(task)
    // There is nothing stronger that could follow.
    if (ending.do === 'signal' && ending.signal === 'KILL') task.killAtTick = Infinity
    this.#do(ending)
  }

  #exited(containerId: string, exit: ContainerExit): void {
    const task = this.#byContainer.get(containerId)
    if (task === undefined || task.exit !== undefined) return
    task.exit = exit
    if (task.stage === 'running' || task.stage === 'starting') this.#destroy(task)
  }

  /** What is nested in a container goes first: nothing outlives the place it is in. */
  #destroy(task: AgentTask): void {
    task.stage = 'ending'
    const nested = this.#byContainer.nestedIn(task.containerId)
    if (nested.length === 0) return this.#do({ do: 'destroy', containerId: task.containerId })
    this.#emptying.add(task)
    for (const one of nested) this.#endNow(one)
  }

  /** A container that waited for those within it to end. */
  #destroyEmptied(): void {
    for (const task of this.#emptying) {
      if (this.#byContainer.hasNested(task.containerId)) continue
      this.#emptying.delete(task)
      this.#do({ do: 'destroy', containerId: task.containerId })
    }
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
    this.#byContainer.delete(task)
    this.#emptying.delete(task)
    this.#leaks?.gone(task)
    if (wasContainer) {
      const code = exitCode === undefined ? {} : { exitCode }
      this.#tell(task, { type: 'container.ended', ...code, why: shortened(end.message) })
    }
    this.#sessions.neverStarted(task)
    if (wasContainer && task.owner === undefined) this.#sessions.keepOutput(task)
    else if (wasMade) this.#do({ do: 'forget-output', containerId: task.containerId })
    this.#destroyEmptied()
    if (this.#isOver) {
      this.#tasks.delete(taskKey(task))
      // Whoever has it on this agent forgets it, too: no master hears of it.
      task.owner?.ended(end, task.exit)
      return this.#beginAnewIfEmpty()
    }
    if (task.owner === undefined) this.#update(task, end)
    else task.owner.ended(end, task.exit)
    if (task.role === 'group-task') this.#executors.groupTaskEnded(task, end)
    this.#stoppedIfEmpty()
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
    for (const task of this.#tasks.values()) this.#askToEnd(task, graceMs, false)
    this.#nested.endAll()
    this.#stoppedIfEmpty()
  }

  #stoppedIfEmpty(): void {
    if (this.#isStopping && this.#byContainer.size === 0) this.#do({ do: 'stopped' })
  }

  /** Without grace and without a word. */
  #endNow(task: AgentTask): void {
    task.isKilled = true
    switch (task.stage) {
      case 'waiting':
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
        return this.#do({ do: 'abandon-prepare', containerId: task.containerId })
      case 'ending':
        return
    }
  }

  #tick(): void {
    this.#ticks++
    const isDue = this.#isConnected && !this.#isStopping && this.#ticks >= this.#registerAtTick
    if (isDue) this.#register()
    this.#updates.tick()
    this.#executors.tick()
    this.#callers.tick()
    this.#rotations.tick()
    for (const task of this.#byContainer.values()) this.#tickTask(task)
  }

  #tickTask(task: AgentTask): void {
    if (task.stage === 'resolving' && this.#ticks >= task.resolveAtTickMax) {
      task.abandon()
      const seconds = this.#limits.resolveTimeoutMs / 1000
      const who = this.#options.references === 'outside' ? 'nobody' : 'no master'
      const why = `${who} released its secrets within ${seconds} seconds`
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
      this.#update(task, { state: 'TASK_RUNNING', source: 'SOURCE_EXECUTOR', reason })
    }
    if (!isOver) return
    task.isUnhealthy = true
    this.#askToEnd(task, this.#graceMsOf(task), false)
  }

  // ── saying ────────────────────────────────────────────────────────────────────────────────────

  #update(task: StatusSubject & TaskName & Partial<RunRequest>, news: TaskNews): void {
    if (this.#isOver || task.owner !== undefined) return
    const { clock, random, ipAddress } = this.#options
    const agentId = this.#agentId
    this.#updates.add(task, statusOf(task, news, { agentId, ipAddress, clock, random }))
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

/** How a container that could not be made ends whoever it was for. */
const endOfFailedRun = ({ role }: AgentTask, why: string): TaskEnd =>
  role === 'group-task' || role === 'nested'
    ? endOfRefusedContainer(why)
    : endOfFailedLaunch(launchFailure(why))

type ContainerField = 'frameworkId' | 'taskId' | 'containerId' | 'agentId'
/** An event of one container, without the four names that all of them have. */
type TaskEvent = EventDraft extends infer Draft
  ? Draft extends { readonly containerId: string; readonly taskId: string }
    ? Omit<Draft, ContainerField>
    : never
  : never

/** What asks a task's program to end: its service's signal, else its image's where Docker would look there. */
function endingOf({ containerId, info, command }: AgentTask) {
  const { stop_signal: signal } = info.container?.service ?? {}
  const isDockers = (command ?? info.command)?.docker_arguments === true
  return signal === undefined && isDockers
    ? ({ do: 'ask-to-end', containerId } as const)
    : ({ do: 'signal', containerId, signal: signal ?? 'TERM' } as const)
}

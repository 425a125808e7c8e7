import { uuid, type Random } from '@conclave/kernel'
import {
  isTerminal,
  parseOurs,
  TaskInfo,
  type AgentInfo,
  type EventDraft,
  type ExecutorCall,
  type ExecutorInfo,
  type FromAgent,
  type FrameworkInfo,
  type RunningExecutor,
  type TaskStatus,
  type ToAgent,
} from '@conclave/model'
import type { AgentTask, RunRequest, TaskEnd } from '../agent-task.ts'
import { containerIdOf, rootOf } from '../container-name.ts'
import type { ContainerExit } from '../container-runtime.ts'
import type { TaskName } from '../status-updates.ts'
import { endOfKilledLaunch } from '../task-status.ts'
import { shortened } from '../wording.ts'
import { type Executor, type ExecutorConnection, type ExecutorTask } from './executor.ts'

type Told<Type extends ToAgent['type']> = Extract<ToAgent, { type: Type }>

export interface ExecutorLimits {
  /** Between the start of an executor and its first SUBSCRIBE. */
  readonly executorRegistrationMs: number
  /** Between the end of an executor's stream and its next SUBSCRIBE. */
  readonly executorAwayMs: number
  /** Between SHUTDOWN and the end of its container, unless the executor says otherwise. */
  readonly executorShutdownMs: number
  readonly executorHeartbeatMs: number
}

/** Source: mesos.md §8; upstream waits for the first SUBSCRIBE as long, and 15 s for the next. */
export const usualExecutorLimits: ExecutorLimits = {
  executorRegistrationMs: 60_000,
  executorAwayMs: 15_000,
  executorShutdownMs: 5000,
  executorHeartbeatMs: 1_800_000,
}

/** What executors need of the agent they are on. */
export interface ExecutorHost {
  readonly limits: ExecutorLimits
  readonly random: Random
  readonly ticks: () => number
  readonly ticksIn: (ms: number) => number
  readonly agentInfo: () => AgentInfo
  /** Begins to make a container. */
  readonly run: (request: RunRequest) => AgentTask
  /** Goes on with a container that waited for its executor's. */
  readonly proceed: (task: AgentTask) => void
  /** The executor's container never was one: the end of a task that waited for it. */
  readonly giveUp: (task: AgentTask, end: TaskEnd) => void
  readonly askToEnd: (task: AgentTask, graceMs: number) => void
  readonly endNow: (task: AgentTask) => void
  readonly graceMsOf: (task: AgentTask) => number
  /** Completes a status of the agent's own, and sends it. */
  readonly tellOf: (executor: Executor, task: ExecutorTask, end: TaskEnd) => void
  /** Gets what an executor is told of a task beside what the masters said, and then calls `then`. */
  readonly beforeTold?:
    | ((executor: Executor, task: ExecutorTask, then: () => void) => void)
    | undefined
  /** Sends a status that an executor made. */
  readonly forward: (task: TaskName, status: TaskStatus) => void
  readonly send: (message: FromAgent) => void
  readonly emit: (event: EventDraft) => void
  readonly agentId: () => string
}

/** What runs where nothing but a place is needed: the containers of a group lie below it. */
const pause = 'sleep infinity'

/**
 * Executors of one agent, and the tasks that they were given. A default executor is part of this agent:
 * its container is a place, and the containers of its tasks are nested in it. A custom one is a program
 * that subscribes at the agent's listener. Source: mesos.md §8.
 */
export class Executors {
  readonly #host: ExecutorHost
  /** By container: one that is ending may have a successor of its name already. */
  readonly #executors = new Map<string, Executor>()
  /** Those of one name that are known, the newest last. */
  readonly #named = new Map<string, readonly Executor[]>()
  /** Whose each task of theirs is: no two of a framework's have one name. */
  readonly #byTask = new Map<string, Executor>()

  constructor(host: ExecutorHost) {
    this.#host = host
  }

  all(): Iterable<Executor> {
    return this.#executors.values()
  }

  /** The one of that name; of two, the one that is not ending. */
  get(frameworkId: string, executorId: string): Executor | undefined {
    const known = this.#named.get(keyOf(frameworkId, executorId)) ?? []
    const named = known.filter(({ stage }) => stage !== 'ended')
    return named.find(isOpen) ?? named[0]
  }

  /** Whose container it is, or is in. */
  ofContainer(root: string): Executor | undefined {
    const executor = this.#executors.get(root)
    return executor?.stage === 'ended' ? undefined : executor
  }

  /** A task that has no container of its own. */
  taskOf({
    frameworkId,
    taskId,
  }: TaskName): { executor: Executor; task: ExecutorTask } | undefined {
    const executor = this.#byTask.get(keyOf(frameworkId, taskId))
    const task = executor?.tasks.get(taskId)
    return executor === undefined || task === undefined ? undefined : { executor, task }
  }

  get isEmpty(): boolean {
    return this.#executors.values().every(({ stage }) => stage === 'ended')
  }

  tasks(): readonly ExecutorTask[] {
    return [...this.#executors.values()].flatMap(({ tasks }) => [...tasks.values()])
  }

  /** Those of frameworks' own that hold resources, for a master that may not know of them. */
  running(): readonly RunningExecutor[] {
    return [...this.#executors.values()]
      .filter(({ kind, stage }) => kind === 'custom' && stage !== 'ended')
      .map(({ frameworkId, executorId, containerId, info }) => {
        return { frameworkId, executorId, containerId, info }
      })
  }

  // ── launching ─────────────────────────────────────────────────────────────────────────────────

  /** A task for an executor of the framework's own, which is started when it is not there. */
  launch({ frameworkId, framework, containerId, task }: Told<'launch'>): void {
    const { executor: info } = task
    if (info === undefined) return
    this.#give(frameworkId, framework, info, [{ containerId, task }], undefined)
  }

  launchGroup({ frameworkId, framework, executor: info, tasks }: Told<'launch-group'>): void {
    const groupId = uuid(this.#host.random)
    if (info.type !== 'DEFAULT') return this.#give(frameworkId, framework, info, tasks, groupId)
    const executorId = info.executor_id.value
    const executor =
      this.#open(frameworkId, executorId) ??
      this.#begin('default', frameworkId, framework, info, uuid(this.#host.random))
    const { containerId: parent } = executor
    for (const { containerId: recordId, task } of tasks) {
      const containerId = `${parent}.${recordId}`
      const run = this.#host.run({
        role: 'group-task',
        frameworkId,
        taskId: task.task_id.value,
        executorId,
        containerId,
        recordId,
        info: task,
        groupId,
        isWaiting: true,
        isCheckpointed: executor.framework?.checkpoint === true,
      })
      executor.live.add(run)
    }
    if (executor.stage === 'starting' && executor.run === undefined) this.#start(executor)
    else if (executor.stage !== 'starting') this.#proceed(executor)
  }

  #open(frameworkId: string, executorId: string): Executor | undefined {
    const executor = this.get(frameworkId, executorId)
    return executor !== undefined && isOpen(executor) ? executor : undefined
  }

  #give(
    frameworkId: string,
    framework: FrameworkInfo | undefined,
    info: ExecutorInfo,
    tasks: Told<'launch-group'>['tasks'],
    groupId: string | undefined,
  ): void {
    const known = this.#open(frameworkId, info.executor_id.value)
    const containerId = tasks[0]?.containerId ?? uuid(this.#host.random)
    const executor = known ?? this.#begin('custom', frameworkId, framework, info, containerId)
    const { beforeTold } = this.#host
    const given: ExecutorTask[] = []
    for (const { containerId: recordId, task } of tasks) {
      const taskId = task.task_id.value
      if (executor.tasks.has(taskId)) continue
      given.push({
        frameworkId,
        taskId,
        recordId,
        info: task,
        groupId,
        isQueued: true,
        isReady: beforeTold === undefined,
        isKilled: false,
        graceMs: 0,
        state: 'TASK_STAGING',
      })
    }
    for (const task of given) {
      executor.tasks.set(task.taskId, task)
      this.#byTask.set(keyOf(frameworkId, task.taskId), executor)
    }
    for (const task of given) {
      beforeTold?.(executor, task, () => {
        task.isReady = true
        this.#deliver(executor)
      })
    }
    if (known === undefined) this.#start(executor)
    else this.#deliver(executor)
  }

  #begin(
    kind: Executor['kind'],
    frameworkId: string,
    framework: FrameworkInfo | undefined,
    info: ExecutorInfo,
    containerId: string,
  ): Executor {
    const executorId = info.executor_id.value
    const executor: Executor = {
      frameworkId,
      executorId,
      kind,
      containerId,
      info,
      framework,
      tasks: new Map(),
      live: new Set(),
      run: undefined,
      stage: 'starting',
      connection: undefined,
      dueAtTick: Infinity,
      heartbeatAtTick: Infinity,
      why: undefined,
    }
    this.#executors.set(containerId, executor)
    const key = keyOf(frameworkId, executorId)
    this.#named.set(key, [...(this.#named.get(key) ?? []), executor])
    if (kind === 'custom') {
      this.#host.send({ type: 'executor-started', frameworkId, executorId, containerId })
    }
    return executor
  }

  #start(executor: Executor): void {
    const { frameworkId, executorId, containerId, info, kind } = executor
    // Grants are a task's: what its executor needs was granted with the first.
    const first = [...executor.tasks.values()][0]?.taskId ?? [...executor.live][0]?.taskId ?? ''
    executor.run = this.#host.run({
      role: 'executor',
      frameworkId,
      taskId: first,
      executorId,
      containerId,
      recordId: containerId,
      info: parseOurs(TaskInfo, {
        name: info.name ?? executorId,
        task_id: { value: first },
        agent_id: { value: this.#host.agentId() },
      }),
      command: kind === 'default' ? { uris: [], arguments: [], value: pause } : info.command,
      container: info.container,
      executor: info,
      isCheckpointed: executor.framework?.checkpoint === true,
      hasToken: kind === 'custom',
      owner: {
        started: () => this.#started(executor),
        ended: (end, exit) => this.#ended(executor, end, exit),
      },
    })
  }

  #started(executor: Executor): void {
    this.#emit('executor.started', executor)
    if (executor.stage === 'terminating') return this.#endContainer(executor)
    if (executor.kind === 'default') {
      executor.stage = 'running'
      return this.#proceed(executor)
    }
    if (executor.stage !== 'starting') return
    executor.stage = 'registering'
    executor.dueAtTick = this.#after(this.#host.limits.executorRegistrationMs)
  }

  #proceed(executor: Executor): void {
    for (const task of executor.live) if (task.stage === 'waiting') this.#host.proceed(task)
  }

  // ── the executor speaks ───────────────────────────────────────────────────────────────────────

  subscribe(executor: Executor, call: ExecutorCall, connection: ExecutorConnection): void {
    executor.connection?.close()
    executor.connection = connection
    const isFirst = executor.stage === 'starting' || executor.stage === 'registering'
    if (isFirst) executor.stage = 'running'
    if (executor.stage === 'running') executor.dueAtTick = Infinity
    executor.heartbeatAtTick = this.#after(this.#host.limits.executorHeartbeatMs)
    const { info, framework, frameworkId, containerId } = executor
    connection.send({
      type: 'SUBSCRIBED',
      subscribed: {
        executor_info: { ...info, framework_id: { value: frameworkId } },
        framework_info: framework ?? unknownFramework(frameworkId),
        agent_info: this.#host.agentInfo(),
        container_id: containerIdOf(containerId),
      },
    })
    this.#emit('executor.subscribed', executor)
    for (const { status } of call.subscribe?.unacknowledged_updates ?? []) {
      this.update(executor, status)
    }
    if (executor.stage === 'terminating') return connection.send({ type: 'SHUTDOWN' })
    this.#deliver(executor)
    for (const task of executor.tasks.values()) if (task.isKilled) this.#sendKill(executor, task)
  }

  disconnected(executor: Executor, connection: ExecutorConnection): void {
    if (executor.connection !== connection) return
    executor.connection = undefined
    executor.heartbeatAtTick = Infinity
    if (executor.stage === 'running') {
      executor.dueAtTick = this.#after(this.#host.limits.executorAwayMs)
    }
  }

  /** Tasks that it has not been told of, a group in one piece. */
  #deliver(executor: Executor): void {
    const { connection } = executor
    if (connection === undefined || executor.stage !== 'running') return
    const groups = new Map<string, ExecutorTask[]>()
    for (const task of inLine(executor)) {
      task.isQueued = false
      if (task.groupId === undefined) {
        connection.send({ type: 'LAUNCH', launch: { task: task.info } })
      } else {
        const group = groups.get(task.groupId)
        if (group === undefined) groups.set(task.groupId, [task])
        else group.push(task)
      }
    }
    for (const tasks of groups.values()) {
      const group = { tasks: tasks.map(({ info }) => info) }
      connection.send({ type: 'LAUNCH_GROUP', launch_group: { task_group: group } })
    }
  }

  /**
   * UPDATE. Any executor of a framework may speak for its tasks, also for another executor's, as in
   * Mesos; a task that has ended stays ended.
   */
  update(by: Executor, status: TaskStatus): void {
    const { frameworkId } = by
    const found = this.taskOf({ frameworkId, taskId: status.task_id.value })
    if (found === undefined || isTerminal(found.task.state)) return
    const { executor, task } = found
    task.isQueued = false
    task.state = status.state
    this.#host.forward(task, {
      ...status,
      executor_id: { value: executor.executorId },
      container_status: {
        network_infos: [],
        ...status.container_status,
        container_id: status.container_status?.container_id ?? containerIdOf(executor.containerId),
      },
    })
  }

  message({ frameworkId, executorId }: Executor, data: string): void {
    this.#host.send({ type: 'executor-message', frameworkId, executorId, data })
  }

  /** The framework speaks to its executor: heard by whoever is subscribed, else lost. */
  tellExecutor({ frameworkId, executorId, data }: Told<'executor-message'>): void {
    const executor = this.get(frameworkId, executorId)
    executor?.connection?.send({ type: 'MESSAGE', message: { data } })
  }

  /** A status was acknowledged, and its executor hears of it. The last one ends what is known here. */
  acknowledged(name: TaskName, status: TaskStatus): void {
    const found = this.taskOf(name)
    if (found === undefined || status.uuid === undefined) return
    const { executor } = found
    executor.connection?.send({
      type: 'ACKNOWLEDGED',
      acknowledged: { task_id: status.task_id, uuid: status.uuid },
    })
    if (!isTerminal(status.state)) return
    executor.tasks.delete(name.taskId)
    this.#byTask.delete(keyOf(name.frameworkId, name.taskId))
    this.#forgetIfDone(executor)
  }

  // ── ending ────────────────────────────────────────────────────────────────────────────────────

  /** @returns whether it is a task of an executor of the framework's own */
  kill(name: TaskName, graceMs: number): boolean {
    const found = this.taskOf(name)
    if (found === undefined) return false
    const { executor, task } = found
    if (isTerminal(task.state)) return true
    task.isKilled = true
    task.graceMs = graceMs
    if (!task.isQueued) {
      this.#sendKill(executor, task)
      return true
    }
    this.#end(executor, task, endOfKilledLaunch)
    const isIdle = [...executor.tasks.values()].every(({ state }) => isTerminal(state))
    // An executor that was never given anything would wait for ever.
    if (isIdle && executor.stage !== 'running') this.shutDown(executor, 'shutdown')
    return true
  }

  #sendKill({ connection }: Executor, { info, graceMs }: ExecutorTask): void {
    const policy = { grace_period: { nanoseconds: graceMs * 1e6 } }
    connection?.send({ type: 'KILL', kill: { task_id: info.task_id, kill_policy: policy } })
  }

  shutdown({ frameworkId, executorId }: Told<'shutdown-executor'>): void {
    const executor = this.get(frameworkId, executorId)
    if (executor !== undefined) this.shutDown(executor, 'shutdown')
  }

  /** Asks an executor to end: its word first, and after a while its container. */
  shutDown(executor: Executor, why: NonNullable<Executor['why']>, graceMs?: number): void {
    if (executor.stage === 'ended' || executor.stage === 'terminating') return
    executor.why = why
    if (executor.kind === 'default') {
      for (const task of executor.live) {
        this.#host.askToEnd(task, graceMs ?? this.#host.graceMsOf(task))
      }
      return
    }
    executor.stage = 'terminating'
    const own = executor.info.shutdown_grace_period?.nanoseconds
    const usual = own === undefined ? this.#host.limits.executorShutdownMs : own / 1e6
    executor.dueAtTick = this.#after(Math.min(graceMs ?? usual, usual))
    if (executor.connection !== undefined) executor.connection.send({ type: 'SHUTDOWN' })
    else this.#endContainer(executor)
  }

  /** Without a word, like the containers of a task. */
  endAllNow(): void {
    for (const executor of this.#executors.values()) {
      executor.connection?.close()
      executor.connection = undefined
      for (const { taskId } of executor.tasks.values()) {
        this.#byTask.delete(keyOf(executor.frameworkId, taskId))
      }
      executor.tasks.clear()
      if (executor.run !== undefined) this.#host.endNow(executor.run)
      this.#forgetIfDone(executor)
    }
  }

  #endContainer({ run }: Executor): void {
    if (run !== undefined) this.#host.askToEnd(run, 0)
  }

  /** A task of a group has ended: its siblings end with it, unless it ended well. */
  groupTaskEnded(task: AgentTask, end: TaskEnd): void {
    const executor = this.#executors.get(rootOf(task.containerId))
    if (executor === undefined || !executor.live.delete(task)) return
    if (end.state !== 'TASK_FINISHED') {
      for (const one of executor.live) {
        if (one.groupId === task.groupId) this.#host.askToEnd(one, this.#host.graceMsOf(one))
      }
    }
    if (executor.live.size > 0 || executor.stage === 'ended') return
    executor.stage = 'terminating'
    this.#endContainer(executor)
  }

  #ended(executor: Executor, end: TaskEnd, exit: ContainerExit | undefined): void {
    executor.stage = 'ended'
    executor.connection?.close()
    executor.connection = undefined
    const wasRunning = exit !== undefined
    const waiting = [...executor.live]
    executor.live.clear()
    for (const task of waiting) {
      this.#host.giveUp(task, wasRunning ? endOfTerminated(executor, false) : end)
    }
    for (const task of executor.tasks.values()) {
      if (isTerminal(task.state)) continue
      const { isKilled } = task
      this.#end(executor, task, wasRunning ? endOfTerminated(executor, isKilled) : end)
    }
    this.#emit('executor.ended', executor, end.message)
    if (executor.kind === 'custom') {
      const { frameworkId, executorId, containerId } = executor
      const status = waitStatus(exit)
      this.#host.send({ type: 'executor-ended', frameworkId, executorId, containerId, status })
    }
    this.#forgetIfDone(executor)
  }

  #end(executor: Executor, task: ExecutorTask, end: TaskEnd): void {
    task.isQueued = false
    task.state = end.state
    this.#host.tellOf(executor, task, end)
  }

  #forgetIfDone(executor: Executor): void {
    if (executor.stage !== 'ended' || executor.tasks.size > 0) return
    this.#executors.delete(executor.containerId)
    const key = keyOf(executor.frameworkId, executor.executorId)
    const others = (this.#named.get(key) ?? []).filter((one) => one !== executor)
    if (others.length === 0) this.#named.delete(key)
    else this.#named.set(key, others)
  }

  tick(): void {
    const ticks = this.#host.ticks()
    for (const executor of this.#executors.values()) {
      if (ticks >= executor.heartbeatAtTick) {
        executor.heartbeatAtTick = this.#after(this.#host.limits.executorHeartbeatMs)
        executor.connection?.send({ type: 'HEARTBEAT' })
      }
      if (ticks < executor.dueAtTick) continue
      executor.dueAtTick = Infinity
      if (executor.stage === 'registering') this.shutDown(executor, 'registration-timeout')
      else if (executor.stage === 'running') this.shutDown(executor, 'away')
      else if (executor.stage === 'terminating') this.#endContainer(executor)
    }
  }

  #after(ms: number): number {
    return this.#host.ticks() + this.#host.ticksIn(ms)
  }

  #emit(
    type: 'executor.started' | 'executor.subscribed' | 'executor.ended',
    { frameworkId, executorId, containerId }: Executor,
    why?: string,
  ): void {
    const agentId = this.#host.agentId()
    const executor = { frameworkId, executorId, containerId, agentId }
    if (type !== 'executor.ended') return this.#host.emit({ type, ...executor })
    this.#host.emit({ type, ...executor, why: shortened(why ?? '') })
  }
}

const keyOf = (frameworkId: string, name: string): string => `${frameworkId}\0${name}`

/** Whether it takes tasks. */
const isOpen = ({ stage }: Executor): boolean => stage !== 'ended' && stage !== 'terminating'

const unknownFramework = (frameworkId: string): FrameworkInfo => ({
  user: '',
  name: frameworkId,
  id: { value: frameworkId },
  roles: [],
  capabilities: [],
})

/** What becomes of the tasks of an executor whose container ran and is gone. Source: mesos.md §11. */
function endOfTerminated({ why }: Executor, isKilled: boolean): TaskEnd {
  const source = 'SOURCE_AGENT'
  if (isKilled) {
    return { state: 'TASK_KILLED', source, message: 'Executor terminated' }
  }
  if (why === 'registration-timeout') {
    return {
      state: 'TASK_FAILED',
      source,
      message: 'Executor did not register in time',
      reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
    }
  }
  return {
    state: 'TASK_FAILED',
    source,
    message: 'Executor terminated',
    reason: 'REASON_EXECUTOR_TERMINATED',
  }
}

/** As `wait(2)` has it, which FAILURE carries: -1 for one that never ran. */
const waitStatus = (exit: ContainerExit | undefined): number => {
  if (exit === undefined) return -1
  return exit.signal === undefined ? exit.exitCode << 8 : exit.exitCode - 128
}

/** The tasks that it may be told of now, in order: up to the first that is not ready, or whose group is not. */
function inLine({ tasks }: Executor): readonly ExecutorTask[] {
  const queued = [...tasks.values()].filter((task) => task.isQueued && !isTerminal(task.state))
  const late = queued.find(({ isReady }) => !isReady)
  if (late === undefined) return queued
  const { groupId } = late
  const isHeld = (task: ExecutorTask): boolean =>
    task === late || (groupId !== undefined && task.groupId === groupId)
  return queued.slice(0, queued.findIndex(isHeld))
}

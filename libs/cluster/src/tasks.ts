import { isTerminal, type ExecutorInfo, type Grant } from '@conclave/model'
import { grantKey, taskKey, type TaskRecord } from './records.ts'
import { bagOf, emptyBag, minus, plus, tally, type Bag } from './resources.ts'

/** A status that was sent to its framework and waits for the acknowledgement. */
export interface InFlight {
  retryAtTick: number
  waitTicks: number
}

/** A task as the leader holds it: its record, its grants, and what is under way. */
export interface Task {
  readonly record: TaskRecord
  readonly grants: readonly Grant[]
  inFlight: InFlight | undefined
}

/** Whether its agent's resources are still its own. Unreachable tasks lost theirs with the agent. */
export const isHolding = ({ state }: TaskRecord): boolean =>
  !isTerminal(state) && state !== 'TASK_UNREACHABLE'

/** Ended, and its framework knows all of it: kept only to be looked at. */
export const isCompleted = ({ state, pending }: TaskRecord): boolean =>
  isTerminal(state) && pending.length === 0

/**
 * An executor that runs. One of a group is the agent's own, and ends with its last task; a framework's own
 * is a program that ends when it likes, and holds its resources until its agent says that it did.
 */
export interface Executor extends ExecutorPlace {
  readonly role: string
  readonly info: ExecutorInfo
  /** Tasks under it that hold resources. */
  tasks: number
  /** Containers of a framework's own: two for a moment, when one is ending and the next began. */
  containers: Set<string>
}

export interface ExecutorPlace {
  readonly frameworkId: string
  readonly agentId: string
  readonly executorId: string
}

/** Every task that is known, with the sums that allocation needs. */
export class TaskTable {
  readonly #tasks = new Map<string, Task>()
  readonly #byFramework = new Map<string, Map<string, Task>>()
  readonly #byAgent = new Map<string, Map<string, Task>>()
  readonly #usedOn = new Map<string, Bag>()
  readonly #heldBy = new Map<string, Map<string, Bag>>()
  readonly #executors = new Map<string, Executor>()
  /** Keys of completed tasks, the longest completed first. */
  readonly #completed = new Set<string>()

  get(frameworkId: string, taskId: string): Task | undefined {
    return this.#byFramework.get(frameworkId)?.get(taskId)
  }

  all(): Iterable<Task> {
    return this.#tasks.values()
  }

  of(frameworkId: string): readonly Task[] {
    return [...(this.#byFramework.get(frameworkId)?.values() ?? [])]
  }

  on(agentId: string): readonly Task[] {
    return [...(this.#byAgent.get(agentId)?.values() ?? [])]
  }

  /** Who has tasks or executors there. */
  frameworksOn(agentId: string): ReadonlySet<string> {
    const holding = this.on(agentId).filter(({ record }) => isHolding(record))
    const executors = [...this.#executors.values()].filter((one) => one.agentId === agentId)
    return new Set([
      ...holding.map(({ record }) => record.frameworkId),
      ...executors.map(({ frameworkId }) => frameworkId),
    ])
  }

  usedOn(agentId: string): Bag {
    return this.#usedOn.get(agentId) ?? emptyBag
  }

  /** Executors of frameworks' own and of groups: a command task has none that is known here. */
  executors(): Iterable<Executor> {
    return this.#executors.values()
  }

  executorAt(place: ExecutorPlace): Executor | undefined {
    return this.#executors.get(executorKey(place))
  }

  /** Its agent says that it has a container. */
  executorStarted(place: ExecutorPlace, containerId: string): void {
    this.executorAt(place)?.containers.add(containerId)
  }

  /** Its agent says that this container has ended. */
  executorEnded(place: ExecutorPlace, containerId: string): void {
    const executor = this.executorAt(place)
    executor?.containers.delete(containerId)
    this.#releaseIfOver(executor)
  }

  /** All that an agent runs of frameworks' own executors, as it says itself: none, once it is gone. */
  setExecutors(
    agentId: string,
    reported: readonly (Omit<Executor, 'tasks' | 'containers'> & { containerId: string })[],
  ): void {
    const here = [...this.#executors.values()].filter((one) => one.agentId === agentId)
    for (const { containers } of here) containers.clear()
    for (const { containerId, ...place } of reported) {
      const executor =
        this.executorAt(place) ?? this.#begin({ ...place, tasks: 0, containers: new Set() })
      executor.containers.add(containerId)
    }
    for (const executor of here) this.#releaseIfOver(executor)
  }

  /** What a framework's tasks and executors hold, by role. */
  heldBy(frameworkId: string): ReadonlyMap<string, Bag> {
    return this.#heldBy.get(frameworkId) ?? new Map<string, Bag>()
  }

  /** Puts a task there, new or changed. What was under way for it stays so. */
  put(record: TaskRecord, grants?: readonly Grant[]): Task {
    const key = taskKey(record.frameworkId, record.taskId)
    const before = this.#tasks.get(key)
    if (before !== undefined) this.#count(before.record, minus)
    this.#count(record, plus)
    const task: Task = {
      record,
      grants: grants ?? before?.grants ?? [],
      inFlight: before?.inFlight,
    }
    if (before !== undefined && before.record.agentId !== record.agentId) {
      this.#byAgent.get(before.record.agentId)?.delete(key)
    }
    this.#tasks.set(key, task)
    child(this.#byFramework, record.frameworkId).set(record.taskId, task)
    child(this.#byAgent, record.agentId).set(key, task)
    if (isCompleted(record)) this.#completed.add(key)
    else this.#completed.delete(key)
    return task
  }

  /** Forgets completed tasks beyond the newest `kept`, and says which keys have to go. */
  evict(kept: number): readonly string[] {
    const gone: string[] = []
    for (const key of this.#completed) {
      if (this.#completed.size <= kept) break
      gone.push(...this.#delete(key))
    }
    return gone
  }

  #delete(key: string): readonly string[] {
    const task = this.#tasks.get(key)
    this.#completed.delete(key)
    if (task === undefined) return []
    const { frameworkId, taskId, agentId } = task.record
    this.#tasks.delete(key)
    forget(this.#byFramework, frameworkId, taskId)
    forget(this.#byAgent, agentId, key)
    return [key, ...task.grants.map(grantKey)]
  }

  #count(record: TaskRecord, change: (sum: Bag, part: Bag) => Bag): void {
    if (!isHolding(record)) return
    const { agentId, frameworkId, role } = record
    this.#hold(agentId, frameworkId, role, bagOf(record.info.resources), change)
    if (change === plus) this.#enter(record)
    else this.#leave(record)
  }

  #hold(
    agentId: string,
    frameworkId: string,
    role: string,
    bag: Bag,
    change: (sum: Bag, part: Bag) => Bag,
  ): void {
    tally(this.#usedOn, agentId, change(this.usedOn(agentId), bag))
    const held = child(this.#heldBy, frameworkId)
    tally(held, role, change(held.get(role) ?? emptyBag, bag))
    if (held.size === 0) this.#heldBy.delete(frameworkId)
  }

  /** An executor begins with the first task under it. */
  #enter({ agentId, frameworkId, role, containerId, info: { executor: info } }: TaskRecord): void {
    if (info === undefined) return
    const place = { agentId, frameworkId, executorId: info.executor_id.value }
    const running = this.executorAt(place)
    const containers = new Set(isOwn(info) ? [containerId] : [])
    const executor = running ?? this.#begin({ ...place, role, info, tasks: 0, containers })
    executor.tasks++
  }

  #leave({ agentId, frameworkId, info: { executor: info } }: TaskRecord): void {
    if (info === undefined) return
    const place = { agentId, frameworkId, executorId: info.executor_id.value }
    const executor = this.executorAt(place)
    if (executor !== undefined) executor.tasks--
    this.#releaseIfOver(executor)
  }

  #begin(executor: Executor): Executor {
    const { agentId, frameworkId, role, info } = executor
    this.#executors.set(executorKey(executor), executor)
    this.#hold(agentId, frameworkId, role, bagOf(info.resources), plus)
    return executor
  }

  #releaseIfOver(executor: Executor | undefined): void {
    if (executor === undefined || executor.tasks > 0 || executor.containers.size > 0) return
    if (!this.#executors.delete(executorKey(executor))) return
    const { agentId, frameworkId, role, info } = executor
    this.#hold(agentId, frameworkId, role, bagOf(info.resources), minus)
  }
}

/** Of a framework, rather than the agent's own for a group. */
const isOwn = ({ type }: ExecutorInfo): boolean => type !== 'DEFAULT'

const executorKey = ({ agentId, frameworkId, executorId }: ExecutorPlace): string =>
  `${agentId}/${frameworkId}/${executorId}`

function child<V>(maps: Map<string, Map<string, V>>, name: string): Map<string, V> {
  const found = maps.get(name)
  if (found !== undefined) return found
  const made = new Map<string, V>()
  maps.set(name, made)
  return made
}

function forget<V>(maps: Map<string, Map<string, V>>, name: string, key: string): void {
  const map = maps.get(name)
  map?.delete(key)
  if (map?.size === 0) maps.delete(name)
}

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

/** An executor that runs, which it does for as long as one of its tasks holds resources. */
export interface Executor {
  readonly frameworkId: string
  readonly agentId: string
  readonly role: string
  readonly info: ExecutorInfo
  tasks: number
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

  usedOn(agentId: string): Bag {
    return this.#usedOn.get(agentId) ?? emptyBag
  }

  /** Executors of frameworks' own and of groups: a command task has none that is known here. */
  executors(): Iterable<Executor> {
    return this.#executors.values()
  }

  executorAt(agentId: string, frameworkId: string, executorId: string): Executor | undefined {
    return this.#executors.get(executorKey(agentId, frameworkId, executorId))
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
    const executor = change === plus ? this.#enter(record) : this.#leave(record)
    if (executor === undefined) return
    this.#hold(agentId, frameworkId, executor.role, bagOf(executor.info.resources), change)
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

  /** The executor that begins with this task, if one does. */
  #enter({
    agentId,
    frameworkId,
    role,
    info: { executor: info },
  }: TaskRecord): Executor | undefined {
    if (info === undefined) return undefined
    const key = executorKey(agentId, frameworkId, info.executor_id.value)
    const running = this.#executors.get(key)
    if (running !== undefined) {
      running.tasks++
      return undefined
    }
    const executor = { frameworkId, agentId, role, info, tasks: 1 }
    this.#executors.set(key, executor)
    return executor
  }

  /** The executor that ends with this task, if one does. */
  #leave({ agentId, frameworkId, info: { executor: info } }: TaskRecord): Executor | undefined {
    if (info === undefined) return undefined
    const key = executorKey(agentId, frameworkId, info.executor_id.value)
    const running = this.#executors.get(key)
    if (running === undefined || --running.tasks > 0) return undefined
    this.#executors.delete(key)
    return running
  }
}

const executorKey = (agentId: string, frameworkId: string, executorId: string): string =>
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

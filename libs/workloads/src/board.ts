import { isFinal, isLive, taskIdOf, type WorkloadTask } from './task.ts'
import type { Scene } from './scene.ts'

/** The tasks of one workload while it is decided about them, and what was changed. */
export class Board {
  readonly scene: Scene
  readonly #tasks = new Map<string, WorkloadTask>()
  /** Never changed in place: whoever goes through a slot sees it as it was when they began. */
  readonly #slots = new Map<string, readonly WorkloadTask[]>()
  readonly #changed = new Set<string>()
  #wakeAtMs: number | undefined

  constructor(scene: Scene) {
    this.scene = scene
    for (const task of scene.tasks) this.#keep(task)
  }

  all(): readonly WorkloadTask[] {
    return [...this.#tasks.values()]
  }

  /** By slot, as they are now; tasks of each from the oldest to the newest. */
  slots(): ReadonlyMap<string, readonly WorkloadTask[]> {
    return new Map(this.#slots)
  }

  /** Tasks of one slot, from the oldest to the newest. */
  of(slot: string): readonly WorkloadTask[] {
    return this.#slots.get(slot) ?? []
  }

  put(task: WorkloadTask): void {
    this.#keep(task)
    this.#changed.add(task.id)
  }

  forget(task: WorkloadTask): void {
    this.#tasks.delete(task.id)
    const others = this.of(task.slot).filter(({ id }) => id !== task.id)
    if (others.length === 0) this.#slots.delete(task.slot)
    else this.#slots.set(task.slot, others)
    this.#changed.add(task.id)
  }

  #keep(task: WorkloadTask): void {
    this.#tasks.set(task.id, task)
    const others = this.of(task.slot).filter(({ id }) => id !== task.id)
    this.#slots.set(task.slot, [...others, task].sort(byAge))
  }

  /** A new task in a slot, of the current template. */
  add(slot: string, more: Partial<WorkloadTask> = {}): WorkloadTask {
    const { workload, nowMs, newId } = this.scene
    const id = newId()
    const attempt = (this.of(slot).at(-1)?.attempt ?? 0) + 1
    const task: WorkloadTask = {
      id,
      taskId: taskIdOf(workload.spec.name, slot, id),
      workloadId: workload.id,
      slot,
      attempt,
      templateVersion: workload.templateVersion,
      ...(workload.job !== undefined && { jobIteration: workload.job.iteration }),
      desired: 'running',
      state: 'pending',
      createdAtMs: nowMs,
      stateAtMs: nowMs,
      failuresInRow: 0,
      restartsAtMs: [],
      ...more,
    }
    this.put(task)
    return task
  }

  /** Its end is wanted. One that no agent has been given has ended with that. */
  end(task: WorkloadTask, desired: 'shutdown' | 'remove', message?: string): void {
    if (task.desired === 'remove' || task.desired === desired) return
    const { nowMs } = this.scene
    const isLaunched = task.state !== 'pending' && task.state !== 'assigned'
    const ended = { state: 'killed', stateAtMs: nowMs, endedAtMs: nowMs } as const
    this.put({
      ...task,
      desired,
      ...(isLaunched || isFinal(task.state) ? {} : ended),
      ...(message === undefined ? {} : { message }),
    })
  }

  /** There is something to decide at that time, if nothing happens before. */
  wakeAt(atMs: number): void {
    this.#wakeAtMs = Math.min(this.#wakeAtMs ?? atMs, atMs)
  }

  get wakeAtMs(): number | undefined {
    return this.#wakeAtMs
  }

  /** What differs from the scene: undefined is to be forgotten. */
  changes(): ReadonlyMap<string, WorkloadTask | undefined> {
    const before = new Map(this.scene.tasks.map((task) => [task.id, task]))
    const changes = new Map<string, WorkloadTask | undefined>()
    for (const id of this.#changed) {
      const task = this.#tasks.get(id)
      if (task !== undefined || before.has(id)) changes.set(id, task)
    }
    return changes
  }
}

const byAge = (a: WorkloadTask, b: WorkloadTask): number => a.attempt - b.attempt

/** Its slot is no longer wanted. */
export const isRetired = (tasks: readonly WorkloadTask[]): boolean =>
  tasks.every(({ desired }) => desired === 'remove')

/** Nobody wanted its end. */
export const hasEndedByItself = ({ desired, state }: WorkloadTask): boolean =>
  isFinal(state) && (desired === 'running' || desired === 'ready')

/** The tasks of a slot that live, the current template's apart from the others. */
export function livesIn(
  tasks: readonly WorkloadTask[],
  templateVersion: number,
): { readonly clean: readonly WorkloadTask[]; readonly dirty: readonly WorkloadTask[] } {
  const live = tasks.filter(isLive)
  return {
    clean: live.filter((task) => task.templateVersion === templateVersion),
    dirty: live.filter((task) => task.templateVersion !== templateVersion),
  }
}

import type { WatchBatch } from '@conclave/store'
import { statusPrefix, taskPrefix, workloadIdAt, type Workload } from '@conclave/workloads'
import { Signal } from '../../signal.ts'
import type { Access } from '../access.ts'
import type { Caller } from '../master-api.ts'
import type { WorkloadChange } from './workload-api.ts'
import type { WorkloadRecords } from './workload-records.ts'
import type { WorkloadViews } from './workload-views.ts'

export interface WorkloadChangesOptions {
  readonly records: WorkloadRecords
  readonly views: WorkloadViews
  readonly access: Access
  readonly maySee: (caller: Caller, workload: Workload) => boolean
}

/** What somebody who watches has not been told yet: each thing once, however often it changed. */
interface Watcher {
  readonly workloads: Set<string>
  /** The workload of each task, by the task's id. */
  readonly tasks: Map<string, string>
  /** Whose end may be told: what was seen before. */
  readonly seen: Set<string>
  /** Workloads that were seen and are removed: their tasks are told of as they go. */
  readonly ending: Set<string>
}

/** Tells of changes, to everybody what they may see. A burst of them is told once for each tick. */
export class WorkloadChanges {
  readonly #options: WorkloadChangesOptions
  readonly #watchers = new Set<Watcher>()
  readonly #changed = new Signal()
  readonly #ticked = new Signal()

  constructor(options: WorkloadChangesOptions) {
    this.#options = options
  }

  told({ events }: WatchBatch): void {
    if (this.#watchers.size === 0) return
    let isOurs = false
    for (const { key } of events) {
      const [kind, workloadId, id] = placeOf(key)
      if (kind === undefined) continue
      isOurs = true
      for (const watcher of this.#watchers) {
        if (id === undefined) watcher.workloads.add(workloadId)
        else watcher.tasks.set(id, workloadId)
      }
    }
    if (isOurs) this.#changed.raise()
  }

  /** Another state is there as a whole: all of it may have changed. */
  toldOfEverything(): void {
    const { records } = this.#options
    for (const watcher of this.#watchers) {
      for (const { record } of records.workloads()) {
        watcher.workloads.add(record.id)
        for (const task of records.tasksOf(record.id)) watcher.tasks.set(task.record.id, record.id)
      }
      for (const id of watcher.seen) watcher.workloads.add(id)
    }
    this.#changed.raise()
  }

  tick(): void {
    this.#ticked.raise()
  }

  async *watch(caller: Caller, signal: AbortSignal): AsyncGenerator<readonly WorkloadChange[]> {
    const { records, access } = this.#options
    const seen = records.workloads().filter(({ record }) => this.#isShown(caller, record))
    const watcher: Watcher = {
      workloads: new Set(),
      tasks: new Map(),
      seen: new Set(seen.map(({ record }) => record.id)),
      ending: new Set(),
    }
    this.#watchers.add(watcher)
    try {
      while (!signal.aborted) {
        const changed = this.#changed.wait(signal)
        const told = access.isValid(caller) ? this.#take(caller, watcher) : []
        if (told.length === 0) {
          await changed
          continue
        }
        yield told
        await this.#ticked.wait(signal)
      }
    } finally {
      this.#watchers.delete(watcher)
    }
  }

  #take(caller: Caller, watcher: Watcher): readonly WorkloadChange[] {
    const { records, views } = this.#options
    const told: WorkloadChange[] = []
    for (const id of watcher.workloads) {
      const workload = records.workload(id)
      if (workload !== undefined && this.#isShown(caller, workload.record)) {
        watcher.seen.add(id)
        told.push({ kind: 'workload', id, view: views.workload(workload) })
      } else if (watcher.seen.has(id)) {
        watcher.seen.delete(id)
        // Who must not see it any more hears nothing of its tasks either.
        if (workload === undefined || workload.record.removedAtMs !== undefined) {
          watcher.ending.add(id)
        }
        told.push({ kind: 'workload', id, view: undefined })
      }
    }
    for (const [id, workloadId] of watcher.tasks) {
      const workload = records.workload(workloadId)
      const task = records.task(id)
      const isEnding = watcher.ending.has(workloadId)
      if (workload === undefined) {
        if (isEnding && task === undefined) {
          told.push({ kind: 'task', workloadId, id, view: undefined })
        }
      } else if (this.#isShown(caller, workload.record, isEnding)) {
        const view = task === undefined ? undefined : views.task(workload.record, task)
        told.push({ kind: 'task', workloadId, id, view })
      }
    }
    // The last of its tasks went before it, or with it.
    for (const id of watcher.ending) {
      if (records.workload(id) === undefined) watcher.ending.delete(id)
    }
    watcher.workloads.clear()
    watcher.tasks.clear()
    return told
  }

  #isShown(caller: Caller, workload: Workload, isEnding = false): boolean {
    const { removedAtMs } = workload
    return (removedAtMs === undefined || isEnding) && this.#options.maySee(caller, workload)
  }
}

/** What a key is about: a workload, or a task of one. */
function placeOf(
  key: string,
): readonly ['workload' | 'task', string, string?] | readonly [undefined, ''] {
  const workload = workloadIdAt(key)
  if (workload !== undefined) return ['workload', workload]
  if (key.startsWith(statusPrefix)) return ['workload', key.slice(statusPrefix.length)]
  if (!key.startsWith(taskPrefix)) return [undefined, '']
  const [workloadId = '', id = ''] = key.slice(taskPrefix.length).split('/')
  return ['task', workloadId, id]
}

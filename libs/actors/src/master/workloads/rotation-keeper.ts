import { tasksPrefix, type TaskRecord } from '@conclave/cluster'
import type { ContainerInfo } from '@conclave/model'
import type { Op, WatchBatch } from '@conclave/store'
import {
  idInTaskId,
  isJob,
  taskPrefix,
  templateKey,
  workloadIdAt,
  workloadKey,
  type Workload,
} from '@conclave/workloads'
import { encodeRecord, type Stored } from '../record.ts'
import { isStill, type Replicated } from '../replicated.ts'
import { secretPrefix } from '../secret-records.ts'
import { isRotatedInPlace } from './rotation.ts'
import type { WorkloadRecords } from './workload-records.ts'
import { secretsOf, taskSpecOf } from './workload-spec.ts'

export interface RotationKeeperOptions {
  readonly replicated: Replicated
  readonly records: WorkloadRecords
  readonly onProblem: (what: string, error: unknown) => void
}

/** What it needs of the leader's term. */
export interface RotatingTerm {
  readonly core:
    | {
        taskOf(frameworkId: string, taskId: string): Pick<TaskRecord, 'rotation'> | undefined
        rotate(frameworkId: string, taskId: string, wanted: ContainerInfo): void
      }
    | undefined
  flush(): void
}

/**
 * Keeps the files of workloads that are rotated in place at what their secrets are, on the leader: whenever
 * one of their secrets, their spec or a task of theirs changed, the core compares what a task has with what
 * it shall have. Where a container would not take it, all of the workload's tasks are replaced, as its
 * update policy says. It remembers nothing that the next leader would need.
 */
export class RotationKeeper {
  readonly #options: RotationKeeperOptions
  readonly #records: WorkloadRecords
  #due = new Set<string>()
  /** Workloads that are rotated in place, by the secrets that they have: found anew once a spec has changed. */
  #bySecret: ReadonlyMap<string, readonly string[]> | undefined
  #isLooking = false

  constructor(options: RotationKeeperOptions) {
    this.#options = options
    this.#records = options.records
  }

  told({ events }: WatchBatch): void {
    for (const { key } of events) {
      const workloadId = workloadIdAt(key)
      if (key.startsWith(secretPrefix)) this.#toldOfSecret(key.slice(secretPrefix.length))
      else if (workloadId !== undefined) {
        this.#bySecret = undefined
        this.#due.add(workloadId)
      } else if (key.startsWith(taskPrefix)) {
        this.#due.add(key.slice(taskPrefix.length).split('/')[0] ?? '')
      } else if (key.startsWith(tasksPrefix)) {
        const task = this.#records.task(idInTaskId(key))?.record
        if (task !== undefined) this.#due.add(task.workloadId)
      }
    }
  }

  toldOfEverything(): void {
    this.#bySecret = undefined
    for (const { record } of this.#records.workloads()) this.#due.add(record.id)
  }

  rest(): void {
    this.#due.clear()
  }

  #toldOfSecret(path: string): void {
    this.#bySecret ??= this.#findBySecret()
    for (const id of this.#bySecret.get(path) ?? []) this.#due.add(id)
  }

  #findBySecret(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, readonly string[]>()
    for (const { record } of this.#records.workloads()) {
      if (!isRotatedInPlace(record.spec)) continue
      for (const path of secretsOf(record.spec)) {
        found.set(path, [...(found.get(path) ?? []), record.id])
      }
    }
    return found
  }

  /** One look at all that is due. */
  async lead(term: RotatingTerm): Promise<void> {
    if (this.#isLooking || this.#due.size === 0) return
    this.#isLooking = true
    const due = this.#due
    this.#due = new Set()
    try {
      for (const id of due) await this.#look(term, id)
    } catch (error) {
      for (const id of due) this.#due.add(id)
      this.#options.onProblem('files could not be rotated', error)
    } finally {
      this.#isLooking = false
    }
  }

  async #look(term: RotatingTerm, id: string): Promise<void> {
    const known = this.#records.workload(id)
    if (known === undefined || known.record.removedAtMs !== undefined) return
    const { spec, templateVersion } = known.record
    const wanted = taskSpecOf(spec).container
    if (!isRotatedInPlace(spec) || wanted === undefined) return
    for (const { record: task } of this.#records.tasksOf(id)) {
      const { frameworkId, taskId, state, desired } = task
      const isOurs = task.templateVersion === templateVersion && desired === 'running'
      if (!isOurs || state !== 'running' || frameworkId === undefined) continue
      if (term.core?.taskOf(frameworkId, taskId)?.rotation?.state === 'failed') {
        // A job is not run anew for that: its task ends with the files that it began with.
        if (isJob(spec)) continue
        return this.#replaceAll(known)
      }
      term.core?.rotate(frameworkId, taskId, wanted)
      term.flush()
    }
  }

  /** Another number for the template, and the reconciler replaces what has the old one. */
  async #replaceAll({ record, modRevision }: Stored<Workload>): Promise<void> {
    const { id, spec, templateVersionLast } = record
    const templateVersion = templateVersionLast + 1
    const next = { ...record, templateVersion, templateVersionLast: templateVersion }
    const committed = await this.#options.replicated.commit({
      compare: [isStill(workloadKey(id, spec), { modRevision })],
      success: [put(workloadKey(id, spec), next), put(templateKey(id, templateVersion), { spec })],
    })
    if (committed === undefined) this.#due.add(id)
  }
}

const put = (key: string, record: unknown): Op => ({ do: 'put', key, value: encodeRecord(record) })

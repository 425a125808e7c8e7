import {
  isFinal,
  isLive,
  mayHaveNew,
  type Node,
  type Workload,
  type WorkloadSpec,
  type WorkloadTask,
} from '@conclave/workloads'
import type { Stored } from '../record.ts'
import type { WorkloadTaskView, WorkloadView } from './workload-api.ts'
import type { WorkloadRecords } from './workload-records.ts'

/** Records as those see them who asked. */
export class WorkloadViews {
  readonly #records: WorkloadRecords
  readonly #nodes: () => readonly Node[]

  constructor(records: WorkloadRecords, nodes: () => readonly Node[]) {
    this.#records = records
    this.#nodes = nodes
  }

  workload({ record, modRevision }: Stored<Workload>): WorkloadView {
    const { id, owner, spec, previous, templateVersion, createdAtMs, updatedAtMs } = record
    return {
      id,
      name: spec.name,
      owner,
      spec,
      previousSpec: previous?.spec,
      version: modRevision,
      templateVersion,
      createdAtMs,
      updatedAtMs,
      update: this.#records.status(id)?.record.update,
      counts: this.#counts(record),
    }
  }

  tasks(workload: Workload): readonly WorkloadTaskView[] {
    return this.#records
      .tasksOf(workload.id)
      .map((task) => this.task(workload, task))
      .toSorted(
        (a, b) => a.slot.localeCompare(b.slot, 'en', { numeric: true }) || b.attempt - a.attempt,
      )
  }

  task(workload: Workload, { record, modRevision }: Stored<WorkloadTask>): WorkloadTaskView {
    const { id, spec, templateVersion } = workload
    const template =
      record.templateVersion === templateVersion
        ? undefined
        : this.#records.template(id, record.templateVersion)?.record
    const hasEndedByItself = isFinal(record.state) && isWanted(record)
    return {
      ...record,
      desired: hasEndedByItself ? 'shutdown' : record.desired,
      workloadName: spec.name,
      hasEndedByItself,
      spec: template?.spec ?? spec,
      version: modRevision,
    }
  }

  /** Nodes that have one, or may have one. */
  #slots(spec: WorkloadSpec, tasks: readonly WorkloadTask[]): number {
    const mayHave = this.#nodes().filter((node) => mayHaveNew(node, spec))
    return new Set([
      ...tasks.filter(isLive).map(({ slot }) => slot),
      ...mayHave.map(({ name }) => name),
    ]).size
  }

  #counts({ id, spec, templateVersion }: Workload): WorkloadView['counts'] {
    const tasks = this.#records.tasksOf(id).map(({ record }) => record)
    const running = tasks.filter(
      ({ desired, state }) => desired === 'running' && state === 'running',
    )
    return {
      desired: spec.mode.kind === 'replicated' ? spec.mode.replicas : this.#slots(spec, tasks),
      running: running.length,
      updated: running.filter((task) => task.templateVersion === templateVersion).length,
    }
  }
}

/** What ended by itself is on record as wanted, which is how the reconciler tells it from what was ended. */
const isWanted = ({ desired }: WorkloadTask): boolean =>
  desired === 'running' || desired === 'ready'

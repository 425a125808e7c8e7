import {
  isFinal,
  isJob,
  isLive,
  isOfThisRun,
  jobProgress,
  mayHaveNew,
  type Node,
  type Workload,
  type WorkloadSpec,
  type WorkloadTask,
} from '@conclave/workloads'
import type { Stored } from '../record.ts'
import type { JobView, WorkloadTaskView, WorkloadView } from './workload-api.ts'
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
    const tasks = this.#records.tasksOf(id).map((task) => task.record)
    const job = this.#job(record, tasks)
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
      counts: this.#counts(record, tasks, job),
      job,
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
      desired: desiredOf(spec, record, hasEndedByItself),
      workloadName: spec.name,
      hasEndedByItself,
      spec: template?.spec ?? spec,
      version: modRevision,
    }
  }

  /** Nodes that have one of `tasks`, or may have a new one. */
  #nodesWith(spec: WorkloadSpec, tasks: readonly WorkloadTask[]): number {
    const mayHave = this.#nodes().filter((node) => mayHaveNew(node, spec))
    return new Set([...tasks.map(({ slot }) => slot), ...mayHave.map(({ name }) => name)]).size
  }

  #counts(
    { spec, templateVersion }: Workload,
    tasks: readonly WorkloadTask[],
    job: JobView | undefined,
  ): WorkloadView['counts'] {
    const running = tasks.filter(
      ({ desired, state }) => desired === 'running' && state === 'running',
    )
    return {
      desired: this.#desired(spec, tasks, job),
      running: running.length,
      updated: running.filter((task) => task.templateVersion === templateVersion).length,
    }
  }

  #desired(spec: WorkloadSpec, tasks: readonly WorkloadTask[], job: JobView | undefined): number {
    const { mode } = spec
    if (mode.kind === 'replicated') return mode.replicas
    if (job === undefined) return this.#nodesWith(spec, tasks.filter(isLive))
    const left = Math.max(0, job.total - job.completed - job.failed)
    return mode.kind === 'replicated-job' ? Math.min(left, mode.maxConcurrent) : left
  }

  #job(workload: Workload, tasks: readonly WorkloadTask[]): JobView | undefined {
    const { spec, job } = workload
    if (job === undefined) return undefined
    const { completed, failed } = jobProgress(workload, tasks)
    const ours = tasks.filter(
      (task) => isOfThisRun(workload, task) && (isWanted(task) || task.state === 'finished'),
    )
    const { mode } = spec
    const total = mode.kind === 'replicated-job' ? mode.completions : this.#nodesWith(spec, ours)
    return { ...job, total, completed, failed }
  }
}

/** As people read it: what ended by itself is not to run any more, and what is of a job shall end well. */
function desiredOf(
  spec: WorkloadSpec,
  { desired, state }: WorkloadTask,
  hasEndedByItself: boolean,
): WorkloadTaskView['desired'] {
  if (isJob(spec) && state === 'finished' && hasEndedByItself) return 'complete'
  if (hasEndedByItself) return 'shutdown'
  return isJob(spec) && desired === 'running' ? 'complete' : desired
}

/** What ended by itself is on record as wanted, which is how the reconciler tells it from what was ended. */
const isWanted = ({ desired }: WorkloadTask): boolean =>
  desired === 'running' || desired === 'ready'

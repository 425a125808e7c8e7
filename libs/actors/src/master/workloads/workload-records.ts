import type { View, WatchBatch } from '@conclave/store'
import {
  nodeKey,
  NodeSettings,
  nodePrefix,
  jobPrefix,
  specPrefix,
  statusKey,
  taskKey,
  taskPrefix,
  tasksOfPrefix,
  templateKey,
  TemplateRecord,
  templatesOfPrefix,
  NameRecord,
  nameKey,
  Workload,
  WorkloadStatus,
  WorkloadTask,
} from '@conclave/workloads'
import { Records, type Stored } from '../record.ts'

/** The records of workloads as they are here, each parsed once. */
export class WorkloadRecords {
  readonly #workloads: Records<Workload>
  readonly #statuses: Records<WorkloadStatus>
  readonly #templates: Records<TemplateRecord>
  readonly #tasks: Records<WorkloadTask>
  readonly #nodes: Records<NodeSettings>
  readonly #names: Records<{ workloadId: string }>
  readonly #view: View
  /** Of which workload each task is, by the task's id. */
  #owners: Map<string, string> | undefined

  constructor(view: View) {
    this.#view = view
    this.#workloads = new Records(view, Workload)
    this.#statuses = new Records(view, WorkloadStatus)
    this.#templates = new Records(view, TemplateRecord)
    this.#tasks = new Records(view, WorkloadTask, 65_536)
    this.#nodes = new Records(view, NodeSettings)
    this.#names = new Records(view, NameRecord)
  }

  /** Also one that was removed. */
  workload(id: string): Stored<Workload> | undefined {
    if (id === '') return undefined
    return this.#workloads.get(specPrefix + id) ?? this.#workloads.get(jobPrefix + id)
  }

  workloads(): readonly Stored<Workload>[] {
    return [...this.#workloads.list(specPrefix), ...this.#workloads.list(jobPrefix)]
  }

  /** Whose name it is. */
  named(name: string): Stored<Workload> | undefined {
    const found = name === '' ? undefined : this.#names.get(nameKey(name))
    return found === undefined ? undefined : this.workload(found.record.workloadId)
  }

  status(id: string): Stored<WorkloadStatus> | undefined {
    return this.#statuses.get(statusKey(id))
  }

  template(id: string, version: number): Stored<TemplateRecord> | undefined {
    return this.#templates.get(templateKey(id, version))
  }

  templateVersions(id: string): readonly number[] {
    const prefix = templatesOfPrefix(id)
    return this.#view.list(prefix).kvs.map(({ key }) => Number(key.slice(prefix.length)))
  }

  tasksOf(id: string): readonly Stored<WorkloadTask>[] {
    return this.#tasks.list(tasksOfPrefix(id))
  }

  task(id: string): Stored<WorkloadTask> | undefined {
    const workloadId = this.#ownersNow().get(id)
    return workloadId === undefined ? undefined : this.#tasks.get(taskKey(workloadId, id))
  }

  node(name: string): Stored<NodeSettings> | undefined {
    return this.#nodes.get(nodeKey(name))
  }

  nodes(): readonly Stored<NodeSettings>[] {
    return this.#nodes.list(nodePrefix)
  }

  /** What is known of which task is of which workload follows the changes. */
  told({ events }: WatchBatch): void {
    if (this.#owners === undefined) return
    for (const event of events) {
      if (!event.key.startsWith(taskPrefix)) continue
      const [workloadId = '', id = ''] = event.key.slice(taskPrefix.length).split('/')
      if (event.type === 'put') this.#owners.set(id, workloadId)
      else this.#owners.delete(id)
    }
  }

  toldOfEverything(): void {
    this.#owners = undefined
  }

  #ownersNow(): ReadonlyMap<string, string> {
    this.#owners ??= new Map(
      this.#view.list(taskPrefix, { keysOnly: true }).kvs.map(({ key }) => {
        const [workloadId = '', id = ''] = key.slice(taskPrefix.length).split('/')
        return [id, workloadId]
      }),
    )
    return this.#owners
  }
}

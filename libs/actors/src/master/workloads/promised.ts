import { addScalars } from '@conclave/model'
import type { Decided, Node, Workload, WorkloadTask } from '@conclave/workloads'
import type { Stored } from '../record.ts'
import type { WorkloadRecords } from './workload-records.ts'
import { taskSpecOf } from './workload-spec.ts'

type Wants = Readonly<Record<string, number>>

/** What one task of a workload takes from its node. */
export function wantsOf({ spec }: Workload): Wants {
  const wants: Record<string, number> = {}
  for (const { name, scalar } of taskSpecOf(spec).resources) {
    if (scalar !== undefined) wants[name] = addScalars(wants[name] ?? 0, scalar.value)
  }
  return wants
}

interface Reserved {
  readonly nodeName: string
  readonly wants: Wants
}

/** Room on nodes that was promised to tasks which are not launched yet: the cluster's sums do not have them. */
export class Promised {
  readonly #nodes: readonly Node[]
  readonly #byWorkload = new Map<string, readonly Reserved[]>()

  constructor(records: WorkloadRecords, nodes: readonly Node[]) {
    this.#nodes = nodes
    for (const { record } of records.workloads()) {
      const tasks = records.tasksOf(record.id).map((one) => one.record)
      this.#keep(record, tasks)
    }
  }

  /** The nodes, without the room that other workloads were promised. */
  nodesFor(workloadId: string): readonly Node[] {
    const taken = new Map<string, Record<string, number>>()
    for (const [id, promises] of this.#byWorkload) {
      if (id === workloadId) continue
      for (const { nodeName, wants } of promises) {
        const sums = taken.get(nodeName) ?? {}
        taken.set(nodeName, sums)
        for (const [name, amount] of Object.entries(wants)) {
          sums[name] = addScalars(sums[name] ?? 0, amount)
        }
      }
    }
    if (taken.size === 0) return this.#nodes
    return this.#nodes.map((node) => {
      const sums = taken.get(node.name)
      if (sums === undefined) return node
      const free = Object.entries(node.free).map(
        ([name, amount]) => [name, addScalars(amount, -(sums[name] ?? 0))] as const,
      )
      return { ...node, free: Object.fromEntries(free) }
    })
  }

  /** For whoever is looked at after this one: what was just promised is not there any more. */
  decided(workload: Workload, before: readonly Stored<WorkloadTask>[], { tasks }: Decided): void {
    const after = new Map(before.map(({ record }) => [record.id, record]))
    for (const [id, task] of tasks) {
      if (task === undefined) after.delete(id)
      else after.set(id, task)
    }
    this.#keep(workload, [...after.values()])
  }

  #keep(workload: Workload, tasks: readonly WorkloadTask[]): void {
    const wants = wantsOf(workload)
    const promises = tasks.flatMap(({ state, nodeName }) =>
      state === 'assigned' && nodeName !== undefined ? [{ nodeName, wants }] : [],
    )
    if (promises.length === 0) this.#byWorkload.delete(workload.id)
    else this.#byWorkload.set(workload.id, promises)
  }
}

import type { RecordReader } from '@conclave/cluster'
import type { Clock, Random } from '@conclave/kernel'
import type { EventDraft, TaskSpec } from '@conclave/model'
import type { WatchBatch } from '@conclave/store'
import type { Node } from '@conclave/workloads'
import type { Access } from '../access.ts'
import { RunNotYours } from '../errors.ts'
import type { Caller } from '../master-api.ts'
import type { Replicated } from '../replicated.ts'
import { schedulingResource } from '../resources.ts'
import type { StandingSecret } from '../secret-service.ts'
import { WorkloadTaskNotDue } from './errors.ts'
import { NodeService } from './node-service.ts'
import { WorkloadKeeper, workloadLabel } from './workload-keeper.ts'
import { WorkloadRecords } from './workload-records.ts'
import { WorkloadService } from './workload-service.ts'
import { RotationKeeper } from './rotation-keeper.ts'
import { withPlace } from './task-place.ts'
import { taskSpecOf } from './workload-spec.ts'

export interface WorkloadDeskOptions {
  readonly clusterId: string
  readonly replicated: Replicated
  readonly reader: RecordReader
  readonly secretAt: (path: string) => StandingSecret | undefined
  readonly access: Access
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  readonly onProblem: (what: string, error: unknown) => void
}

/** Everything about workloads in one master: what is asked of any, and what only the leader does. */
export class WorkloadDesk {
  readonly service: WorkloadService
  readonly nodes: NodeService
  readonly keeper: WorkloadKeeper
  readonly rotation: RotationKeeper
  readonly #options: WorkloadDeskOptions
  readonly #records: WorkloadRecords

  constructor(options: WorkloadDeskOptions) {
    this.#options = options
    this.#records = new WorkloadRecords(options.replicated.view)
    const records = this.#records
    this.nodes = new NodeService({ ...options, records })
    const nodes = (): readonly Node[] => this.nodes.nodes()
    this.service = new WorkloadService({ ...options, records, nodes })
    this.keeper = new WorkloadKeeper({ ...options, records, nodes: this.nodes })
    this.rotation = new RotationKeeper({ ...options, records })
  }

  /** Something was agreed on. */
  told(batch: WatchBatch): void {
    this.#records.told(batch)
    this.service.told(batch)
    this.keeper.told(batch)
    this.rotation.told(batch)
  }

  /** Another state is here as a whole. */
  toldOfEverything(): void {
    this.#records.toldOfEverything()
    this.service.toldOfEverything()
    this.keeper.toldOfEverything()
    this.rotation.toldOfEverything()
  }

  /** Another master leads. */
  rest(): void {
    this.keeper.rest()
    this.rotation.rest()
  }

  tick(): void {
    this.service.tick()
  }

  /**
   * What is launched as `taskId`, if that is a task of a workload: its template as it is on record, and nothing
   * else that a scheduler might send.
   *
   * @param isLaunchedByOther whether a framework that is not the one that asks has such a task
   * @throws RunNotYours, and WorkloadTaskNotDue when it shall not run now, or not there
   */
  templateOf(
    caller: Caller,
    taskId: string,
    agentId: string,
    isLaunchedByOther: boolean,
  ): TaskSpec | undefined {
    const owner = this.service.ownerOf(taskId)
    if (owner === undefined) return undefined
    const { access } = this.#options
    const mayLaunch =
      owner === caller.principal.uid || access.may(caller, schedulingResource, 'full')
    if (!mayLaunch) throw new RunNotYours(taskId)
    const due = this.keeper.launchable(taskId)
    if (due === undefined || due.task.agentId !== agentId || isLaunchedByOther) {
      throw new WorkloadTaskNotDue(taskId)
    }
    const { workloadId: id, slot } = due.task
    const node = this.nodes.machine(agentId)
    const template = withPlace(
      taskSpecOf(due.spec),
      due.task,
      due.spec,
      node,
      this.#options.clusterId,
    )
    const own = [
      { key: workloadLabel, value: id },
      { key: 'conclave.slot', value: slot },
    ]
    return {
      ...template,
      name: `${template.name}.${slot}`,
      labels: { labels: [...(template.labels?.labels ?? []), ...own] },
    }
  }
}

import type { RecordReader } from '@conclave/cluster'
import type { Clock, Random } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import type { WatchBatch } from '@conclave/store'
import type { Access } from '../access.ts'
import type { Replicated } from '../replicated.ts'
import { NodeService } from './node-service.ts'
import { WorkloadRecords } from './workload-records.ts'
import { WorkloadService } from './workload-service.ts'

export interface WorkloadDeskOptions {
  readonly replicated: Replicated
  readonly reader: RecordReader
  readonly access: Access
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
}

/** Everything about workloads in one master: what is asked of any, and what only the leader does. */
export class WorkloadDesk {
  readonly service: WorkloadService
  readonly nodes: NodeService
  readonly #records: WorkloadRecords

  constructor(options: WorkloadDeskOptions) {
    this.#records = new WorkloadRecords(options.replicated.view)
    const records = this.#records
    this.service = new WorkloadService({ ...options, records })
    this.nodes = new NodeService({ ...options, records })
  }

  /** Something was agreed on. */
  told(batch: WatchBatch): void {
    this.#records.told(batch)
    this.service.told(batch)
  }

  /** Another state is here as a whole. */
  toldOfEverything(): void {
    this.#records.toldOfEverything()
    this.service.toldOfEverything()
  }

  tick(): void {
    this.service.tick()
  }
}

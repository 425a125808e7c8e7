import { putAgent, type AgentRecord } from '@conclave/cluster'
import type { Clock, Random } from '@conclave/kernel'
import { AgentInfo, parse, type EventDraft } from '@conclave/model'
import { encodeCommand, StoreMachine, type Op } from '@conclave/store'
import { taskIdOf, taskKey, WorkloadTask } from '@conclave/workloads'
import { Access } from '../master/access.ts'
import type { IdentityApi } from '../master/master-api.ts'
import { encodeRecord } from '../master/record.ts'
import { Replicated } from '../master/replicated.ts'
import type { NodeApi, WorkloadApi } from '../master/workloads/workload-api.ts'
import { WorkloadDesk } from '../master/workloads/workload-desk.ts'
import { MemoryAudit } from './memory-audit.ts'

/** Ids that differ and are the same in every run, in the form that faces look at. */
const countingRandom = (): Random => {
  let count = 0
  return {
    bytes: (length) => {
      count++
      return Uint8Array.from({ length }, (_, index) => (index === 2 ? count : index * 7))
    },
    below: () => 0,
  }
}

/**
 * Workloads and nodes over a store in memory, by the code that masters run. There are no agents behind them: a
 * test says which nodes there are, and what became of which task.
 */
export class FakeWorkloads {
  readonly workloads: WorkloadApi
  readonly nodes: NodeApi
  readonly #store = new StoreMachine()
  readonly #desk: WorkloadDesk
  readonly #clock: Clock
  #tasks = 0

  constructor(
    identity: Pick<IdentityApi, 'allowed'>,
    clock: Clock,
    emit: (draft: EventDraft) => void,
    enter: () => void,
  ) {
    this.#clock = clock
    const store = this.#store
    const replicated = new Replicated(store, {
      linearize: async () => enter(),
      propose: async (txn) => store.apply(encodeCommand({ ...txn, nowMs: clock.nowMs() })),
    })
    this.#desk = new WorkloadDesk({
      replicated,
      reader: { get: (key) => store.get(key), list: (prefix) => store.list(prefix).kvs },
      access: new Access({ identity, audit: new MemoryAudit(), clock, emit }),
      clock,
      random: countingRandom(),
      emit,
      onProblem: (_what, error) => {
        throw error
      },
    })
    this.workloads = this.#desk.service
    this.nodes = this.#desk.nodes
    store.onBatch((batch) => this.#desk.told(batch))
  }

  /** There is an agent `name` from now on, with room for ten small tasks. */
  addNode(name: string, info: object = {}): void {
    const resources = [
      { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 1024 } },
    ]
    const nowMs = this.#clock.nowMs()
    const record: AgentRecord = {
      agentId: `${name}-S0`,
      certificateName: name,
      info: parse(AgentInfo, { hostname: name, resources, ...info }),
      runtime: 'memory',
      state: 'active',
      registeredAtMs: nowMs,
      changedAtMs: nowMs,
    }
    const { key, value } = putAgent(record)
    if (value !== undefined) this.#put({ do: 'put', key, value })
  }

  /** A task of a workload, running on `agent-1` unless it is said otherwise; or the same one, changed. */
  putTask(
    workloadId: string,
    task: Partial<WorkloadTask> & { readonly slot: string },
  ): WorkloadTask {
    const id = task.id ?? `task${(++this.#tasks).toString(36).padStart(21, '0')}`
    const nowMs = this.#clock.nowMs()
    const record = WorkloadTask.parse({
      id,
      taskId: taskIdOf('task', task.slot, id),
      workloadId,
      attempt: this.#tasks,
      templateVersion: 1,
      desired: 'running',
      state: 'running',
      nodeName: 'agent-1',
      agentId: 'agent-1-S0',
      frameworkId: 'framework-1',
      containerId: `container-${id}`,
      createdAtMs: nowMs,
      stateAtMs: nowMs,
      failuresInRow: 0,
      restartsAtMs: [],
      ...task,
    })
    this.#put({ do: 'put', key: taskKey(workloadId, id), value: encodeRecord(record) })
    return record
  }

  /** Whoever watches is told what has changed. */
  tick(): void {
    this.#desk.tick()
  }

  #put(op: Op): void {
    this.#store.apply(
      encodeCommand({ compare: [], success: [op], failure: [], nowMs: this.#clock.nowMs() }),
    )
  }
}

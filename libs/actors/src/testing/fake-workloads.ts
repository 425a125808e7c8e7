import {
  putAgent,
  putTask,
  taskIn,
  type AgentRecord,
  type RecordReader,
  type TaskRecord,
} from '@conclave/cluster'
import type { Clock, Random } from '@conclave/kernel'
import {
  AgentInfo,
  isTerminal,
  parse,
  TaskInfo,
  type EventDraft,
  type TaskStatus,
} from '@conclave/model'
import { encodeCommand, StoreMachine, type Op } from '@conclave/store'
import { taskIdOf, taskKey, WorkloadTask } from '@conclave/workloads'
import { Access } from '../master/access.ts'
import type { IdentityApi } from '../master/master-api.ts'
import { encodeRecord } from '../master/record.ts'
import { Replicated } from '../master/replicated.ts'
import type { StandingSecret } from '../master/secret-service.ts'
import type { NodeApi, WorkloadApi, WorkloadTaskView } from '../master/workloads/workload-api.ts'
import { WorkloadDesk } from '../master/workloads/workload-desk.ts'
import { MemoryAudit } from './memory-audit.ts'

/** Ids that differ and are the same in every run, in the form that faces look at. */
const countingRandom = (): Random => {
  let count = 0
  return {
    bytes: (length) => {
      count++
      const counted = new Map([
        [1, count >> 16],
        [2, count >> 8],
        [3, count],
      ])
      return Uint8Array.from({ length }, (_, index) => counted.get(index) ?? index * 7)
    },
    below: () => 0,
  }
}

const fakeFramework = 'framework-1'

/**
 * Workloads and nodes over a store in memory, by the code that masters run. There are no agents behind them: a
 * test says which nodes there are, and has {@link FakeWorkloads.settle} do what a scheduler and its agents would,
 * or says itself what became of which task.
 */
export class FakeWorkloads {
  readonly workloads: WorkloadApi
  readonly nodes: NodeApi
  readonly #store = new StoreMachine()
  readonly #reader: RecordReader = {
    get: (key) => this.#store.get(key),
    list: (prefix) => this.#store.list(prefix).kvs,
  }
  readonly #desk: WorkloadDesk
  readonly #clock: Clock
  #tasks = 0

  constructor(
    identity: Pick<IdentityApi, 'allowed'>,
    clock: Clock,
    emit: (draft: EventDraft) => void,
    enter: () => void,
    secretAt: (path: string) => StandingSecret | undefined,
  ) {
    this.#clock = clock
    const store = this.#store
    const replicated = new Replicated(store, {
      linearize: async () => enter(),
      propose: async (txn) => store.apply(encodeCommand({ ...txn, nowMs: clock.nowMs() })),
    })
    this.#desk = new WorkloadDesk({
      clusterId: 'test',
      replicated,
      reader: this.#reader,
      secretAt,
      access: new Access({
        identity: {
          allowed: (principal, resource, action) => identity.allowed(principal, resource, action),
          isSuperuser: () => false,
        },
        audit: new MemoryAudit(),
        clock,
        emit,
      }),
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

  /** The names of the workloads that refer to the secret at `path`. */
  namesThatUse(path: string): readonly string[] {
    return this.#desk.service.namesThatUse(path)
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

  /** A task of a workload, running on `agent-1` unless it is said otherwise; or the same one, as it is shown, changed. */
  putTask(
    workloadId: string,
    task: Partial<Omit<WorkloadTaskView, 'slot'>> & { readonly slot: string },
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
      ...(task.desired === 'complete' && { desired: 'running' }),
    })
    this.#put({ do: 'put', key: taskKey(workloadId, id), value: encodeRecord(record) })
    return record
  }

  /**
   * What a scheduler and its agents would do, on the nodes that were added, until nothing is left to do at this
   * time: whatever waits runs, and whatever shall end has ended.
   *
   * @param outcome what becomes of a launch, if it is not to run
   */
  async settle(
    outcome: (task: WorkloadTask) => string | undefined = () => undefined,
  ): Promise<void> {
    const { keeper } = this.#desk
    for (let round = 0; round < 100; round++) {
      const before = this.#store.revision
      await keeper.lead((task) => this.#report(task, 'TASK_KILLED'))
      const { launch, kill } = keeper.pending()
      for (const { taskId } of launch) this.#launch(taskId, outcome)
      for (const { taskId } of kill) {
        const task = taskIn(this.#reader, fakeFramework, taskId)
        if (task !== undefined && !isTerminal(task.state)) this.#report(task, 'TASK_KILLED')
      }
      this.#desk.tick()
      if (this.#store.revision === before) return
    }
    throw new Error('the workloads never come to rest')
  }

  /** A task ends, as its agent would say. */
  end(taskId: string, state = 'TASK_FAILED', message?: string): void {
    const task = taskIn(this.#reader, fakeFramework, taskId)
    if (task === undefined) throw new Error(`no task ${taskId}`)
    this.#report(task, state, message)
  }

  #launch(taskId: string, outcome: (task: WorkloadTask) => string | undefined): void {
    const due = this.#desk.keeper.launchable(taskId)
    if (due?.task.agentId === undefined) return
    const ids = { task_id: { value: taskId }, agent_id: { value: due.task.agentId } }
    const info = parse(TaskInfo, { ...due.spec.template, ...ids })
    const nowMs = this.#clock.nowMs()
    const task: TaskRecord = {
      frameworkId: fakeFramework,
      taskId,
      agentId: due.task.agentId,
      containerId: `container-${due.task.id}`,
      role: '*',
      info,
      state: 'TASK_STAGING',
      statuses: [],
      pending: [],
      submittedAtMs: nowMs,
      updatedAtMs: nowMs,
    }
    const failed = outcome(due.task)
    this.#report(task, failed ?? 'TASK_RUNNING')
  }

  #report(task: TaskRecord, said: string, message?: string): void {
    const state = said as TaskRecord['state']
    const nowMs = this.#clock.nowMs()
    const status: TaskStatus = { task_id: { value: task.taskId }, state, timestamp: nowMs / 1000 }
    const next: TaskRecord = {
      ...task,
      state,
      ...(message === undefined ? {} : { message }),
      statuses: [...task.statuses, status],
      updatedAtMs: nowMs,
      ...(isTerminal(state) ? { endedAtMs: nowMs } : {}),
    }
    const { key, value } = putTask(next)
    if (value !== undefined) this.#put({ do: 'put', key, value })
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

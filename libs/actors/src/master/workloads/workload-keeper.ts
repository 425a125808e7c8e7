import { agentsPrefix, TaskRecord, tasksPrefix, type RecordReader } from '@conclave/cluster'
import type { Clock, Random } from '@conclave/kernel'
import { isTerminal, TaskSpec, toJson, type EventDraft } from '@conclave/model'
import type { Op, WatchBatch } from '@conclave/store'
import {
  idInTaskId,
  idOf,
  idRandomBytes,
  isId,
  isFinal,
  nodePrefix,
  reconcile,
  statusKey,
  taskKey,
  taskPrefix,
  templateKey,
  templatesOfPrefix,
  workloadIdAt,
  workloadKey,
  type Decided,
  type Node,
  type Observed,
  type Workload,
  type WorkloadSpec,
  type WorkloadStatus,
  type WorkloadTask,
} from '@conclave/workloads'
import type { PendingRuns } from '../master-api.ts'
import { encodeRecord, Records, type Stored } from '../record.ts'
import { isStill, type Replicated } from '../replicated.ts'
import type { NodeService } from './node-service.ts'
import { Promised, wantsOf } from './promised.ts'
import type { WorkloadRecords } from './workload-records.ts'
import { taskSpecOf } from './workload-spec.ts'

export interface WorkloadKeeperOptions {
  readonly replicated: Replicated
  readonly reader: RecordReader
  readonly records: WorkloadRecords
  readonly nodes: Pick<NodeService, 'nodes' | 'closed'>
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  readonly onProblem: (what: string, error: unknown) => void
}

/** A task whose turn it is, and the spec that it is made from. */
export interface Launchable {
  readonly task: WorkloadTask
  readonly spec: WorkloadSpec
}

/** By this label a cluster's task says that a workload's record stands behind it. */
export const workloadLabel = 'conclave.workload'

/**
 * So many looks follow changes at once between two ticks. Where more changes than that, as while hundreds of
 * tasks start, a look stands for all that changed since the last one.
 */
const looksPerTickMax = 4

/** So many tasks are written in one transaction: each is a claim and a change. */
const tasksPerTxnMax = 100

/**
 * Brings about what is wanted, on the leader: whenever something changed, or a time has come, it looks at a
 * workload, decides, and writes that down if nothing else was written meanwhile. It remembers nothing that the
 * next leader would need.
 */
export class WorkloadKeeper {
  readonly #options: WorkloadKeeperOptions
  readonly #records: WorkloadRecords
  readonly #clusterTasks: Records<TaskRecord>
  /** Workloads to look at. */
  #due = new Set<string>()
  readonly #wakes = new Map<string, number>()
  /** Why the cluster would not have a task, until that is on record. */
  readonly #refusals = new Map<string, { reason?: string | undefined; message: string }>()
  /** Tasks that are being ended before they were launched: nobody may launch them now. */
  readonly #ending = new Set<string>()
  /** Keys of cluster tasks that no record stands behind (any more). */
  readonly #strays = new Set<string>()
  /** Which framework launched a task, until that is on record. */
  readonly #launchers = new Map<string, string>()
  #isLooking = false
  /** Something came due since the last look began. */
  #isNews = false
  #looksLeft = looksPerTickMax

  constructor(options: WorkloadKeeperOptions) {
    this.#options = options
    this.#records = options.records
    this.#clusterTasks = new Records(options.replicated.view, TaskRecord, 65_536)
  }

  // ── told ──────────────────────────────────────────────────────────────────────────────────────

  told({ events }: WatchBatch): void {
    for (const { key } of events) {
      if (key.startsWith(taskPrefix)) {
        this.#due.add(key.slice(taskPrefix.length).split('/')[0] ?? '')
      } else if (key.startsWith(tasksPrefix)) this.#toldOfClusterTask(key)
      else if (key.startsWith(agentsPrefix) || key.startsWith(nodePrefix)) this.#lookAtAll()
      else {
        const workloadId = workloadIdAt(key)
        if (workloadId !== undefined) this.#due.add(workloadId)
      }
    }
    this.#isNews ||= this.#due.size > 0 || this.#strays.size > 0
  }

  /** Whether {@link follow} would look. */
  get hasNews(): boolean {
    return this.#isNews && this.#looksLeft > 0 && !this.#isLooking
  }

  /** The next changes may be followed at once again. */
  tick(): void {
    this.#looksLeft = looksPerTickMax
  }

  /** A new leader, or another state: everything may differ from what is wanted. */
  toldOfEverything(): void {
    this.rest()
    this.#ending.clear()
    this.#lookAtAll()
    for (const { key } of this.#options.reader.list(tasksPrefix)) this.#toldOfClusterTask(key)
  }

  /** Another master leads: it has all of this from the records. */
  rest(): void {
    this.#isNews = false
    this.#due.clear()
    this.#wakes.clear()
    this.#refusals.clear()
    this.#strays.clear()
    this.#launchers.clear()
  }

  /** A launch was refused, and so would be the next one. */
  refused(told: { taskId: string; reason?: string | undefined; why: string }): void {
    const { taskId, reason, why: message } = told
    const task = this.#records.task(idInTaskId(taskId))?.record
    // What only came too late for its offer is launched again.
    if (task?.taskId !== taskId || reason === 'REASON_INVALID_OFFERS') return
    this.#refusals.set(taskId, { reason, message })
    this.#due.add(task.workloadId)
  }

  #lookAtAll(): void {
    for (const { record } of this.#records.workloads()) this.#due.add(record.id)
  }

  #toldOfClusterTask(key: string): void {
    const [frameworkId = '', taskId = ''] = key.slice(tasksPrefix.length).split('/')
    if (!isId(idInTaskId(taskId))) return
    const task = this.#records.task(idInTaskId(taskId))?.record
    if (task?.taskId !== taskId || isFinal(task.state)) {
      this.#strays.add(key)
      return
    }
    this.#due.add(task.workloadId)
    if (task.frameworkId === undefined) this.#launchers.set(taskId, frameworkId)
  }

  // ── the leader's part ─────────────────────────────────────────────────────────────────────────

  /** Looks at what has changed without waiting for the next tick, and at what changes by that. */
  async follow(kill: (task: TaskRecord) => void): Promise<void> {
    while (this.hasNews) {
      this.#looksLeft--
      await this.lead(kill)
    }
  }

  /** One look at all that is due. Whatever fails is tried at the next tick. */
  async lead(kill: (task: TaskRecord) => void): Promise<void> {
    if (this.#isLooking) return
    this.#isNews = false
    const nowMs = this.#options.clock.nowMs()
    for (const [id, atMs] of this.#wakes) {
      if (atMs > nowMs) continue
      this.#wakes.delete(id)
      this.#due.add(id)
    }
    this.#endStrays(kill)
    if (this.#due.size === 0) return
    this.#isLooking = true
    const due = this.#due
    this.#due = new Set()
    try {
      const promised = new Promised(this.#records, this.#options.nodes.nodes())
      const looking = Array.from(due, (id) => this.#look(id, nowMs, promised, kill))
      await Promise.all(looking)
    } catch (error) {
      for (const id of due) this.#due.add(id)
      this.#options.onProblem('workloads could not be looked at', error)
    } finally {
      this.#isLooking = false
    }
  }

  /** What a scheduler shall launch and end. */
  pending(): PendingRuns {
    const launch: PendingRuns['launch'][number][] = []
    const kill: PendingRuns['kill'][number][] = []
    for (const { record: workload } of this.#records.workloads()) {
      for (const { record: task } of this.#records.tasksOf(workload.id)) {
        const { id, taskId, agentId } = task
        if (isToLaunch(task) && agentId !== undefined && !this.#ending.has(taskId)) {
          launch.push({ runId: id, taskId, agentId, spec: shownOf(this.#specOf(workload, task)) })
        } else if (wantsEnd(task)) kill.push({ taskId })
      }
    }
    return { launch, kill, avoid: this.#options.nodes.closed() }
  }

  /** What may be launched now as `taskId`, if it may, and of which workload it is. */
  launchable(taskId: string): Launchable | undefined {
    const task = this.#records.task(idInTaskId(taskId))?.record
    if (task?.taskId !== taskId || !isToLaunch(task) || this.#ending.has(taskId)) return undefined
    const workload = this.#records.workload(task.workloadId)?.record
    return workload === undefined ? undefined : { task, spec: this.#specOf(workload, task) }
  }

  async #look(
    id: string,
    nowMs: number,
    promised: Promised,
    kill: (task: TaskRecord) => void,
  ): Promise<void> {
    const known = this.#records.workload(id)
    if (known === undefined) return
    try {
      const tasks = this.#records.tasksOf(id)
      for (const { record } of tasks) this.#endUnwanted(record, kill)
      const status = this.#records.status(id)
      const nodes = promised.nodesFor(id)
      const decided = this.#decide(known.record, status?.record ?? {}, tasks, nodes, nowMs)
      promised.decided(known.record, tasks, decided)
      await this.#write({ known, status, tasks }, decided)
      if (decided.wakeAtMs !== undefined) this.#wakes.set(id, decided.wakeAtMs)
    } catch (error) {
      this.#due.add(id)
      this.#options.onProblem(`workload ${id} could not be looked at`, error)
    }
  }

  #decide(
    workload: Workload,
    status: WorkloadStatus,
    tasks: readonly Stored<WorkloadTask>[],
    nodes: readonly Node[],
    nowMs: number,
  ): Decided {
    const records = new Map(tasks.map(({ record }) => [record.taskId, record]))
    return reconcile({
      nowMs,
      workload,
      status,
      tasks: [...records.values()],
      nodes,
      wants: wantsOf(workload),
      observed: (taskId) => this.#observed(records.get(taskId)),
      refused: (taskId) => this.#refusals.get(taskId),
      newId: () => idOf(this.#options.random.bytes(idRandomBytes)),
    })
  }

  async #write(
    before: {
      readonly known: Stored<Workload>
      readonly status: Stored<WorkloadStatus> | undefined
      readonly tasks: readonly Stored<WorkloadTask>[]
    },
    decided: Decided,
  ): Promise<void> {
    const { known, status, tasks } = before
    const { id } = known.record
    const stored = new Map(tasks.map((one) => [one.record.id, one]))
    const ending = [...decided.tasks].flatMap(([taskId, task]) =>
      task === undefined || isFinal(task.state) ? [stored.get(taskId)?.record.taskId ?? ''] : [],
    )
    for (const taskId of ending) this.#ending.add(taskId)
    try {
      const last = this.#lastOf(known.record, decided)
      const parts = partsOf(decided, stored, last.length > 0)
      for (const part of parts) {
        const changes = part.map(([taskId, task]): Op => {
          const key = taskKey(id, taskId)
          return task === undefined ? { do: 'delete', key } : put(key, task)
        })
        const isLast = part === parts.at(-1)
        const committed = await this.#options.replicated.commit({
          compare: [
            isStill(workloadKey(id, known.record.spec), known),
            ...part.map(([taskId]) => isStill(taskKey(id, taskId), stored.get(taskId))),
            ...(isLast ? [isStill(statusKey(id), status)] : []),
          ],
          success: [...changes, ...(isLast ? last : [])],
        })
        // Somebody else wrote it: what is there now is looked at again.
        if (committed === undefined) return void this.#due.add(id)
      }
    } finally {
      for (const taskId of ending) this.#ending.delete(taskId)
    }
    for (const taskId of ending) this.#refusals.delete(taskId)
    for (const task of decided.tasks.values()) {
      if (task?.frameworkId !== undefined) this.#launchers.delete(task.taskId)
    }
    this.#tell(known.record, status?.record, decided)
  }

  /** What is written once all tasks are. */
  #lastOf({ id, spec }: Workload, { status, workload, isOver }: Decided): readonly Op[] {
    if (isOver) {
      return [
        { do: 'delete', key: workloadKey(id, spec) },
        { do: 'delete', key: statusKey(id) },
        { do: 'delete-prefix', prefix: templatesOfPrefix(id) },
      ]
    }
    return [
      ...(status === undefined ? [] : [put(statusKey(id), status)]),
      ...(workload === undefined
        ? []
        : [
            put(workloadKey(id, spec), workload),
            put(templateKey(id, workload.templateVersion), { spec: workload.spec }),
          ]),
      ...this.#unusedTemplates(id),
    ]
  }

  /** Templates that nobody goes back to, and that no task on record was made from. */
  #unusedTemplates(id: string): readonly Op[] {
    const known = this.#records.workload(id)?.record
    if (known === undefined) return []
    const used = new Set([
      known.templateVersion,
      known.previous?.templateVersion,
      ...this.#records.tasksOf(id).map(({ record }) => record.templateVersion),
    ])
    return this.#records
      .templateVersions(id)
      .filter((version) => !used.has(version))
      .map((version) => ({ do: 'delete', key: templateKey(id, version) }))
  }

  #tell(workload: Workload, before: WorkloadStatus | undefined, { status }: Decided): void {
    const update = status?.update
    if (update === undefined || update.state === before?.update?.state) return
    const { id: workloadId, spec } = workload
    const { state, message } = update
    this.#options.emit({ type: 'workload.update', workloadId, name: spec.name, state, message })
  }

  #observed(task: WorkloadTask | undefined): Observed | undefined {
    const known = task === undefined ? undefined : this.#clusterTask(task)
    if (known === undefined) return undefined
    const { frameworkId, agentId, containerId, state, reason, message, exitCode, statuses } = known
    const isChecked = known.info.health_check !== undefined
    return {
      frameworkId,
      agentId,
      containerId,
      state,
      reason,
      message,
      exitCode,
      healthy: statuses.at(-1)?.healthy,
      isChecked,
      hasRun: statuses.some((one) => one.state === 'TASK_RUNNING'),
    }
  }

  #clusterTask({ taskId, frameworkId }: WorkloadTask): TaskRecord | undefined {
    const known = frameworkId ?? this.#launchers.get(taskId)
    if (known === undefined) return undefined
    return this.#clusterTasks.get(`${tasksPrefix}${known}/${taskId}`)?.record
  }

  #endUnwanted(task: WorkloadTask, kill: (task: TaskRecord) => void): void {
    if (!wantsEnd(task)) return
    const known = this.#clusterTask(task)
    if (known !== undefined && !isTerminal(known.state) && known.kill === undefined) kill(known)
  }

  /** What was launched in the moment in which it was given up ends, too. */
  #endStrays(kill: (task: TaskRecord) => void): void {
    const strays = [...this.#strays]
    this.#strays.clear()
    for (const key of strays) {
      const task = this.#clusterTasks.get(key)?.record
      if (task === undefined || isTerminal(task.state) || task.kill !== undefined) continue
      const isOurs = task.info.labels?.labels.some((one) => one.key === workloadLabel) === true
      if (isOurs) kill(task)
    }
  }

  #specOf(workload: Workload, { templateVersion }: WorkloadTask): WorkloadSpec {
    if (templateVersion === workload.templateVersion) return workload.spec
    return this.#records.template(workload.id, templateVersion)?.record.spec ?? workload.spec
  }
}

const shown = new WeakMap<WorkloadSpec, unknown>()

/** What a scheduler is told of a spec. */
function shownOf(spec: WorkloadSpec): unknown {
  const known = shown.get(spec) ?? toJson(TaskSpec, taskSpecOf(spec))
  shown.set(spec, known)
  return known
}

const isToLaunch = ({ desired, state }: WorkloadTask): boolean =>
  desired === 'running' && state === 'assigned'

/** An agent has it, and nobody wants it any more. */
const wantsEnd = ({ desired, state }: WorkloadTask): boolean =>
  (desired === 'shutdown' || desired === 'remove') &&
  (state === 'staging' || state === 'starting' || state === 'running')

const put = (key: string, record: unknown): Op => ({ do: 'put', key, value: encodeRecord(record) })

type Change = readonly [string, WorkloadTask | undefined]

/** The changes in portions that a transaction can carry. Those of one slot are written at once. */
function partsOf(
  { tasks }: Decided,
  stored: ReadonlyMap<string, Stored<WorkloadTask>>,
  hasMore: boolean,
): readonly (readonly Change[])[] {
  const slots = Map.groupBy(tasks, ([id, task]) => (task ?? stored.get(id)?.record)?.slot ?? '')
  const parts: Change[][] = []
  for (const changes of slots.values()) {
    const part = parts.at(-1)
    if (part === undefined || part.length + changes.length > tasksPerTxnMax) parts.push(changes)
    else part.push(...changes)
  }
  return parts.length === 0 && hasMore ? [[]] : parts
}

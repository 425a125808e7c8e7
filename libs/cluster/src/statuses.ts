import {
  dropSecretValues,
  exitCodeLabel,
  hasCapability,
  isTerminal,
  TaskInfo,
  type FrameworkInfo,
  type Grant,
  type TaskReason,
  type TaskState,
  type TaskStatus,
} from '@conclave/model'
import type { RecordChange } from './effect.ts'
import { graceOf, requestKill } from './kills.ts'
import { tellTaskUpdated } from './operator/watchers.ts'
import { putGrant, putTask, type TaskRecord } from './records.ts'
import type { ClusterState, Framework } from './state.ts'
import { isCompleted, isHolding, type Task } from './tasks.ts'

/*
 * Statuses on their way to a framework: in order, at least once, one at a time for each task, and
 * written down before they are sent (mesos.md §5.4). The master's own statuses stand in the same line;
 * they have no uuid, so they count as heard once they were sent.
 *
 * CL2 (C1 of docs/architecture.md) A task that reached a terminal state leaves it no more.
 */

const partitionStates: ReadonlySet<TaskState> = new Set([
  'TASK_DROPPED',
  'TASK_UNREACHABLE',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNKNOWN',
])

/** The state as this framework knows it: only PARTITION_AWARE ones tell kinds of loss apart. */
export const stateFor = (info: FrameworkInfo | undefined, state: TaskState): TaskState =>
  partitionStates.has(state) && !(info !== undefined && hasCapability(info, 'PARTITION_AWARE'))
    ? 'TASK_LOST'
    : state

export interface Verdict {
  readonly state: TaskState
  readonly reason: TaskReason
  readonly message: string
}

/** A status that the master makes itself. */
export function masterStatus(
  state: ClusterState,
  task: { readonly taskId: string; readonly agentId: string | undefined },
  verdict: Verdict,
): TaskStatus {
  return {
    task_id: { value: task.taskId },
    state: verdict.state,
    message: verdict.message,
    source: 'SOURCE_MASTER',
    reason: verdict.reason,
    ...(task.agentId === undefined ? {} : { agent_id: { value: task.agentId } }),
    timestamp: state.nowMs / 1000,
  }
}

/** Decides a task's state from the master's side, such as TASK_LOST. */
export function decide(state: ClusterState, task: Task, verdict: Verdict): void {
  const told = stateFor(state.frameworkOf(task.record)?.record.info, verdict.state)
  const status = masterStatus(state, task.record, { ...verdict, state: told })
  enqueue(state, task, status, {})
}

/** Writes a status down, ends what has to end with it, and sends it when it is its turn. */
export function enqueue(
  state: ClusterState,
  task: Task,
  status: TaskStatus,
  more: { readonly lastUuid?: string },
): void {
  if (isTerminal(task.record.state)) return // CL2
  const record: TaskRecord = {
    ...withStatus(state, task.record, status),
    ...more,
  }
  const grants = isHolding(record) ? task.grants : revokedNow(state, task)
  const revoked = grants.filter((grant) => !task.grants.includes(grant))
  const isFreed = isHolding(task.record) && !isHolding(record)
  state.tasks.put(record, grants)
  const { frameworkId, taskId, agentId } = record
  state.outbox.commit([putTask(record), ...revoked.map(putGrant)])
  state.outbox.emit({
    type: 'task.status',
    frameworkId,
    taskId,
    agentId,
    state: status.state,
    source: status.source,
    reason: status.reason,
    message: status.message?.slice(0, eventTextMax),
  })
  tellTaskUpdated(state, record, status)
  for (const { path } of revoked) {
    state.outbox.emit({ type: 'grant.revoked', frameworkId, taskId, agentId, path })
  }
  if (isFreed) state.mayAllocate = true
  deliver(state, frameworkId, taskId)
  endGroup(state, record)
}

/** A task group fails as one: when a task of it ends any other way than well, so do the others. */
function endGroup(state: ClusterState, { group, frameworkId, state: ended }: TaskRecord): void {
  if (group === undefined || !isTerminal(ended) || ended === 'TASK_FINISHED') return
  for (const task of state.tasks.of(frameworkId)) {
    const isSibling = task.record.group?.id === group.id
    if (isSibling && isHolding(task.record) && task.record.kill === undefined) {
      requestKill(state, task, graceOf(state, task.record))
    }
  }
}

const eventTextMax = 1024

export const isStanding = ({ revokedAtMs }: Grant): boolean => revokedAtMs === undefined

/** A task's grants with none of them standing. Those that were revoked before stay the same objects. */
export const revokedNow = (state: ClusterState, { grants }: Task): readonly Grant[] =>
  grants.map((grant) => (isStanding(grant) ? { ...grant, revokedAtMs: state.nowMs } : grant))

function withStatus(state: ClusterState, before: TaskRecord, status: TaskStatus): TaskRecord {
  const isOver = isTerminal(status.state)
  const framework = state.frameworks.get(before.frameworkId)
  const hasListener = framework !== undefined && framework.record.state !== 'completed'
  const { data: _data, ...remembered } = status
  const exitCode = exitCodeOf(status)
  const { reason: _reason, message: _message, exitCode: _exitCode, ...rest } = before
  return {
    ...rest,
    state: status.state,
    info: isOver ? dropSecretValues(TaskInfo, before.info) : before.info,
    statuses: [...before.statuses.filter((one) => one.state !== status.state), remembered],
    pending: hasListener ? queued(state, before.pending, status) : [],
    ...(status.reason === undefined ? {} : { reason: status.reason }),
    ...(status.message === undefined ? {} : { message: status.message }),
    ...(exitCode === undefined ? {} : { exitCode }),
    updatedAtMs: state.nowMs,
    ...(isOver ? { endedAtMs: state.nowMs } : {}),
  }
}

/** A framework that never acknowledges must not grow a record without bound: the middle goes first. */
function queued(
  state: ClusterState,
  pending: readonly TaskStatus[],
  status: TaskStatus,
): readonly TaskStatus[] {
  const isFull = pending.length >= state.limits.pendingStatusesMax
  return [...(isFull ? pending.toSpliced(1, 1) : pending), status]
}

/** Our agents say it in a label; the words are those of Mesos' own command executor (mesos.md §5.4). */
export function exitCodeOf({ state, message = '', labels }: TaskStatus): number | undefined {
  const label = labels?.labels.find(({ key }) => key === exitCodeLabel)?.value
  const words = /^Command exited with status (\d{1,3})$/.exec(message)?.[1]
  const code = [label, words].find((text) => text !== undefined && /^\d{1,3}$/.test(text))
  if (code !== undefined) return Number(code)
  return state === 'TASK_FINISHED' ? 0 : undefined
}

/** Sends what is next for a task, if its framework is there and nothing is under way. */
export function deliver(state: ClusterState, frameworkId: string, taskId: string): void {
  let task = state.tasks.get(frameworkId, taskId)
  const streamId = state.frameworks.get(frameworkId)?.streamId
  if (task === undefined) return
  if (streamId !== undefined && task.inFlight === undefined) {
    let isSent = false
    let { pending } = task.record
    let next = pending[0]
    for (; next !== undefined; next = pending[0]) {
      state.outbox.toFramework(streamId, { type: 'UPDATE', update: { status: next } })
      if (next.uuid !== undefined) break
      pending = pending.slice(1)
      isSent = true
    }
    if (isSent) {
      task = state.tasks.put({ ...task.record, pending })
      state.outbox.commit([putTask(task.record)])
    }
    if (next !== undefined) {
      const waitTicks = state.limits.statusRetryTicks
      task.inFlight = { retryAtTick: state.ticks + waitTicks, waitTicks }
    }
  }
  if (isCompleted(task.record)) evict(state)
}

/** Fewer than a transaction of the store may have. */
const changesPerCommit = 256

function evict(state: ClusterState): void {
  const gone = state.tasks.evict(state.limits.completedTasksMax)
  for (let at = 0; at < gone.length; at += changesPerCommit) {
    const keys = gone.slice(at, at + changesPerCommit)
    state.outbox.commit(keys.map((key): RecordChange => ({ key })))
  }
}

/** ACKNOWLEDGE: only of the status that is under way; anything else is of the past. */
export function acknowledge(
  state: ClusterState,
  frameworkId: string,
  ack: { readonly taskId: string; readonly agentId: string; readonly uuid: string },
): void {
  const task = state.tasks.get(frameworkId, ack.taskId)
  const outstanding = task?.record.pending[0]
  if (task?.inFlight === undefined || outstanding?.uuid !== ack.uuid) return
  if (task.record.agentId !== ack.agentId) return
  task.inFlight = undefined
  const { record } = state.tasks.put({ ...task.record, pending: task.record.pending.slice(1) })
  state.outbox.commit([putTask(record)])
  deliver(state, frameworkId, ack.taskId)
}

/** Sends again what nobody acknowledged in time, each time after twice as long. */
export function retryStatuses(state: ClusterState): void {
  for (const task of state.tasks.all()) {
    const { inFlight, record } = task
    const status = record.pending[0]
    const streamId = state.frameworks.get(record.frameworkId)?.streamId
    if (inFlight === undefined || status === undefined || streamId === undefined) continue
    if (inFlight.retryAtTick > state.ticks) continue
    const waitTicks = Math.min(inFlight.waitTicks * 2, state.limits.statusRetryTicksMax)
    task.inFlight = { retryAtTick: state.ticks + waitTicks, waitTicks }
    state.outbox.toFramework(streamId, { type: 'UPDATE', update: { status } })
  }
}

/** What the framework was told last, or will hear next: reconciliation must not run ahead of it. */
const toldState = ({ pending, state }: TaskRecord): TaskState => pending[0]?.state ?? state

/** RECONCILE: answers at once, beside the line of statuses and without a uuid. Source: mesos.md §5.5. */
export function reconcile(
  state: ClusterState,
  { record: { frameworkId, info }, streamId }: Framework,
  asked: readonly { readonly taskId: string; readonly agentId: string | undefined }[],
): void {
  if (streamId === undefined) return
  for (const { taskId, agentId } of asked.length > 0 ? asked : liveTasks(state, frameworkId)) {
    const found = state.tasks.get(frameworkId, taskId)?.record
    const known = found === undefined || isCompleted(found) ? undefined : found
    const verdict = known === undefined ? unknownTask(state, agentId) : latest(toldState(known))
    const status = masterStatus(
      state,
      { taskId, agentId: known?.agentId ?? agentId },
      { ...verdict, state: stateFor(info, verdict.state) },
    )
    state.outbox.toFramework(streamId, { type: 'UPDATE', update: { status } })
  }
}

const liveTasks = (state: ClusterState, frameworkId: string): readonly TaskRecord[] =>
  state.tasks
    .of(frameworkId)
    .map(({ record }) => record)
    .filter((record) => !isCompleted(record))

const latest = (told: TaskState): Verdict => ({
  state: told,
  reason: 'REASON_RECONCILIATION',
  message: 'Reconciliation: Latest task state',
})

function unknownTask(state: ClusterState, agentId: string | undefined): Verdict {
  const agent = agentId === undefined ? undefined : state.agents.get(agentId)
  const isRegistered = agent !== undefined && agent.record.state !== 'unreachable'
  return isRegistered
    ? {
        state: 'TASK_GONE',
        reason: 'REASON_RECONCILIATION',
        message: 'Reconciliation: Task is unknown to the agent',
      }
    : {
        state: 'TASK_UNKNOWN',
        reason: 'REASON_RECONCILIATION',
        message: 'Reconciliation: Task is unknown',
      }
}

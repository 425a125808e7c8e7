import { invariant } from '@conclave/kernel'
import {
  partsIn,
  Secret,
  TaskInfo,
  type ExecutorInfo,
  type Grant,
  type Operation,
  type TaskReason,
  type ToAgent,
} from '@conclave/model'
import type { RecordChange } from './effect.ts'
import { tellTaskAdded } from './operator/watchers.ts'
import { executorText, runningExecutor } from './running-executors.ts'
import { grantKey, putGrant, putTask, type TaskRecord } from './records.ts'
import { bagOf, bagText, contains, minus, type Bag } from './resources.ts'
import type { ClusterState, Framework } from './state.ts'
import { masterStatus, type Verdict } from './statuses.ts'
import { isCompleted } from './tasks.ts'
import { executorProblem, groupExecutorProblem } from './validation/executor.ts'
import {
  groupTaskProblem,
  isSameExecutor,
  mixedCgroupsProblem,
  sameExecutorProblem,
} from './validation/group.ts'
import { strictGroupProblem } from './validation/strict.ts'
import { aloneProblem, pathsIn, taskProblem } from './validation/task.ts'

/*
 * From an accepted offer to a task: what is checked where offers, tasks and executors are known, in
 * Mesos' order and words, and the one transaction that makes it so. Source: mesos.md §5.3.
 */

type LaunchGroup = NonNullable<Operation['launch_group']>

/** What is left of the offers of one ACCEPT while its operations are carried out. */
export interface Pool {
  readonly agentId: string
  readonly role: string
  left: Bag
}

/** Tells the framework of a task that never was one: no uuid, no record, nothing left behind. */
export function refuseTask(
  state: ClusterState,
  framework: Framework,
  task: TaskInfo,
  verdict: Verdict,
): void {
  const { frameworkId } = framework.record
  const taskId = task.task_id.value
  const { reason, message: why } = verdict
  if (framework.streamId !== undefined) {
    const status = masterStatus(state, { taskId, agentId: task.agent_id.value }, verdict)
    state.outbox.toFramework(framework.streamId, { type: 'UPDATE', update: { status } })
  }
  const shown = { taskId: taskId.slice(0, 1024), why: why.slice(0, 1024) }
  state.outbox.emit({ type: 'task.refused', frameworkId, reason, ...shown })
}

const refuseAs =
  (state: ClusterState, framework: Framework) =>
  (tasks: readonly TaskInfo[], reason: TaskReason, message: string): void => {
    for (const task of tasks)
      refuseTask(state, framework, task, { state: 'TASK_ERROR', reason, message })
  }

const hasNoId = (type: string): string => `The \`id\` field cannot be set on ${type} operations`

/** LAUNCH of one task: each is taken or refused by itself. */
export function launchOne(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  asked: TaskInfo,
  hasId: boolean,
): void {
  const refused = refuseAs(state, framework)
  const { frameworkId } = framework.record
  const task = withExecutor(frameworkId, asked, asked.executor)
  const problem =
    (hasId ? hasNoId('LAUNCH') : undefined) ??
    oneProblem(state, framework, pool, task) ??
    executorProblem(task, frameworkId) ??
    compatibleProblem(state, frameworkId, pool, task.executor) ??
    roomProblem(
      pool,
      bagOf([...task.resources, ...newResources(state, frameworkId, pool, task.executor)]),
      'task and its executor is',
    ) ??
    aloneProblem(task)
  if (problem !== undefined) return refused([task], 'REASON_TASK_INVALID', problem)
  const forbidden = secretsProblem(state, framework, task)
  if (forbidden !== undefined) return refused([task], 'REASON_TASK_UNAUTHORIZED', forbidden)
  launch(state, framework, pool, [task], undefined)
}

/** The master says whose executor it is, as Mesos' does. */
const withExecutor = (
  frameworkId: string,
  task: TaskInfo,
  executor: ExecutorInfo | undefined,
): TaskInfo =>
  executor === undefined
    ? task
    : { ...task, executor: { framework_id: { value: frameworkId }, ...executor } }

function oneProblem(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  task: TaskInfo,
): string | undefined {
  const taskId = task.task_id.value
  const known = state.tasks.get(framework.record.frameworkId, taskId)?.record
  if (known?.state === 'TASK_UNREACHABLE') {
    return `Task reuses the ID of an unreachable task: ${taskId}`
  }
  if (known !== undefined && !isCompleted(known)) return `Task has duplicate ID: ${taskId}`
  return (
    taskProblem(task, pool.agentId, state.limits) ??
    (task.resources.every(({ allocation_info: allocation }) =>
      [undefined, pool.role].includes(allocation?.role),
    )
      ? undefined
      : `Task uses invalid resources: allocated to another role than the offer's, ${pool.role}`)
  )
}

/** One id is one executor, for as long as it runs. */
function compatibleProblem(
  state: ClusterState,
  frameworkId: string,
  { agentId }: Pool,
  executor: ExecutorInfo | undefined,
): string | undefined {
  if (executor === undefined) return undefined
  const running = runningExecutor(state, { frameworkId, agentId, executor })
  if (running === undefined || isSameExecutor(running, executor)) return undefined
  const line = '------------------------------------------------------------'
  const [old, asked] = [running, executor].map((one) => executorText(state, one))
  return (
    'ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n' +
    `${line}\nExisting ExecutorInfo:\n${old}\n${line}\nExecutorInfo:\n${asked}\n${line}\n`
  )
}

/** What an executor takes beside its tasks: nothing, when it runs already. */
const newResources = (
  state: ClusterState,
  frameworkId: string,
  { agentId }: Pool,
  executor: ExecutorInfo | undefined,
): ExecutorInfo['resources'] =>
  executor === undefined || runningExecutor(state, { frameworkId, agentId, executor }) !== undefined
    ? []
    : executor.resources

function roomProblem(pool: Pool, wanted: Bag, whose: string): string | undefined {
  if (contains(pool.left, wanted)) return undefined
  const [needed, offered] = [bagText(wanted, pool.role), bagText(pool.left, pool.role)]
  return `Total resources ${needed} required by ${whose} more than available ${offered}`
}

/** A task gets no secret that its framework's principal may not read. */
function secretsProblem(
  state: ClusterState,
  { record: { uid } }: Framework,
  task: TaskInfo,
): string | undefined {
  const taskId = task.task_id.value
  const path = pathsIn(task).find((one) => !state.surroundings.mayRead(uid, one, taskId))
  return path === undefined
    ? undefined
    : `Task is not authorized: principal '${uid}' may not read secret '${path}'`
}

/** LAUNCH_GROUP: all tasks or none, and what is wrong with one is said of each. */
export function launchGroup(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  { executor: asked, task_group: { tasks: askedTasks } }: LaunchGroup,
  hasId: boolean,
): void {
  const refused = refuseAs(state, framework)
  const { frameworkId } = framework.record
  const executor = { framework_id: { value: frameworkId }, ...asked }
  const tasks = askedTasks.map((task) => withExecutor(frameworkId, task, task.executor ?? executor))
  const problem =
    (hasId ? hasNoId('LAUNCH_GROUP') : undefined) ??
    groupProblem(state, framework, pool, tasks) ??
    groupExecutorProblem(executor, frameworkId) ??
    compatibleProblem(state, frameworkId, pool, executor) ??
    sameExecutorProblem(tasks, executor) ??
    roomProblem(
      pool,
      bagOf([
        ...newResources(state, frameworkId, pool, executor),
        ...tasks.flatMap(({ resources }) => resources),
      ]),
      'task group and its executor are',
    ) ??
    mixedCgroupsProblem(tasks, tasksUnder(state, frameworkId, pool, executor))
  if (problem !== undefined) return refused(tasks, 'REASON_TASK_GROUP_INVALID', problem)
  const forbidden = tasks
    .map((task) => secretsProblem(state, framework, task))
    .find((why) => why !== undefined)
  if (forbidden !== undefined) return refused(tasks, 'REASON_TASK_GROUP_UNAUTHORIZED', forbidden)
  const group = { id: state.surroundings.uuid(), executorId: executor.executor_id.value }
  launch(state, framework, pool, tasks, group)
}

function groupProblem(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  tasks: readonly TaskInfo[],
): string | undefined {
  if (tasks.length === 0) return 'Task group cannot be empty'
  const ids = new Set<string>()
  for (const task of tasks) {
    const id = task.task_id.value
    const problem =
      (ids.has(id) ? `Task has duplicate ID: ${id}` : undefined) ??
      oneProblem(state, framework, pool, task) ??
      groupTaskProblem(task)
    if (problem !== undefined) return `Task '${id}' is invalid: ${problem}`
    ids.add(id)
  }
  return strictGroupProblem(tasks, state.limits)
}

const tasksUnder = (
  state: ClusterState,
  frameworkId: string,
  { agentId }: Pool,
  executor: ExecutorInfo,
): readonly TaskInfo[] =>
  state.tasks
    .of(frameworkId)
    .map(({ record }) => record)
    .filter(
      (record) =>
        record.agentId === agentId &&
        !isCompleted(record) &&
        record.info.executor?.executor_id.value === executor.executor_id.value,
    )
    .map(({ info }) => info)

/** Commits records and grants in one transaction, and then tells the agent. */
function launch(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  tasks: readonly TaskInfo[],
  group: TaskRecord['group'],
): void {
  const { frameworkId } = framework.record
  const { agentId } = pool
  const changes: RecordChange[] = []
  const stale: RecordChange[] = []
  for (const { executor } of tasks.slice(0, 1)) {
    pool.left = minus(pool.left, bagOf(newResources(state, frameworkId, pool, executor)))
  }
  const launched = tasks.map((info) => {
    pool.left = minus(pool.left, bagOf(info.resources))
    const hasPlaintext = partsIn(TaskInfo, info, Secret).some(
      ({ value }) => value?.data !== undefined,
    )
    invariant(!hasPlaintext, 'a call reaches the cluster with its inline secrets sealed')
    const before = state.tasks.get(frameworkId, info.task_id.value)?.grants ?? []
    const record = recordOf(state, framework, pool, info, group)
    const grants = pathsIn(info).map((path): Grant => {
      const version = state.surroundings.secretVersion(path)
      const { taskId } = record
      return { frameworkId, taskId, agentId, path, version, issuedAtMs: state.nowMs }
    })
    const paths = new Set(grants.map(({ path }) => path))
    const past = before.filter(({ path }) => !paths.has(path))
    stale.push(...past.map((grant): RecordChange => ({ key: grantKey(grant) })))
    state.tasks.put(record, grants)
    changes.push(putTask(record), ...grants.map(putGrant))
    return { record, grants }
  })
  state.outbox.commit(stale)
  state.outbox.commit(changes)
  for (const { record, grants } of launched) {
    const { taskId } = record
    for (const { path, version } of grants) {
      state.outbox.emit({ type: 'grant.issued', frameworkId, taskId, agentId, path, version })
    }
    state.outbox.emit({ type: 'task.launched', frameworkId, taskId, agentId })
    tellTaskAdded(state, record)
  }
  sendLaunch(
    state,
    framework,
    launched.map(({ record }) => record),
  )
}

function recordOf(
  state: ClusterState,
  { record: { frameworkId } }: Framework,
  { agentId, role }: Pool,
  info: TaskInfo,
  group: TaskRecord['group'],
): TaskRecord {
  return {
    frameworkId,
    taskId: info.task_id.value,
    agentId,
    containerId: state.surroundings.uuid(),
    role,
    ...(group === undefined ? {} : { group }),
    info,
    state: 'TASK_STAGING',
    statuses: [],
    pending: [],
    submittedAtMs: state.nowMs,
    updatedAtMs: state.nowMs,
  }
}

/** One task, or all of a group in one message with their executor. */
function sendLaunch(
  state: ClusterState,
  { record: { info: framework } }: Framework,
  records: readonly TaskRecord[],
): void {
  const [first] = records
  if (first === undefined) return
  const connection = state.agents.get(first.agentId)?.connection
  invariant(connection !== undefined, 'an offer that stands is of an agent that is there')
  const { frameworkId, containerId, info: task, group } = first
  const { executor } = task
  const message: ToAgent =
    group === undefined || executor === undefined
      ? { type: 'launch', frameworkId, containerId, task, framework }
      : {
          type: 'launch-group',
          frameworkId,
          framework,
          executor,
          tasks: records.map((one) => ({ containerId: one.containerId, task: one.info })),
        }
  state.outbox.toAgent(connection, message)
}

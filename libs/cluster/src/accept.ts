import { invariant } from '@conclave/kernel'
import {
  hasCapability,
  partsIn,
  Secret,
  TaskInfo,
  type Filters,
  type Grant,
  type Operation,
  type SchedulerCall,
  type TaskReason,
} from '@conclave/model'
import type { RecordChange } from './effect.ts'
import type { OpenOffer } from './offers.ts'
import { operationUnsupported, refuseOperation } from './operations.ts'
import { grantKey, putGrant, putTask, type TaskRecord } from './records.ts'
import { bagOf, bagText, contains, emptyBag, isEmpty, minus, plus, type Bag } from './resources.ts'
import type { ClusterState, Framework } from './state.ts'
import { masterStatus, type Verdict } from './statuses.ts'
import { isCompleted } from './tasks.ts'
import {
  executorProblem,
  groupExecutorProblem,
  groupTaskProblem,
  pathsIn,
  taskProblem,
} from './validation.ts'

type Accept = NonNullable<SchedulerCall['accept']>
type LaunchGroup = NonNullable<Operation['launch_group']>

/** What is left of the offers of one ACCEPT while its operations are carried out. */
interface Pool {
  readonly agentId: string
  readonly role: string
  left: Bag
}

/** ACCEPT. Every offer in it is used up, whatever becomes of its operations. Source: mesos.md §5.3. */
export function accept(state: ClusterState, framework: Framework, call: Accept): void {
  const ids = call.offer_ids.map(({ value }) => value)
  const { frameworkId } = framework.record
  const offers = ids.map((id) => state.offers.get(id))
  const why = offersProblem(ids, offers, frameworkId)
  const own = offers.filter((offer) => offer?.frameworkId === frameworkId)
  for (const offer of own) {
    if (offer === undefined || state.offers.close(offer.offerId) === undefined) continue
    const { offerId, agentId } = offer
    state.outbox.emit({ type: 'offer.accepted', offerId, frameworkId, agentId })
  }
  state.mayAllocate = true
  const first = own[0]
  if (why !== undefined || first === undefined) {
    return drop(state, framework, call.operations, why ?? 'No offers specified')
  }
  const left = own.reduce((sum, offer) => plus(sum, offer?.bag ?? emptyBag), emptyBag)
  const pool: Pool = { agentId: first.agentId, role: first.role, left }
  for (const operation of call.operations) operate(state, framework, pool, operation)
  refuseRest(state, frameworkId, pool, call.filters)
}

function offersProblem(
  ids: readonly string[],
  offers: readonly (OpenOffer | undefined)[],
  frameworkId: string,
): string | undefined {
  const [first] = offers
  if (ids.length === 0) return 'No offers specified'
  for (const [index, id] of ids.entries()) {
    if (ids.indexOf(id) < index) return `Duplicate offer ${id} in offer list`
  }
  for (const [index, offer] of offers.entries()) {
    const id = ids[index]
    if (offer === undefined) return `Offer ${id} is no longer valid`
    if (offer.frameworkId !== frameworkId) {
      return `Offer ${id} has invalid framework ${offer.frameworkId} while framework ${frameworkId} is expected`
    }
    if (first !== undefined && offer.role !== first.role) {
      return `Aggregated offers must be allocated to the same role. Offer ${id} uses role ${offer.role} but another is using role ${first.role}`
    }
    if (first !== undefined && offer.agentId !== first.agentId) {
      return `Aggregated offers must belong to one single agent. Offer ${id} uses agent ${offer.agentId} and agent ${first.agentId}`
    }
  }
  return undefined
}

const tasksOf = ({ type, launch, launch_group: group }: Operation): readonly TaskInfo[] => {
  if (type === 'LAUNCH') return launch?.task_infos ?? []
  return type === 'LAUNCH_GROUP' ? (group?.task_group.tasks ?? []) : []
}

function drop(
  state: ClusterState,
  framework: Framework,
  operations: readonly Operation[],
  why: string,
): void {
  const isAware = hasCapability(framework.record.info, 'PARTITION_AWARE')
  for (const operation of operations) {
    const isLaunch = operation.type === 'LAUNCH' || operation.type === 'LAUNCH_GROUP'
    if (isLaunch) continue
    refuseOperation(state, framework, operation, `Operation attempted with invalid offers: ${why}`)
  }
  for (const task of operations.flatMap(tasksOf)) {
    refuse(state, framework, task, {
      state: isAware ? 'TASK_DROPPED' : 'TASK_LOST',
      reason: 'REASON_INVALID_OFFERS',
      message: `Task launched with invalid offers: ${why}`,
    })
  }
}

/** Tells the framework of a task that never was one: no uuid, no record, nothing left behind. */
function refuse(state: ClusterState, framework: Framework, task: TaskInfo, verdict: Verdict): void {
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
      refuse(state, framework, task, { state: 'TASK_ERROR', reason, message })
  }

function operate(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  operation: Operation,
): void {
  const { type, id, launch_group: group } = operation
  switch (type) {
    case 'LAUNCH':
      for (const task of operation.launch?.task_infos ?? [])
        launchOne(state, framework, pool, task, id !== undefined)
      return
    case 'LAUNCH_GROUP':
      if (group !== undefined) launchGroup(state, framework, pool, group, id !== undefined)
      return
    default:
      // Reservations and volumes are known by name only: their resources go back with the rest.
      refuseOperation(state, framework, operation, operationUnsupported(type))
  }
}

const hasNoId = (type: string): string => `The \`id\` field cannot be set on ${type} operations`

function launchOne(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  task: TaskInfo,
  hasId: boolean,
): void {
  const refused = refuseAs(state, framework)
  const problem =
    (hasId ? hasNoId('LAUNCH') : undefined) ??
    oneProblem(state, framework, pool, task) ??
    executorProblem(task) ??
    roomProblem(pool, bagOf(task.resources), 'task and its executor is')
  if (problem !== undefined) return refused([task], 'REASON_TASK_INVALID', problem)
  const forbidden = secretsProblem(state, framework, task)
  if (forbidden !== undefined) return refused([task], 'REASON_TASK_UNAUTHORIZED', forbidden)
  launch(state, framework, pool, [task], undefined)
}

function oneProblem(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  task: TaskInfo,
): string | undefined {
  const taskId = task.task_id.value
  const known = state.tasks.get(framework.record.frameworkId, taskId)
  const isTaken = known !== undefined && !isCompleted(known.record)
  if (isTaken) return `Task has duplicate ID: ${taskId}`
  return (
    taskProblem(task, pool.agentId, state.limits) ??
    (task.resources.every(({ allocation_info: allocation }) =>
      [undefined, pool.role].includes(allocation?.role),
    )
      ? undefined
      : `Task uses invalid resources: allocated to another role than the offer's, ${pool.role}`)
  )
}

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

function launchGroup(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  { executor, task_group: { tasks } }: LaunchGroup,
  hasId: boolean,
): void {
  const refused = refuseAs(state, framework)
  const wanted = bagOf([...executor.resources, ...tasks.flatMap(({ resources }) => resources)])
  const problem =
    (hasId ? hasNoId('LAUNCH_GROUP') : undefined) ??
    groupProblem(state, framework, pool, tasks) ??
    groupExecutorProblem(executor) ??
    roomProblem(pool, wanted, 'task group and its executor are')
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
  const { tasksPerGroupMax } = state.limits
  if (tasks.length === 0) return 'Task group cannot be empty'
  if (tasks.length > tasksPerGroupMax) {
    return `Task group has ${tasks.length} tasks, more than the ${tasksPerGroupMax} it may`
  }
  const ids = tasks.map((task) => task.task_id.value)
  for (const [index, task] of tasks.entries()) {
    const id = task.task_id.value
    const problem =
      (ids.indexOf(id) < index ? `Task has duplicate ID: ${id}` : undefined) ??
      oneProblem(state, framework, pool, task) ??
      groupTaskProblem(task)
    if (problem !== undefined) return `Task '${id}' is invalid: ${problem}`
  }
  return undefined
}

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
  const launched = tasks.map((info) => {
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
    pool.left = minus(pool.left, bagOf(info.resources))
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
    sendLaunch(state, record)
  }
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

function sendLaunch(state: ClusterState, record: TaskRecord): void {
  const connection = state.agents.get(record.agentId)?.connection
  invariant(connection !== undefined, 'an offer that stands is of an agent that is there')
  const { frameworkId, containerId, info: task } = record
  state.outbox.toAgent(connection, { type: 'launch', frameworkId, containerId, task })
}

/** DECLINE. */
export function decline(
  state: ClusterState,
  framework: Framework,
  call: NonNullable<SchedulerCall['decline']>,
): void {
  const { frameworkId } = framework.record
  for (const { value: offerId } of call.offer_ids) {
    const offer = state.offers.get(offerId)
    if (offer?.frameworkId !== frameworkId) continue
    state.offers.close(offerId)
    const { agentId, role, bag: left } = offer
    state.outbox.emit({ type: 'offer.declined', offerId, frameworkId, agentId })
    refuseRest(state, frameworkId, { agentId, role, left }, call.filters)
  }
  state.mayAllocate = true
}

/** Takes back offers that nobody answered. Others get a chance at them, as if they had been declined. */
export function expireOffers(state: ClusterState): void {
  const latest = state.ticks - state.limits.offerTimeoutTicks
  const isOld = ({ madeAtTick }: OpenOffer): boolean => madeAtTick <= latest
  if (!Iterator.from(state.offers.all()).some(isOld)) return
  for (const offer of state.closeOffers(isOld, { rescind: true })) {
    const { frameworkId, agentId, role, bag: left } = offer
    refuseRest(state, frameworkId, { agentId, role, left }, undefined)
  }
}

const refuseSecondsDefault = 5
const refuseSecondsMax = 31_536_000

function refuseRest(
  state: ClusterState,
  frameworkId: string,
  { agentId, role, left }: Pool,
  filters: Filters | undefined,
): void {
  const asked = filters?.refuse_seconds ?? refuseSecondsDefault
  const seconds = asked >= 0 ? Math.min(asked, refuseSecondsMax) : refuseSecondsDefault
  if (seconds === 0 || isEmpty(left)) return
  const untilTick = state.ticks + Math.ceil(seconds)
  state.allocator.refuse(frameworkId, { role, agentId, refused: left, untilTick })
}

import {
  rolesOf,
  type FrameworkInfo,
  type SchedulerCall,
  type SchedulerEvent,
} from '@conclave/model'
import {
  comebackProblem,
  frameworkProblem,
  suppressedProblem,
  updateProblem,
} from './validation/framework.ts'
import { shutDownExecutors } from './executors.ts'
import { graceOf, requestKill } from './kills.ts'
import { tellFramework } from './operator/watchers.ts'
import { frameworkKey, putFramework, putGrant, putTask, type FrameworkRecord } from './records.ts'
import type { ClusterState, Framework } from './state.ts'
import { decide, deliver, revokedNow } from './statuses.ts'
import { isCompleted, isHolding, type Task } from './tasks.ts'
import type { PlainAnswer } from './effect.ts'

const badRequest = (body: string): PlainAnswer => ({ status: 400, body })

/**
 * SUBSCRIBE of the right form. What is refused here is refused within the stream: as its first event,
 * and its last. Source: mesos.md §5.1.
 */
export function subscribe(
  state: ClusterState,
  uid: string,
  call: SchedulerCall & { readonly subscribe: NonNullable<SchedulerCall['subscribe']> },
  streamId: string,
): void {
  const { framework_info: asked, suppressed_roles: suppressed } = call.subscribe
  const info = { ...asked, principal: uid }
  const known = info.id === undefined ? undefined : state.frameworks.get(info.id.value)
  const problem =
    frameworkProblem(info) ??
    suppressedProblem(info, suppressed) ??
    comebackProblem(uid, info, known)
  if (problem !== undefined) {
    state.outbox.toFramework(streamId, { type: 'ERROR', error: { message: problem } })
    state.outbox.closeFramework(streamId)
    return
  }
  if (known === undefined) start(state, uid, info, suppressed, streamId)
  else resume(state, known, info, suppressed, streamId)
}

function start(
  state: ClusterState,
  uid: string,
  info: FrameworkInfo,
  suppressedRoles: readonly string[],
  streamId: string,
): void {
  const { id: frameworkId, change } = state.numbers.framework()
  const record: FrameworkRecord = {
    frameworkId,
    uid,
    info: { ...info, id: { value: frameworkId } },
    state: 'active',
    suppressedRoles,
    registeredAtMs: state.nowMs,
  }
  const framework: Framework = {
    record,
    streamId,
    awaySinceTick: 0,
    awayTicksMax: 0,
    heartbeatAtTick: 0,
    offeredAtTick: -1,
  }
  state.frameworks.set(frameworkId, framework)
  state.outbox.commit([change, putFramework(record)])
  greet(state, framework, streamId, { isNew: true })
}

function resume(
  state: ClusterState,
  framework: Framework,
  info: FrameworkInfo,
  suppressedRoles: readonly string[],
  streamId: string,
): void {
  const { frameworkId } = framework.record
  if (framework.streamId !== undefined && framework.streamId !== streamId) {
    const message = 'Framework failed over'
    state.outbox.toFramework(framework.streamId, { type: 'ERROR', error: { message } })
    state.outbox.closeFramework(framework.streamId)
    state.frameworkBehind.delete(framework.streamId)
  }
  // The new stream knows nothing of what was offered on the old one.
  framework.streamId = undefined
  state.inverseOffers.close((one) => one.frameworkId === frameworkId)
  state.closeOffers((offer) => offer.frameworkId === frameworkId, { rescind: false })
  const { disconnectedAtMs: _past, ...record } = framework.record
  framework.record = {
    ...record,
    info: {
      ...info,
      id: { value: frameworkId },
      user: record.info.user,
      checkpoint: record.info.checkpoint,
    },
    state: 'active',
    suppressedRoles,
    reregisteredAtMs: state.nowMs,
  }
  state.allocator.revive(frameworkId)
  state.outbox.commit([putFramework(framework.record)])
  greet(state, framework, streamId, { isNew: false })
  for (const task of state.tasks.of(frameworkId)) {
    task.inFlight = undefined
    deliver(state, frameworkId, task.record.taskId)
  }
}

function greet(
  state: ClusterState,
  framework: Framework,
  streamId: string,
  { isNew }: { isNew: boolean },
): void {
  const { frameworkId, info } = framework.record
  framework.streamId = streamId
  state.frameworkBehind.set(streamId, frameworkId)
  const subscribed: SchedulerEvent = {
    type: 'SUBSCRIBED',
    subscribed: {
      framework_id: { value: frameworkId },
      heartbeat_interval_seconds: state.limits.heartbeatTicks,
      master_info: state.masterInfo,
    },
  }
  state.outbox.toFramework(streamId, subscribed)
  beat(state, framework)
  state.outbox.emit({
    type: 'framework.subscribed',
    frameworkId,
    name: info.name.slice(0, 255),
    isNew,
  })
  tellFramework(state, framework, isNew ? 'ADDED' : 'UPDATED')
  state.mayAllocate = true
}

function beat(state: ClusterState, framework: Framework): void {
  if (framework.streamId === undefined) return
  framework.heartbeatAtTick = state.ticks + state.limits.heartbeatTicks
  state.outbox.toFramework(framework.streamId, { type: 'HEARTBEAT' })
}

export function heartbeats(state: ClusterState): void {
  for (const framework of state.frameworks.values()) {
    if (framework.heartbeatAtTick <= state.ticks) beat(state, framework)
  }
}

/** The stream broke. The framework has its `failover_timeout` to come back; 0 is none at all. */
export function disconnectFramework(state: ClusterState, streamId: string): void {
  const frameworkId = state.frameworkBehind.get(streamId)
  state.frameworkBehind.delete(streamId)
  const framework = frameworkId === undefined ? undefined : state.frameworks.get(frameworkId)
  if (framework?.streamId !== streamId) return
  away(state, framework)
  framework.record = { ...framework.record, state: 'disconnected', disconnectedAtMs: state.nowMs }
  state.outbox.emit({ type: 'framework.disconnected', frameworkId: framework.record.frameworkId })
  framework.awayTicksMax = Math.ceil(framework.record.info.failover_timeout ?? 0)
  if (framework.awayTicksMax === 0) return removeFramework(state, framework, 'it disconnected')
  state.outbox.commit([putFramework(framework.record)])
  tellFramework(state, framework, 'UPDATED')
}

function away(state: ClusterState, framework: Framework): void {
  const { frameworkId } = framework.record
  framework.streamId = undefined
  framework.awaySinceTick = state.ticks
  state.inverseOffers.close((one) => one.frameworkId === frameworkId)
  state.closeOffers((offer) => offer.frameworkId === frameworkId, { rescind: false })
  for (const task of state.tasks.of(frameworkId)) task.inFlight = undefined
}

export function expireFrameworks(state: ClusterState): void {
  for (const framework of state.frameworks.values()) {
    const isAway = framework.streamId === undefined && framework.record.state !== 'completed'
    if (!isAway || state.ticks - framework.awaySinceTick < framework.awayTicksMax) continue
    removeFramework(state, framework, 'it did not come back in time')
  }
}

/**
 * The end of a framework. Its tasks lose their grants at once and are killed; they keep their
 * resources until their agent says that they ended.
 */
export function removeFramework(state: ClusterState, framework: Framework, why: string): void {
  const { frameworkId } = framework.record
  const { streamId } = framework
  away(state, framework)
  if (streamId !== undefined) {
    state.frameworkBehind.delete(streamId)
    state.outbox.closeFramework(streamId)
  }
  state.allocator.revive(frameworkId)
  framework.record = { ...framework.record, state: 'completed', completedAtMs: state.nowMs }
  state.outbox.commit([putFramework(framework.record)])
  state.outbox.emit({ type: 'framework.removed', frameworkId, why })
  tellFramework(state, framework, 'REMOVED')
  for (const task of state.tasks.of(frameworkId)) orphan(state, task)
  shutDownExecutors(state, frameworkId)
  evict(state)
}

function orphan(state: ClusterState, task: Task): void {
  const { frameworkId, taskId, agentId, state: last } = task.record
  if (isCompleted(task.record)) return
  const grants = revokedNow(state, task)
  const revoked = grants.filter((grant) => !task.grants.includes(grant))
  const orphaned = state.tasks.put({ ...task.record, pending: [] }, grants)
  state.outbox.commit([putTask(orphaned.record), ...revoked.map(putGrant)])
  for (const { path } of revoked) {
    state.outbox.emit({ type: 'grant.revoked', frameworkId, taskId, agentId, path })
  }
  if (isHolding(orphaned.record)) {
    requestKill(state, orphaned, graceOf(state, orphaned.record))
  } else if (last === 'TASK_UNREACHABLE') {
    const message = 'Framework was removed'
    decide(state, orphaned, { state: 'TASK_GONE', reason: 'REASON_FRAMEWORK_REMOVED', message })
  } else {
    deliver(state, frameworkId, taskId)
  }
}

/** Keeps the newest completed frameworks. */
function evict(state: ClusterState): void {
  const completed = [...state.frameworks.values()]
    .filter(({ record }) => record.state === 'completed')
    .toSorted((a, b) => (a.record.completedAtMs ?? 0) - (b.record.completedAtMs ?? 0))
  const excess = completed.length - state.limits.completedFrameworksMax
  for (const { record } of completed.slice(0, Math.max(0, excess))) {
    state.frameworks.delete(record.frameworkId)
    state.outbox.commit([{ key: frameworkKey(record.frameworkId) }])
  }
}

/** UPDATE_FRAMEWORK answers 200, unlike every other call. Source: mesos.md §5.2. */
export function updateFramework(
  state: ClusterState,
  framework: Framework,
  update: NonNullable<SchedulerCall['update_framework']>,
): PlainAnswer {
  const { record } = framework
  const { framework_info: asked, suppressed_roles: suppressedRoles } = update
  const info = { ...asked, principal: asked.principal ?? record.uid }
  const invalid = frameworkProblem(info)
  if (invalid !== undefined) return badRequest(`Supplied FrameworkInfo is not valid: ${invalid}`)
  const fixed = updateProblem({ ...record.info, principal: record.uid }, info)
  if (fixed !== undefined) return badRequest(`FrameworkInfo update is not valid: ${fixed}`)
  const suppressed = suppressedProblem(info, suppressedRoles)
  if (suppressed !== undefined) {
    return badRequest(`'UpdateFramework' call is not valid: ${suppressed}`)
  }
  const { frameworkId } = record
  framework.record = { ...record, info: { ...info, id: { value: frameworkId } }, suppressedRoles }
  const roles = new Set(rolesOf(info))
  state.closeOffers((offer) => offer.frameworkId === frameworkId && !roles.has(offer.role), {
    rescind: true,
  })
  state.outbox.commit([putFramework(framework.record)])
  tellFramework(state, framework, 'UPDATED')
  return { status: 200, body: '' }
}

/** SUPPRESS and REVIVE: of the roles that are named, or of all. */
export function setSuppressed(
  state: ClusterState,
  framework: Framework,
  roles: readonly string[],
  isSuppressed: boolean,
): void {
  const { record } = framework
  const all = rolesOf(record.info)
  const named = new Set(roles.length > 0 ? all.filter((role) => roles.includes(role)) : all)
  const kept = record.suppressedRoles.filter((role) => !named.has(role))
  const suppressedRoles = isSuppressed ? [...kept, ...named] : kept
  if (!isSuppressed) state.allocator.revive(record.frameworkId, roles)
  state.mayAllocate = true
  const before = new Set(record.suppressedRoles)
  if (before.symmetricDifference(new Set(suppressedRoles)).size === 0) return
  framework.record = { ...record, suppressedRoles }
  state.outbox.commit([putFramework(framework.record)])
}

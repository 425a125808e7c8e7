import { hasEndedByItself, isRetired, livesIn, type Board } from './board.ts'
import { isDone } from './restart.ts'
import type { ChangePolicy } from './spec.ts'
import { isFinal, isLive, type WorkloadTask } from './task.ts'
import type { UpdateStatus, Workload } from './workload.ts'

/*
 * A rolling update, and the way back from one. Nothing of it is remembered but its status and what the tasks
 * say, so any leader goes on with it. States and words are SwarmKit's, since clients of Docker match them.
 */

export interface Rolled {
  readonly update: UpdateStatus | undefined
  /** What is wanted again, after too many failures. */
  readonly workload?: Workload
}

interface Slot {
  readonly name: string
  readonly tasks: readonly WorkloadTask[]
}

export function roll(board: Board): Rolled {
  settle(board)
  const dirty = dirtySlots(board)
  const update = begun(board, dirty.length)
  if (update === undefined || !isUnderWay(update)) return { update }
  const counted = { ...update, failures: update.failures + countFailures(board, update) }
  const { policy, isRollback } = policyOf(board, update)
  const failed = lastFailed(board, counted)
  const isTooMuch = counted.failures / Math.max(1, counted.instances) > policy.maxFailureRatio
  if (failed !== undefined && counted.failures > 0 && isTooMuch) {
    if (policy.failureAction !== 'continue') {
      return giveUp(board, counted, policy.failureAction === 'rollback' && !isRollback, failed)
    }
  }
  replaceNext(board, counted, policy, dirty)
  return { update: completed(board, counted, policy, isRollback) }
}

const isUnderWay = ({ state }: UpdateStatus): boolean =>
  state === 'updating' || state === 'rollback-started'

/** The update as it is now: the one on record, or a new one if there is something to replace. */
function begun(board: Board, dirty: number): UpdateStatus | undefined {
  const { status, nowMs } = board.scene
  const known = status.update
  if (known !== undefined && (isUnderWay(known) || known.state.endsWith('paused'))) {
    return isUnderWay(known) && dirty > known.instances ? { ...known, instances: dirty } : known
  }
  if (dirty === 0) return known
  return {
    state: 'updating',
    message: 'update in progress',
    startedAtMs: nowMs,
    instances: dirty,
    failures: 0,
  }
}

function policyOf(
  board: Board,
  { state }: UpdateStatus,
): { readonly policy: ChangePolicy; readonly isRollback: boolean } {
  const { spec } = board.scene.workload
  const isRollback = state === 'rollback-started'
  return { policy: isRollback ? spec.rollback : spec.update, isRollback }
}

/** A slot is settled under a template as soon as a task of it runs, or has ended by itself. */
function settle(board: Board): void {
  const { workload, nowMs } = board.scene
  for (const task of board.all()) {
    const isSettled = task.state === 'running' || hasEndedByItself(task)
    const isOurs = task.templateVersion === workload.templateVersion
    if (isOurs && isSettled && task.settledAtMs === undefined) {
      board.put({ ...task, settledAtMs: nowMs })
    }
  }
}

/** Slots whose task is of another template, and none of the current one is on its way. */
function dirtySlots(board: Board): readonly Slot[] {
  const { templateVersion } = board.scene.workload
  const slots = Array.from(board.slots(), ([name, tasks]): Slot => ({ name, tasks }))
  return slots.filter(({ tasks }) => {
    if (isRetired(tasks)) return false
    const { clean, dirty } = livesIn(tasks, templateVersion)
    if (clean.length > 0) return false
    const last = tasks.at(-1)
    const isOld = last !== undefined && last.templateVersion !== templateVersion
    return dirty.length > 0 || (isOld && isDone(board.scene.workload, last))
  })
}

/** Tasks of this update that ended by themselves, too soon: each counts once. */
function countFailures(board: Board, update: UpdateStatus): number {
  let failures = 0
  for (const task of board.all()) {
    if (task.isCounted === true || !hasFailed(board, update, task)) continue
    board.put({ ...task, isCounted: true })
    failures++
  }
  return failures
}

function hasFailed(board: Board, update: UpdateStatus, task: WorkloadTask): boolean {
  const { workload } = board.scene
  const { policy } = policyOf(board, update)
  const isOfUpdate =
    task.templateVersion === workload.templateVersion && task.createdAtMs >= update.startedAtMs
  // A lost agent is not the fault of what ran there; and what may end well is done then.
  const mayEnd = task.state === 'finished' && workload.spec.restart.condition !== 'any'
  if (!isOfUpdate || !hasEndedByItself(task) || task.state === 'lost' || mayEnd) return false
  const { startedAtMs, endedAtMs } = task
  return startedAtMs === undefined || (endedAtMs ?? 0) - startedAtMs <= policy.monitorMs
}

const lastFailed = (board: Board, update: UpdateStatus): WorkloadTask | undefined =>
  board
    .all()
    .filter((task) => task.isCounted === true && hasFailed(board, update, task))
    .toSorted((a, b) => (a.endedAtMs ?? 0) - (b.endedAtMs ?? 0))
    .at(-1)

function giveUp(
  board: Board,
  update: UpdateStatus,
  mayGoBack: boolean,
  { id }: WorkloadTask,
): Rolled {
  const { workload, nowMs } = board.scene
  const { previous, ...rest } = workload
  const because = `due to failure or early termination of task ${id}`
  if (!mayGoBack || previous === undefined) {
    const state = update.state === 'updating' ? 'paused' : 'rollback-paused'
    return { update: { ...update, state, message: `update paused ${because}` } }
  }
  return {
    workload: { ...rest, ...previous, updatedAtMs: nowMs },
    update: {
      state: 'rollback-started',
      message: `update rolled back ${because}`,
      startedAtMs: nowMs,
      instances: 0,
      failures: 0,
    },
  }
}

/** Replaces as many as may be replaced at once, those that do not run first. */
function replaceNext(
  board: Board,
  update: UpdateStatus,
  policy: ChangePolicy,
  dirty: readonly Slot[],
): void {
  const busy = slotsUnderWay(board, update, policy)
  const room = policy.parallelism === 0 ? dirty.length : policy.parallelism - busy
  const next = dirty.toSorted((a, b) => Number(runs(a)) - Number(runs(b)))
  for (const slot of next.slice(0, Math.max(0, room))) replace(board, slot, policy)
}

const runs = ({ tasks }: Slot): boolean =>
  tasks.some((task) => isLive(task) && task.state === 'running')

/** Slots that this update has begun to replace, and that are not settled for long enough. */
function slotsUnderWay(board: Board, update: UpdateStatus, { delayMs }: ChangePolicy): number {
  const { workload, nowMs } = board.scene
  let busy = 0
  for (const tasks of board.slots().values()) {
    const last = tasks.findLast((task) => task.templateVersion === workload.templateVersion)
    if (last === undefined || isRetired(tasks) || last.createdAtMs < update.startedAtMs) continue
    const goesOnAtMs = last.settledAtMs === undefined ? undefined : last.settledAtMs + delayMs
    if (goesOnAtMs !== undefined && goesOnAtMs <= nowMs) continue
    if (goesOnAtMs === undefined && isFinal(last.state)) continue
    busy++
    if (goesOnAtMs !== undefined) board.wakeAt(goesOnAtMs)
  }
  return busy
}

function replace(board: Board, { name, tasks }: Slot, { order }: ChangePolicy): void {
  const live = tasks.filter(isLive)
  const isAlone = live.length === 0
  if (order === 'stop-first') for (const task of live) board.end(task, 'shutdown')
  board.add(name, { desired: isAlone || order === 'start-first' ? 'running' : 'ready' })
}

/** Some slot is still of another template, or waits for its first task of this one. */
function isBehind(board: Board, { startedAtMs }: UpdateStatus): boolean {
  const { templateVersion } = board.scene.workload
  for (const tasks of board.slots().values()) {
    const last = tasks.at(-1)
    if (last === undefined || isRetired(tasks)) continue
    // A node that is drained has none of a global workload, and keeps what it had on record.
    if (!tasks.some(isLive) && !hasEndedByItself(last)) continue
    const isOurs = last.templateVersion === templateVersion
    const isSettled = last.settledAtMs !== undefined || last.createdAtMs < startedAtMs
    if (!isOurs || !isSettled) return true
  }
  return false
}

/** It is over once every slot is settled, and the last one was watched for long enough. */
function completed(
  board: Board,
  update: UpdateStatus,
  policy: ChangePolicy,
  isRollback: boolean,
): UpdateStatus {
  const { workload, nowMs } = board.scene
  if (isBehind(board, update) || slotsUnderWay(board, update, policy) > 0) return update
  const settledAtMs = board
    .all()
    .filter(({ templateVersion }) => templateVersion === workload.templateVersion)
    .map((task) => (task.createdAtMs < update.startedAtMs ? 0 : (task.settledAtMs ?? 0)))
  const overAtMs = Math.max(update.startedAtMs, ...settledAtMs) + policy.monitorMs
  const hasReplaced = settledAtMs.some((atMs) => atMs > 0)
  if (hasReplaced && nowMs <= overAtMs) {
    board.wakeAt(overAtMs + 1)
    return update
  }
  return {
    ...update,
    state: isRollback ? 'rollback-completed' : 'completed',
    message: isRollback ? 'rollback completed' : 'update completed',
    completedAtMs: nowMs,
  }
}

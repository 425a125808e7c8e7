import { hasEndedByItself, isRetired, type Board } from './board.ts'
import { isJob, isPerNode, type RestartPolicy } from './spec.ts'
import { isLive, type WorkloadTask } from './task.ts'
import { isOfThisRun, type Workload } from './workload.ts'

/** Gives each slot in which nothing lives a new task, if it may have one, after the delay that it must wait. */
export function restart(board: Board): void {
  const { workload } = board.scene
  for (const [slot, tasks] of board.slots()) {
    if (isRetired(tasks) || tasks.some(isLive) || isCompleted(workload, tasks)) continue
    const last = tasks.at(-1)
    if (last === undefined || isDone(workload, last) || !isOfThisRun(workload, last)) continue
    if (isPerNode(workload.spec) && !hasEndedByItself(last)) continue
    board.add(slot, successor(board, last))
  }
}

/** In this slot of a job this run has ended well, whatever was wanted of it by then. */
export const isCompleted = (workload: Workload, tasks: readonly WorkloadTask[]): boolean =>
  isJob(workload.spec) &&
  tasks.some((task) => task.state === 'finished' && isOfThisRun(workload, task))

/** It ended by itself and shall not be restarted: its slot is finished with. */
export function isDone({ spec, templateVersion }: Workload, last: WorkloadTask): boolean {
  if (!hasEndedByItself(last)) return false
  const { condition, maxAttempts } = spec.restart
  // An agent that was lost is nobody's fault; but what shall run once may have run.
  if (last.state === 'lost' && condition !== 'none') return false
  if (condition === 'none') return true
  if (last.state === 'finished' && (condition === 'on-failure' || isJob(spec))) return true
  // Attempts under another template do not count for this one.
  if (maxAttempts === 0 || last.templateVersion !== templateVersion) return false
  return restartsWithin(spec.restart, last).length >= maxAttempts
}

/** What the task after `last` in its slot begins with. */
function successor(board: Board, last: WorkloadTask): Partial<WorkloadTask> {
  const { workload, nowMs } = board.scene
  const { restart: policy } = workload.spec
  const isSame = last.templateVersion === workload.templateVersion
  const settled = isSame && last.settledAtMs !== undefined ? { settledAtMs: last.settledAtMs } : {}
  if (last.state === 'lost' || !hasEndedByItself(last)) {
    const { failuresInRow, restartsAtMs } = last
    return { ...settled, ...(isSame && { failuresInRow, restartsAtMs }) }
  }
  if (!isSame) return { desired: 'ready', notBeforeMs: nowMs }
  const failuresInRow = failuresAfter(policy, last)
  const waitMs = delayOf(policy, failuresInRow)
  return {
    ...settled,
    desired: 'ready',
    notBeforeMs: (last.endedAtMs ?? nowMs) + waitMs,
    failuresInRow,
    restartsAtMs:
      policy.maxAttempts === 0 ? [] : [...restartsWithin(policy, last), last.endedAtMs ?? nowMs],
  }
}

const restartsWithin = ({ windowMs }: RestartPolicy, last: WorkloadTask): readonly number[] => {
  const sinceMs = (last.endedAtMs ?? 0) - windowMs
  return windowMs === 0 ? last.restartsAtMs : last.restartsAtMs.filter((atMs) => atMs > sinceMs)
}

function failuresAfter({ resetAfterMs }: RestartPolicy, last: WorkloadTask): number {
  const { startedAtMs, endedAtMs, failuresInRow } = last
  const ranMs = startedAtMs === undefined ? 0 : (endedAtMs ?? 0) - startedAtMs
  const isFine = startedAtMs !== undefined && ranMs >= resetAfterMs
  // Whatever ends at once, and be it well, would end at once again.
  return isFine ? 1 : failuresInRow + 1
}

/** The first restart waits `delayMs`, each further one in a row longer. */
function delayOf(policy: RestartPolicy, failuresInRow: number): number {
  const { delayMs, backoffFactor, delayMaxMs } = policy
  const grownMs = delayMs * backoffFactor ** Math.max(0, failuresInRow - 1)
  return Math.round(Math.min(grownMs, Math.max(delayMs, delayMaxMs)))
}

/** A task that waits for its turn may run once all before it in its slot have ended, and its time has come. */
export function promote(board: Board): void {
  const { nowMs } = board.scene
  for (const tasks of board.slots().values()) {
    const waiting = tasks.findLast((task) => task.desired === 'ready' && isLive(task))
    if (waiting === undefined) continue
    if (tasks.some((task) => task !== waiting && !hasEnded(task))) continue
    const { notBeforeMs = 0 } = waiting
    if (notBeforeMs > nowMs) board.wakeAt(notBeforeMs)
    else board.put({ ...waiting, desired: 'running' })
  }
}

const hasEnded = ({ endedAtMs }: WorkloadTask): boolean => endedAtMs !== undefined

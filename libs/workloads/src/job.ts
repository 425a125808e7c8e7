import type { Board } from './board.ts'
import { isKept, mayHaveNew, retire } from './count.ts'
import { isCompleted, isDone } from './restart.ts'
import { isPerNode, type Mode } from './spec.ts'
import { isFinal, isLive, type WorkloadTask } from './task.ts'
import { isOfThisRun, type Workload } from './workload.ts'

/** Of a run that is over nothing goes on; what has ended is its history, as long as its slots are not nodes. */
export function endFormerRuns(board: Board): void {
  const { workload } = board.scene
  for (const task of board.all()) {
    if (isOfThisRun(workload, task)) continue
    if (!isFinal(task.state) || isPerNode(workload.spec)) board.end(task, 'remove')
  }
}

/** What was to go on elsewhere does not, once what it was to follow has ended well after all. */
export function endCompleted(board: Board): void {
  for (const tasks of board.slots().values()) {
    if (!isCompleted(board.scene.workload, tasks)) continue
    for (const task of tasks) if (isLive(task)) board.end(task, 'remove')
  }
}

/** Begins slots of this run: as many at once as may be, or on each node that has not had it. */
export function countJob(board: Board): void {
  const { mode } = board.scene.workload.spec
  if (mode.kind === 'replicated-job') countCompletions(board, mode)
  else countNodes(board)
}

type ReplicatedJob = Extract<Mode, { kind: 'replicated-job' }>

function countCompletions(board: Board, { completions, maxConcurrent }: ReplicatedJob): void {
  const { workload } = board.scene
  const isOurs = (task: WorkloadTask): boolean => isOfThisRun(workload, task)
  const slots = board.slots()
  const all = [...slots.values()]
  let running = all.filter((tasks) => tasks.some((task) => isOurs(task) && isLive(task))).length
  // What still ends takes its place too, whichever run it is of.
  let busy = all.filter((tasks) => tasks.some(isThere)).length
  for (let number = 0; number < completions && running < maxConcurrent; number++) {
    const tasks = slots.get(String(number)) ?? []
    if (tasks.some(isOurs)) continue
    const isBusy = tasks.some(isThere)
    if (!isBusy && busy >= maxConcurrent) continue
    board.add(String(number), { desired: 'ready' })
    running++
    if (!isBusy) busy++
  }
}

const isThere = ({ endedAtMs }: WorkloadTask): boolean => endedAtMs === undefined

function countNodes(board: Board): void {
  const { nodes, workload } = board.scene
  const slots = board.slots()
  for (const [slot, tasks] of slots) {
    // What a node completed before it was given up stays completed.
    if (isCompleted(workload, tasks)) continue
    if (!nodes.some(({ name }) => name === slot)) retire(board, tasks)
  }
  for (const node of nodes) {
    const tasks = slots.get(node.name) ?? []
    const hasOne = tasks.some((task) => isOfThisRun(workload, task) && isKept(task))
    if (!hasOne && !isCompleted(workload, tasks) && mayHaveNew(node, workload.spec))
      board.add(node.name, { desired: 'ready' })
  }
}

/** How far this run of a job is. */
export interface JobProgress {
  /** Slots in which it has ended well. */
  readonly completed: number
  /** Slots in which it has failed, and is not tried again. */
  readonly failed: number
  /** Slots in which a task runs, or may still come to run. */
  readonly live: number
}

export function jobProgress(workload: Workload, tasks: readonly WorkloadTask[]): JobProgress {
  const own = tasks.filter((task) => isOfThisRun(workload, task))
  const slots = [...Map.groupBy(own, ({ slot }) => slot).values()]
  const [completed = [], others = []] = [true, false].map((isOver) =>
    slots.filter((ofSlot) => isCompleted(workload, ofSlot) === isOver),
  )
  const live = others.filter((ofSlot) => ofSlot.some(isLive))
  const failed = others.filter((ofSlot) =>
    isDone(
      workload,
      ofSlot.reduce((a, b) => (a.attempt > b.attempt ? a : b)),
    ),
  )
  return { completed: completed.length, failed: failed.length, live: live.length }
}

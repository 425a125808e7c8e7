import { Board } from './board.ts'
import { count } from './count.ts'
import { displace, resolve } from './displace.ts'
import { trim } from './history.ts'
import { countJob, endCompleted, endFormerRuns } from './job.ts'
import { observe } from './observe.ts'
import { place } from './place.ts'
import { promote, restart } from './restart.ts'
import type { Decided, Scene } from './scene.ts'
import { isJob } from './spec.ts'
import { roll, type Rolled } from './update.ts'
import type { UpdateStatus } from './workload.ts'

/**
 * What the records of one workload should be, from what is wanted and what was seen. Nothing is remembered
 * between calls: whoever asks again with what came out is answered that nothing changes.
 */
export function reconcile(scene: Scene): Decided {
  const board = new Board(scene)
  observe(board)
  if (scene.workload.removedAtMs !== undefined) return end(board)
  if (isJob(scene.workload.spec)) return runJob(board)
  displace(board)
  resolve(board)
  const rolled = roll(board)
  if (rolled.workload === undefined) {
    count(board)
    restart(board)
    promote(board)
    place(board)
  } else {
    // What is wanted now is another thing: it is looked at anew.
    board.wakeAt(scene.nowMs)
  }
  trim(board)
  return decided(board, rolled)
}

/** Nothing of a job is replaced: what is wanted anew is another run of it. */
function runJob(board: Board): Decided {
  endFormerRuns(board)
  endCompleted(board)
  displace(board)
  resolve(board)
  // What is restarted has its place among those that run at once, before another one begins.
  restart(board)
  countJob(board)
  promote(board)
  place(board)
  trim(board)
  return decided(board, { update: board.scene.status.update })
}

function end(board: Board): Decided {
  for (const task of board.all()) board.end(task, 'remove')
  trim(board)
  return { ...decided(board, { update: undefined }), isOver: board.all().length === 0 }
}

function decided(board: Board, { update, workload }: Rolled): Decided {
  const isNews = !isSame(update, board.scene.status.update)
  return {
    tasks: board.changes(),
    status: isNews && update !== undefined ? { update } : undefined,
    workload,
    isOver: false,
    wakeAtMs: board.wakeAtMs,
  }
}

const isSame = (a: UpdateStatus | undefined, b: UpdateStatus | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b)

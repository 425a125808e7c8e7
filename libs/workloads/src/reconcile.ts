import { Board } from './board.ts'
import { count } from './count.ts'
import { displace, resolve } from './displace.ts'
import { trim } from './history.ts'
import { observe } from './observe.ts'
import { place } from './place.ts'
import { promote, restart } from './restart.ts'
import type { Decided, Scene } from './scene.ts'
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
  displace(board)
  resolve(board)
  const rolled = roll(board)
  if (rolled.workload === undefined) {
    count(board)
    restart(board)
    promote(board)
    place(board)
    trim(board)
  } else {
    // What is wanted now is another thing: it is looked at anew.
    board.wakeAt(scene.nowMs)
  }
  return decided(board, rolled)
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

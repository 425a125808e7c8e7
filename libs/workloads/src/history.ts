import type { Board } from './board.ts'
import { isFinal, isLive } from './task.ts'

/** Forgets what has ended and is not to be remembered: of retired slots all, of others the oldest. */
export function trim(board: Board): void {
  const { historyLimit } = board.scene.workload.spec
  for (const tasks of board.slots().values()) {
    const ended = tasks.filter(({ state }) => isFinal(state))
    const retired = ended.filter(({ desired }) => desired === 'remove')
    for (const task of retired) board.forget(task)
    const kept = ended.filter(({ desired }) => desired !== 'remove')
    // Where nothing lives, the last one says why.
    const limit = Math.max(historyLimit, tasks.some(isLive) ? 0 : 1)
    for (const task of kept.slice(0, Math.max(0, kept.length - limit))) board.forget(task)
  }
}

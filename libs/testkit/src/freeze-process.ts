import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Stops a process where it stands (`SIGSTOP`), or lets it go on: it keeps its connections and answers nobody. Resolves once it
 * stands: the signal stops each thread when that next looks, so on a busy machine one may still answer after it was sent.
 */
export async function freezeProcess(child: ChildProcess, isFrozen: boolean): Promise<void> {
  child.kill(isFrozen ? 'SIGSTOP' : 'SIGCONT')
  if (!isFrozen || process.platform !== 'linux') return
  while (isRunning(child)) await sleep(1)
}

/** proc(5): the state follows the name, which may itself hold brackets; `T` is stopped. */
function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  if (exitCode !== null || signalCode !== null) return false
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks)
    .map((task) => readFileSync(`${tasks}/${task}/stat`, 'latin1'))
    .some((stat) => !stat.slice(stat.lastIndexOf(')')).startsWith(') T'))
}

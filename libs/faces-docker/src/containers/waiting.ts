import type { Caller, WorkloadTaskView } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import type { Container } from './container.ts'

/** What a task has become: itself, later; or undefined, when it is not on record any more. */
export type Outcome = WorkloadTaskView | undefined

export const hasEnded = (task: Outcome): boolean =>
  task === undefined || ['finished', 'failed', 'killed', 'rejected', 'lost'].includes(task.state)

export const isForgotten = (task: Outcome): boolean => task === undefined

/** Waits until a container's task is as `isSo` wants it. Undefined when `signal` aborts first. */
export async function untilSo(
  engine: Engine,
  caller: Caller,
  { task }: Container,
  isSo: (outcome: Outcome) => boolean,
  signal: AbortSignal,
): Promise<{ readonly outcome: Outcome } | undefined> {
  const { workloads } = engine.master
  const stop = new AbortController()
  const changes = workloads.watch(caller, AbortSignal.any([signal, stop.signal]))
  try {
    const iterator = changes[Symbol.asyncIterator]()
    // What happens between the two is in the watch, which has begun.
    let next = iterator.next()
    for (;;) {
      const outcome = await taskNow(engine, caller, task)
      if (isSo(outcome)) return { outcome }
      const { done } = await next
      if (done === true || signal.aborted) return undefined
      next = iterator.next()
    }
  } finally {
    stop.abort()
  }
}

async function taskNow(engine: Engine, caller: Caller, task: WorkloadTaskView): Promise<Outcome> {
  const all = await engine.master.workloads.tasks(caller)
  return all.find(({ id }) => id === task.id)
}

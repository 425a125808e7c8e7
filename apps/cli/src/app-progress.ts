import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkloadTaskView, WorkloadView } from '@conclave/actors'
import type { Client } from './client.ts'
import { CommandFailed } from './failure.ts'

const everyMs = 200
/** For so long nobody needs to answer: a leader may be lost meanwhile. */
const failuresMax = 100

export interface Settled {
  readonly view: WorkloadView
  /** All run, and it was not paused or taken back; of a job, all have ended well. */
  readonly isAsWanted: boolean
}

/** Looks on until as many run as shall, or have ended well of a job; or until that was given up. Says what changes. */
export async function settle(
  client: Client,
  first: WorkloadView,
  say: (line: string) => void,
): Promise<Settled> {
  const wasRollback = first.update?.state === 'rollback-started'
  const progress = new Progress()
  let view = first
  for (let failures = 0; failures < failuresMax;) {
    const tasks = await looked(client, view)
    if (tasks === undefined) failures++
    else {
      failures = 0
      view = tasks.view
      for (const line of progress.news(view, tasks.tasks)) say(line)
      const end = endOf(view, wasRollback)
      if (end === false) sayWhy(tasks.tasks, first.updatedAtMs, say)
      if (end !== undefined) return { view, isAsWanted: end }
    }
    await sleep(everyMs)
  }
  throw new CommandFailed(
    'unavailable',
    `lost touch with ${first.name}; look with: conclave app ps ${first.name}`,
  )
}

/** Undefined while no master answers. */
async function looked(
  client: Client,
  { id }: WorkloadView,
): Promise<{ view: WorkloadView; tasks: readonly WorkloadTaskView[] } | undefined> {
  try {
    const path = `/conclave/v1/workloads/${id}`
    const view = await client.json<WorkloadView>('conclave', 'GET', path)
    const { tasks } = await client.json<{ tasks: WorkloadTaskView[] }>(
      'conclave',
      'GET',
      `${path}/tasks`,
    )
    return { view, tasks }
  } catch (error) {
    if (error instanceof CommandFailed && error.failure === 'unavailable') return undefined
    throw error
  }
}

/** True: as wanted; false: given up; undefined: not yet. */
export function endOf(view: WorkloadView, wasRollback: boolean): boolean | undefined {
  const { counts, update, job } = view
  if (job !== undefined) {
    if (job.completed === job.total) return true
    return counts.desired === 0 ? false : undefined
  }
  const state = update?.state ?? 'completed'
  if (state.endsWith('paused')) return false
  if (state === 'rollback-completed') return wasRollback
  if (state !== 'completed') return undefined
  const isUp = counts.running === counts.desired && counts.updated === counts.desired
  return isUp ? true : undefined
}

/** It was given up: what the latest task that failed meanwhile said, whatever runs in its place by now. */
function sayWhy(
  tasks: readonly WorkloadTaskView[],
  sinceMs: number,
  say: (line: string) => void,
): void {
  const failed = tasks
    .filter(({ state, createdAtMs }) => worthSaying.has(state) && createdAtMs >= sinceMs)
    .toSorted((a, b) => b.stateAtMs - a.stateAtMs)[0]
  if (failed !== undefined) say(`${failed.taskId} ${failed.state}: ${failed.message ?? ''}`)
}

/** What counts of a task for what is said. */
export type TaskSeen = Pick<
  WorkloadTaskView,
  'taskId' | 'slot' | 'desired' | 'state' | 'stateAtMs' | 'message'
>

/**
 * What there is to say of one look after another. A task that fails is followed by another one that
 * fails in the same way, under an id of its own: that is told once, with what becomes of it.
 */
export class Progress {
  #said = ''
  #failed: TaskSeen | undefined
  #hasToldOfRetries = false

  news(view: WorkloadView, tasks: readonly TaskSeen[]): readonly string[] {
    const failed = failedOf(tasks)
    const because = failed === undefined ? '' : `${failed.state}: ${failed.message}`
    const said = `${countsOf(view)}; ${because}`
    const isAgain = failed !== undefined && failed.taskId !== this.#failed?.taskId
    if (said !== this.#said) {
      this.#said = said
      this.#failed = failed
      return [countsOf(view) + (failed === undefined ? '' : `; ${failed.taskId} ${because}`)]
    }
    if (!isAgain || this.#hasToldOfRetries) return []
    this.#hasToldOfRetries = true
    return [
      `${view.name}: another one fails in the same way; Ctrl-C ends this command, and not the app`,
    ]
  }
}

function countsOf({ name, counts, update, job }: WorkloadView): string {
  if (job !== undefined) {
    const failed = job.failed === 0 ? '' : `, ${job.failed} given up`
    return `${name}: ${job.completed} of ${job.total} completed, ${counts.running} running${failed}`
  }
  const how = update === undefined ? '' : `, ${update.message}`
  const updated = counts.updated === counts.running ? '' : `, ${counts.updated} of them new`
  return `${name}: ${counts.running} of ${counts.desired} running${updated}${how}`
}

const isFine = ({ state, desired }: TaskSeen): boolean =>
  state === 'running' || (state === 'finished' && desired === 'complete')

/** Of the places where nothing runs, or has ended as it should, the newest task that is not as it should be: it says most. */
function failedOf(tasks: readonly TaskSeen[]): TaskSeen | undefined {
  const fine = new Set(tasks.filter(isFine).map(({ slot }) => slot))
  return tasks
    .filter(({ slot, state, message }) => {
      return message !== undefined && worthSaying.has(state) && !fine.has(slot)
    })
    .toSorted((a, b) => b.stateAtMs - a.stateAtMs)[0]
}

const worthSaying: ReadonlySet<string> = new Set(['pending', 'failed', 'rejected', 'lost'])

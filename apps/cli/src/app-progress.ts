import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkloadTaskView, WorkloadView } from '@conclave/actors'
import type { Client } from './client.ts'
import { CommandFailed } from './failure.ts'

const everyMs = 200
/** For so long nobody needs to answer: a leader may be lost meanwhile. */
const failuresMax = 100

export interface Settled {
  readonly view: WorkloadView
  /** All run, and it was not paused or taken back. */
  readonly isAsWanted: boolean
}

/** Looks on until as many run as shall, or until an update was given up. Says what changes. */
export async function settle(
  client: Client,
  first: WorkloadView,
  say: (line: string) => void,
): Promise<Settled> {
  const wasRollback = first.update?.state === 'rollback-started'
  let view = first
  let said = ''
  for (let failures = 0; failures < failuresMax;) {
    const tasks = await looked(client, view)
    if (tasks === undefined) failures++
    else {
      failures = 0
      view = tasks.view
      const line = lineOf(view, tasks.tasks)
      if (line !== said) say(line)
      said = line
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
  const { counts, update } = view
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

function lineOf(view: WorkloadView, tasks: readonly WorkloadTaskView[]): string {
  const { name, counts, update } = view
  const how = update === undefined ? '' : `, ${update.message}`
  const updated = counts.updated === counts.running ? '' : `, ${counts.updated} of them new`
  const fine = new Set(tasks.filter(({ state }) => state === 'running').map(({ slot }) => slot))
  // The newest that is not as it should be says most.
  const why = tasks
    .filter(({ slot, state, message }) => {
      return message !== undefined && worthSaying.has(state) && !fine.has(slot)
    })
    .toSorted((a, b) => b.stateAtMs - a.stateAtMs)[0]
  const because = why === undefined ? '' : `; ${why.taskId} ${why.state}: ${why.message}`
  return `${name}: ${counts.running} of ${counts.desired} running${updated}${how}${because}`
}

const worthSaying: ReadonlySet<string> = new Set(['pending', 'failed', 'rejected', 'lost'])

import type { Caller, WorkloadTaskView, WorkloadView } from '@conclave/actors'
import type { Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { matchesAny, matchesLabels, parseFilters, type Filters } from '../filters.ts'
import { findNode } from '../nodes.ts'
import { printable } from '../printable.ts'
import { containerNameOf } from '../container-id.ts'
import { findService } from './find-service.ts'
import { writtenSpec } from './service-object.ts'
import type { TaskObject } from './task-object.ts'

/* What a list of tasks may be asked for. Source: docker-swarm.md A4. */

/** All of SwarmKit's states. */
const states = [
  'new',
  'allocated',
  'pending',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
  'running',
  'complete',
  'shutdown',
  'failed',
  'rejected',
  'remove',
  'orphaned',
] as const

/**
 * Filters with the ids of what they name: services and nodes by name, id, or how the id begins.
 *
 * @throws Refusal
 */
export async function parseTaskFilters(
  engine: Engine,
  caller: Caller,
  text: string | null,
): Promise<Filters> {
  const filters = new Map(
    parseFilters(text, [
      'id',
      'name',
      'label',
      'service',
      'node',
      'desired-state',
      'runtime',
      '_up-to-date',
    ]),
  )
  const services = (filters.get('service') ?? []).map(
    async (asked) => (await findService(engine, caller, asked)).id,
  )
  if (services.length > 0) filters.set('service', await Promise.all(services))
  const nodes = (filters.get('node') ?? []).map(
    async (asked) => (await findNode(engine, caller, asked)).object.ID,
  )
  if (nodes.length > 0) filters.set('node', await Promise.all(nodes))
  for (const state of filters.get('desired-state') ?? []) {
    if (states.some((known) => known === state.toLowerCase())) continue
    throw new Refusal(400, `Invalid desired-state filter: '${printable(state)}'`)
  }
  return filters
}

/** A task, as it is and as it is shown, and its service. */
export interface TaskSeen {
  readonly task: WorkloadTaskView
  readonly object: TaskObject
  readonly service: WorkloadView
}

export function isTaskWanted({ task, object, service }: TaskSeen, filters: Filters): boolean {
  const name = containerNameOf(task, 'Slot' in object ? undefined : object.NodeID)
  return (
    matchesAny(filters, 'id', (prefix) => object.ID.startsWith(prefix)) &&
    matchesAny(filters, 'name', (prefix) => name.startsWith(prefix)) &&
    matchesAny(filters, 'service', (id) => object.ServiceID === id) &&
    matchesAny(filters, 'node', (id) => object.NodeID === id) &&
    matchesAny(filters, 'desired-state', (state) => object.DesiredState === state.toLowerCase()) &&
    matchesAny(filters, 'runtime', (runtime) => runtime === 'container') &&
    matchesAny(
      filters,
      '_up-to-date',
      (wanted) => isUpToDate(task, service) === (wanted === 'true'),
    ) &&
    // SwarmKit gives tasks the labels of their containers, not of their service.
    matchesLabels(
      filters,
      'label',
      writtenSpec(task.spec).TaskTemplate?.ContainerSpec?.Labels ?? {},
    )
  )
}

/** A job's task of a run before is of an older wish, whatever it was made from. */
const isUpToDate = (task: WorkloadTaskView, { templateVersion, job }: WorkloadView): boolean =>
  task.templateVersion === templateVersion && task.jobIteration === job?.iteration

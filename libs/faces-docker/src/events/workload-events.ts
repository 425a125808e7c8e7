import type { WorkloadChange, WorkloadTaskView, WorkloadView } from '@conclave/actors'
import { containerOf, exitCodeOf, type Container } from '../containers/container.ts'
import { isService } from '../services/service-object.ts'
import type { EngineEvent } from './event.ts'

export type Told = Omit<EngineEvent, 'atNs'>

interface SeenService {
  readonly name: string
  readonly version: number
  readonly update: string | undefined
}

/** What Docker's clients hear of services and containers, made of what changes among workloads. */
export class WorkloadEvents {
  readonly #services = new Map<string, SeenService>()
  /** What has been told of the container of each task that has not ended: how far it is. */
  readonly #containers = new Map<string, 'created' | 'running'>()

  /** As things are now: nothing of it is news. */
  begin(workloads: readonly WorkloadView[], tasks: readonly WorkloadTaskView[]): void {
    this.#services.clear()
    this.#containers.clear()
    for (const view of workloads) if (isService(view)) this.#services.set(view.id, seen(view))
    for (const task of tasks) {
      if (!this.#services.has(task.workloadId) || task.containerId === undefined) continue
      if (task.state === 'running') this.#containers.set(task.id, 'running')
      else if (!hasEnded(task)) this.#containers.set(task.id, 'created')
    }
  }

  told(change: WorkloadChange, clusterId: string): readonly Told[] {
    return change.kind === 'workload'
      ? this.#service(change.id, change.view)
      : this.#container(change.view, clusterId)
  }

  #service(id: string, view: WorkloadView | undefined): readonly Told[] {
    const before = this.#services.get(id)
    if (view === undefined) {
      if (before === undefined) return []
      this.#services.delete(id)
      return [{ ...service(id, before.name), action: 'remove' }]
    }
    if (!isService(view)) return []
    const now = seen(view)
    this.#services.set(id, now)
    if (before === undefined) return [{ ...service(id, now.name), action: 'create' }]
    if (before.version === now.version && before.update === now.update) return []
    const states =
      before.update === now.update
        ? {}
        : {
            ...(before.update !== undefined && { 'updatestate.old': before.update }),
            ...(now.update !== undefined && { 'updatestate.new': now.update }),
          }
    const told = service(id, now.name)
    return [{ ...told, attributes: { ...told.attributes, ...states }, action: 'update' }]
  }

  #container(task: WorkloadTaskView | undefined, clusterId: string): readonly Told[] {
    if (task?.containerId === undefined || !isService(task)) return []
    const container = containerOf(task, { id: task.workloadId }, clusterId)
    const before = this.#containers.get(task.id)
    const told: Told[] = []
    const tell = (action: string, more: Readonly<Record<string, string>> = {}): void => {
      told.push(containerEvent(container, action, more))
    }
    if (hasEnded(task)) {
      // One that was never told of has ended before anybody looked, or was refused.
      if (before === undefined && task.startedAtMs === undefined) return []
      this.#containers.delete(task.id)
      if (before === undefined) tell('create')
      if (before !== 'running' && task.startedAtMs !== undefined) tell('start')
      if (task.startedAtMs !== undefined) tell('die', { exitCode: String(exitCodeOf(container)) })
      return told
    }
    if (before === undefined) tell('create')
    if (task.state === 'running' && before !== 'running') tell('start')
    this.#containers.set(task.id, task.state === 'running' ? 'running' : (before ?? 'created'))
    return told
  }
}

const hasEnded = ({ state }: WorkloadTaskView): boolean =>
  ['finished', 'failed', 'killed', 'rejected', 'lost'].includes(state)

const seen = ({ name, version, update }: WorkloadView): SeenService => ({
  name,
  version,
  // In words of SwarmKit.
  update: update?.state.replaceAll('-', '_'),
})

const service = (id: string, name: string) =>
  ({ type: 'service', id, attributes: { name }, scope: 'swarm' }) as const

const containerEvent = (
  { id, image, name, labels }: Container,
  action: string,
  more: Readonly<Record<string, string>>,
): Told => ({
  type: 'container',
  action,
  id,
  attributes: { ...labels, ...more, image, name },
  scope: 'local',
})

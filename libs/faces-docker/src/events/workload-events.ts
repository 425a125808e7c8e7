import type { WorkloadChange, WorkloadTaskView, WorkloadView } from '@conclave/actors'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import {
  containerOf,
  exitCodeOf,
  hasContainer,
  stateOf,
  type Container,
} from '../containers/container.ts'
import { stopSignalOf } from '../containers/signals.ts'
import { isService } from '../services/service-object.ts'
import { containerEvent } from './container-events.ts'
import type { Told } from './event.ts'

interface SeenService {
  readonly name: string
  readonly version: number
  readonly update: string | undefined
}

/** What Docker's clients hear of services and containers, made of what changes among workloads. */
export class WorkloadEvents {
  readonly #services = new Map<string, SeenService>()
  /** By the ids of tasks: what has been told of their containers, until nobody remembers them. */
  readonly #containers = new Map<string, SeenContainer>()
  readonly #mode: SimulatedImagesMode

  constructor(mode: SimulatedImagesMode) {
    this.#mode = mode
  }

  /** As things are now: nothing of it is news. */
  begin(workloads: readonly WorkloadView[], tasks: readonly WorkloadTaskView[]): void {
    this.#services.clear()
    this.#containers.clear()
    for (const view of workloads) if (isService(view)) this.#services.set(view.id, seen(view))
    for (const task of tasks) {
      if (!this.#services.has(task.workloadId) || !hasContainer(task)) continue
      this.#containers.set(task.id, { task, state: stateOf(task) })
    }
  }

  told(change: WorkloadChange, clusterId: string): readonly Told[] {
    return change.kind === 'workload'
      ? this.#service(change.id, change.view)
      : this.#container(change.id, change.view, clusterId)
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

  #container(id: string, task: WorkloadTaskView | undefined, clusterId: string): readonly Told[] {
    if (task === undefined) return this.#forgotten(id, clusterId)
    if (!isService(task) || !hasContainer(task)) return []
    const before = this.#containers.get(id)
    const state = stateOf(task)
    this.#containers.set(id, { task, state })
    if (before?.state === 'exited') return []
    const container = containerOf(task, { id: task.workloadId }, clusterId)
    const wasStarted = task.startedAtMs !== undefined || state === 'running'
    // One that has ended before anybody looked, and was never started.
    if (state === 'exited' && before === undefined && !wasStarted) return []
    return [
      ...(before === undefined ? [containerEvent(container, 'create')] : []),
      ...(wasStarted && before?.state !== 'running' ? [containerEvent(container, 'start')] : []),
      ...healthTurn(container, before?.task.healthy),
      ...(state === 'exited' && wasStarted ? this.#ended(container) : []),
    ]
  }

  /** What the swarm ends itself it stops: then its `die` is between a `kill` and a `stop`. */
  #ended(container: Container): readonly Told[] {
    const { task } = container
    const { startedAtMs, endedAtMs = task.stateAtMs } = task
    const seconds = Math.floor((endedAtMs - (startedAtMs ?? endedAtMs)) / 1000)
    const die = containerEvent(container, 'die', {
      exitCode: String(exitCodeOf(container)),
      execDuration: String(Math.max(0, seconds)),
    })
    return task.state === 'killed' ? this.#stopped(container, die) : [die]
  }

  #stopped(container: Container, die: Told): readonly Told[] {
    const signal = String(stopSignalOf(container, this.#mode))
    return [containerEvent(container, 'kill', { signal }), die, containerEvent(container, 'stop')]
  }

  /** Its record is gone. One of a service that was removed goes with its last status, which nobody has seen then. */
  #forgotten(id: string, clusterId: string): readonly Told[] {
    const before = this.#containers.get(id)
    if (before === undefined) return []
    this.#containers.delete(id)
    const { task, state } = before
    const container = containerOf(task, { id: task.workloadId }, clusterId)
    const stopped =
      state === 'running' ? this.#stopped(container, containerEvent(container, 'die')) : []
    return [...stopped, containerEvent(container, 'destroy')]
  }
}

interface SeenContainer {
  readonly task: WorkloadTaskView
  readonly state: Container['state']
}

/** Whether a check found out, since it was told of, that it is well, or that it is not. */
function healthTurn(container: Container, before: boolean | undefined): readonly Told[] {
  const { healthy } = container.task
  if (container.state === 'exited' || healthy === undefined || healthy === before) return []
  return [containerEvent(container, `health_status: ${healthy ? 'healthy' : 'unhealthy'}`)]
}

const seen = ({ name, version, update }: WorkloadView): SeenService => ({
  name,
  version,
  // In words of SwarmKit.
  update: update?.state.replaceAll('-', '_'),
})

const service = (id: string, name: string) =>
  ({ type: 'service', id, attributes: { name }, scope: 'swarm' }) as const

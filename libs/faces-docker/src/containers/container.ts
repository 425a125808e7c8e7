import type { Caller, WorkloadTaskView, WorkloadView } from '@conclave/actors'
import { containerIdOf, containerNameOf, hasNumber } from '../container-id.ts'
import type { Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { agentNodeId } from '../nodes.ts'
import { printable } from '../printable.ts'
import { servicesOf } from '../services/find-service.ts'
import { writtenSpec } from '../services/service-object.ts'
import type { ContainerSpec } from '../services/service-spec.ts'
import { swarmKind, swarmName } from '../swarm-gate.ts'
import { noSwarm, refusalIn } from '../swarm-node.ts'

/* The one container that a task of a service has, or had. Source: docker-swarm.md A8. */

export type ContainerState = 'created' | 'running' | 'exited'

export interface Container {
  readonly id: string
  /** `SERVICE.SLOT.TASKID`, or the node's id instead of a slot; without the slash before it. */
  readonly name: string
  readonly state: ContainerState
  readonly labels: Readonly<Record<string, string>>
  readonly spec: ContainerSpec
  readonly image: string
  readonly task: WorkloadTaskView
  readonly createdAtMs: number
}

/** Those of the whole swarm, the newest first; none where there is no swarm. @throws Refusal on a worker */
export async function containersOf(engine: Engine, caller: Caller): Promise<readonly Container[]> {
  const { master, node } = engine
  if (node?.state.is === 'worker') throw refusalIn(node.state) ?? noSwarm()
  if (node !== undefined && node.state.is !== 'manager') return []
  if ((await master.documents.byName(caller, swarmKind, swarmName)) === undefined) return []
  const { clusterId } = master.status()
  const services = new Map((await servicesOf(engine, caller)).map((one) => [one.id, one]))
  const tasks = await master.workloads.tasks(caller)
  return tasks
    .flatMap((task): readonly Container[] => {
      const service = services.get(task.workloadId)
      if (service === undefined || !hasContainer(task)) return []
      return [containerOf(task, service, clusterId)]
    })
    .toSorted((a, b) => b.createdAtMs - a.createdAtMs)
}

/** An agent has been told to make one, and did unless the launch was refused. */
export const hasContainer = ({ containerId, state }: WorkloadTaskView): boolean =>
  containerId !== undefined && state !== 'rejected'

export function containerOf(
  task: WorkloadTaskView,
  service: Pick<WorkloadView, 'id'>,
  clusterId: string,
): Container {
  const nodeId = task.agentId === undefined ? '' : agentNodeId(clusterId, task.agentId)
  const name = containerNameOf(task, hasNumber(task) ? undefined : nodeId)
  const spec = writtenSpec(task.spec).TaskTemplate?.ContainerSpec ?? {}
  return {
    id: containerIdOf(task),
    name,
    state: stateOf(task),
    labels: {
      ...spec.Labels,
      'com.docker.swarm.node.id': nodeId,
      'com.docker.swarm.service.id': service.id,
      'com.docker.swarm.service.name': task.workloadName,
      'com.docker.swarm.task': '',
      'com.docker.swarm.task.id': task.id,
      'com.docker.swarm.task.name': name,
    },
    spec,
    // As it is shown, without the digest that the client looked up.
    image: (spec.Image ?? '').replace(/@sha256:[0-9a-f]{64}$/, ''),
    task,
    createdAtMs: task.assignedAtMs ?? task.createdAtMs,
  }
}

export function stateOf({ state, taskState }: WorkloadTaskView): ContainerState {
  // A task that was never healthy is not running yet, and its container is.
  const isUnproven = state === 'starting' && taskState === 'TASK_RUNNING'
  if (state === 'running' || isUnproven) return 'running'
  return state === 'staging' || state === 'starting' || state === 'assigned' ? 'created' : 'exited'
}

/** As the Engine has it: 128 and the signal's number, where an agent did not say. */
export const exitCodeOf = ({ task }: Container): number =>
  task.exitCode ?? (task.state === 'killed' || task.state === 'lost' ? 137 : 0)

/** Whom it means: an id, a name with or without its slash, or how an id begins. @throws Refusal */
export async function findContainer(
  engine: Engine,
  caller: Caller,
  asked: string,
): Promise<Container> {
  const all = await containersOf(engine, caller)
  const name = asked.startsWith('/') ? asked.slice(1) : asked
  const exact = all.find((one) => one.id === asked) ?? all.find((one) => one.name === name)
  if (exact !== undefined) return exact
  const found = asked === '' ? [] : all.filter(({ id }) => id.startsWith(asked))
  const [only] = found
  if (found.length > 1) {
    throw new Refusal(400, `multiple IDs found with provided prefix: ${printable(asked)}`)
  }
  if (only !== undefined) return only
  throw noSuchContainer(asked)
}

export const noSuchContainer = (asked: string): Refusal =>
  new Refusal(404, `No such container: ${printable(asked)}`)

/** @throws Refusal */
export async function findRunning(
  engine: Engine,
  caller: Caller,
  asked: string,
): Promise<Container> {
  const container = await findContainer(engine, caller, asked)
  if (container.state === 'running') return container
  throw notRunning(container)
}

export const notRunning = ({ id }: Container): Refusal =>
  new Refusal(409, `container ${id} is not running`)

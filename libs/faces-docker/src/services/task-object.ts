import type { WorkloadTaskView } from '@conclave/actors'
import { containerIdOf, hasNumber } from '../container-id.ts'
import { agentNodeId } from '../nodes.ts'
import { rfc3339 } from '../times.ts'
import { iterationOf, writtenSpec, type Iteration } from './service-object.ts'
import type { TaskTemplate } from './service-spec.ts'
import { standingOf, type TaskStanding } from './task-state.ts'

/* A task as the Engine shows it. Source: docker-swarm.md A8 and objects.json, `GET /tasks`. */

export interface TaskObject {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly CreatedAt: string
  readonly UpdatedAt: string
  readonly Labels: Readonly<Record<string, string>>
  readonly Spec: TaskTemplate
  readonly ServiceID: string
  readonly Slot?: number
  readonly NodeID?: string
  readonly Status: TaskStanding & {
    readonly Timestamp: string
    readonly ContainerStatus?: {
      readonly ContainerID: string
      readonly PID: number
      readonly ExitCode: number
    }
    readonly PortStatus: object
  }
  readonly DesiredState: string
  readonly JobIteration?: Iteration
}

export function taskObject(task: WorkloadTaskView, clusterId: string): TaskObject {
  const { id, version, workloadId, slot, agentId, jobIteration, createdAtMs, stateAtMs, spec } =
    task
  // The runtime is what the service says; its tasks do not repeat it.
  const { Runtime: _runtime, ...template } = writtenSpec(spec).TaskTemplate ?? {}
  return {
    ID: id,
    Version: { Index: version },
    CreatedAt: rfc3339(createdAtMs),
    UpdatedAt: rfc3339(stateAtMs),
    Labels: {},
    Spec: template,
    ServiceID: workloadId,
    ...(hasNumber(task) && { Slot: Number(slot) }),
    ...(agentId !== undefined && { NodeID: agentNodeId(clusterId, agentId) }),
    Status: {
      Timestamp: rfc3339(stateAtMs),
      ...standingOf(task),
      ...containerStatus(task),
      PortStatus: {},
    },
    DesiredState: task.desired,
    ...(jobIteration !== undefined && { JobIteration: iterationOf(jobIteration) }),
  }
}

function containerStatus(task: WorkloadTaskView): Pick<TaskObject['Status'], 'ContainerStatus'> {
  if (task.containerId === undefined) return {}
  return {
    ContainerStatus: {
      ContainerID: containerIdOf(task),
      // Its own, as its programs see it and as it is inspected: to this machine it is no process.
      PID: task.state === 'running' ? 1 : 0,
      ExitCode: task.exitCode ?? (task.state === 'killed' ? 137 : 0),
    },
  }
}

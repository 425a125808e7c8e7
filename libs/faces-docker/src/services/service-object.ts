import type { WorkloadTaskView, WorkloadView } from '@conclave/actors'
import { rfc3339 } from '../times.ts'
import type { Port, ServiceSpec } from './service-spec.ts'
import { withDefaults } from './stored-spec.ts'
import { originFace } from './translate.ts'

/* A service as the Engine shows it. Source: docker-swarm.md A5, A6, A8 and objects.json. */

export interface ServiceObject {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly CreatedAt: string
  readonly UpdatedAt: string
  readonly Spec: ServiceSpec
  readonly PreviousSpec?: ServiceSpec
  readonly Endpoint: { readonly Spec: object; readonly Ports?: readonly Port[] }
  readonly UpdateStatus?: {
    readonly State: string
    readonly StartedAt: string
    readonly CompletedAt?: string
    readonly Message: string
  }
  readonly ServiceStatus?: {
    readonly RunningTasks: number
    readonly DesiredTasks: number
    readonly CompletedTasks: number
  }
  /** Of jobs, and of nobody else: clients tell them by it. */
  readonly JobStatus?: { readonly JobIteration: Iteration; readonly LastExecution: string }
}

/** In Go a number that is 0 is left out. */
export interface Iteration {
  readonly Index?: number
}

export const iterationOf = (number: number): Iteration => (number === 0 ? {} : { Index: number })

/** Whether a workload came as a service: what other faces keep running is theirs. */
export const isService = ({ spec }: Pick<WorkloadView, 'spec'>): boolean =>
  spec.origin?.face === originFace

/** The spec as a client of Docker's wrote it, with what the Engine stores beside. */
export const writtenSpec = ({ origin }: WorkloadView['spec']): ServiceSpec =>
  (origin?.document ?? {}) as ServiceSpec

interface Shown {
  /** Whether a spec is shown with the defaults that nobody wrote. */
  readonly hasDefaults?: boolean
  /** Its tasks, if its status is shown. */
  readonly tasks?: readonly WorkloadTaskView[] | undefined
}

export function serviceObject(
  view: WorkloadView,
  { hasDefaults = false, tasks }: Shown = {},
): ServiceObject {
  const { id, version, createdAtMs, updatedAtMs, spec, previousSpec, job } = view
  const written = writtenSpec(spec)
  return {
    ID: id,
    Version: { Index: version },
    CreatedAt: rfc3339(createdAtMs),
    UpdatedAt: rfc3339(updatedAtMs),
    Spec: hasDefaults ? withDefaults(written) : written,
    ...(previousSpec !== undefined && { PreviousSpec: writtenSpec(previousSpec) }),
    Endpoint: endpointOf(written),
    ...updateStatus(view),
    ...(tasks !== undefined && { ServiceStatus: statusOf(view, tasks) }),
    ...(job !== undefined && {
      JobStatus: {
        JobIteration: iterationOf(job.iteration),
        LastExecution: rfc3339(job.startedAtMs),
      },
    }),
  }
}

/** Of a job: how many may run at once, whatever is left of it; or, on each node, what has not ended yet. */
function statusOf(
  { spec, counts, job }: WorkloadView,
  tasks: readonly WorkloadTaskView[],
): NonNullable<ServiceObject['ServiceStatus']> {
  const { mode } = spec
  const desired =
    mode.kind === 'replicated-job'
      ? mode.maxConcurrent
      : mode.kind === 'global-job'
        ? tasks.filter((task) => task.desired === 'complete' && task.state !== 'finished').length
        : counts.desired
  return {
    RunningTasks: counts.running,
    DesiredTasks: desired,
    CompletedTasks: job?.completed ?? 0,
  }
}

/** Ports are kept and shown, and nothing listens on them. */
function endpointOf({ EndpointSpec }: ServiceSpec): ServiceObject['Endpoint'] {
  const ports = EndpointSpec?.Ports ?? []
  return ports.length === 0 ? { Spec: {} } : { Spec: EndpointSpec ?? {}, Ports: ports }
}

function updateStatus({ update }: WorkloadView): Pick<ServiceObject, 'UpdateStatus'> {
  if (update === undefined) return {}
  const { state, message, startedAtMs, completedAtMs } = update
  return {
    UpdateStatus: {
      State: state.replaceAll('-', '_'),
      StartedAt: rfc3339(startedAtMs),
      ...(completedAtMs !== undefined && { CompletedAt: rfc3339(completedAtMs) }),
      Message: message,
    },
  }
}

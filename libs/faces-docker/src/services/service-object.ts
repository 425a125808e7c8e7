import type { WorkloadView } from '@conclave/actors'
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
}

/** Whether a workload came as a service: what other faces keep running is theirs. */
export const isService = ({ spec }: Pick<WorkloadView, 'spec'>): boolean =>
  spec.origin?.face === originFace

/** The spec as a client of Docker's wrote it, with what the Engine stores beside. */
export const writtenSpec = ({ origin }: WorkloadView['spec']): ServiceSpec =>
  (origin?.document ?? {}) as ServiceSpec

interface Shown {
  /** Whether a spec is shown with the defaults that nobody wrote. */
  readonly hasDefaults?: boolean
  /** How many of its tasks have ended well, if its status is shown. */
  readonly completed?: number | undefined
}

export function serviceObject(
  view: WorkloadView,
  { hasDefaults = false, completed }: Shown = {},
): ServiceObject {
  const { id, version, createdAtMs, updatedAtMs, spec, previousSpec, counts } = view
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
    ...(completed !== undefined && {
      ServiceStatus: {
        RunningTasks: counts.running,
        DesiredTasks: counts.desired,
        CompletedTasks: completed,
      },
    }),
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

import type { ServiceSpec } from './service-spec.ts'

/**
 * What the Engine stores of a spec: everything that was sent, and the defaults which its clients count on.
 * Source: docker-swarm.md A6.
 *
 * @param name what a service is called whose client did not say
 */
export function storedSpec(spec: ServiceSpec, name: string): ServiceSpec {
  const { TaskTemplate } = spec
  const container = TaskTemplate?.ContainerSpec
  return {
    ...spec,
    Name: spec.Name || name,
    TaskTemplate: {
      ...TaskTemplate,
      ...(container && {
        ContainerSpec: { ...container, Isolation: container.Isolation || 'default' },
      }),
      Runtime: TaskTemplate?.Runtime || 'container',
    },
    Mode: storedMode(spec),
  }
}

/** One task, where nothing is said. */
function storedMode({ Mode }: ServiceSpec): ServiceSpec['Mode'] {
  const { Replicated, Global, ReplicatedJob, GlobalJob } = Mode ?? {}
  if (Global || GlobalJob) return Mode
  if (!ReplicatedJob) {
    return { ...Mode, Replicated: { ...Replicated, Replicas: Replicated?.Replicas ?? 1 } }
  }
  const MaxConcurrent = ReplicatedJob.MaxConcurrent ?? 1
  const TotalCompletions = ReplicatedJob.TotalCompletions ?? MaxConcurrent
  return { ...Mode, ReplicatedJob: { ...ReplicatedJob, MaxConcurrent, TotalCompletions } }
}

const secondNs = 1_000_000_000

const usualChange = {
  Parallelism: 1,
  FailureAction: 'pause',
  Monitor: 5 * secondNs,
  MaxFailureRatio: 0,
  Order: 'stop-first',
} as const

/** A stored spec with what SwarmKit takes where nothing is said: `?insertDefaults=true`. */
export function withDefaults(spec: ServiceSpec): ServiceSpec {
  const { TaskTemplate, UpdateConfig, RollbackConfig } = spec
  const container = TaskTemplate?.ContainerSpec
  const restart = TaskTemplate?.RestartPolicy
  return {
    ...spec,
    TaskTemplate: {
      ...TaskTemplate,
      ...(container && {
        ContainerSpec: {
          ...container,
          StopGracePeriod: container.StopGracePeriod ?? 10 * secondNs,
        },
      }),
      RestartPolicy: {
        ...restart,
        Condition: restart?.Condition || 'any',
        Delay: restart?.Delay ?? 5 * secondNs,
        MaxAttempts: restart?.MaxAttempts ?? 0,
      },
    },
    UpdateConfig: UpdateConfig ?? usualChange,
    RollbackConfig: RollbackConfig ?? usualChange,
  }
}

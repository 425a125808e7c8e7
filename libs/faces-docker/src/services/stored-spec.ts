import type { ServiceSpec } from './service-spec.ts'

/**
 * What the Engine stores of a spec: everything that was sent, and the defaults which its clients count on.
 * Source: docker-swarm.md A6.
 *
 * @param name what a service is called whose client did not say
 */
export function storedSpec(spec: ServiceSpec, name: string): ServiceSpec {
  const { TaskTemplate, Mode } = spec
  const container = TaskTemplate?.ContainerSpec
  const replicated = Mode?.Replicated
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
    ...(replicated && {
      Mode: { ...Mode, Replicated: { ...replicated, Replicas: replicated.Replicas ?? 1 } },
    }),
  }
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

import { invariant, wipe, type RedactedBytes } from '@conclave/kernel'
import type { CommandInfo, ContainerInfo, Secret } from '@conclave/model'
import { planEnvironment, secretVariables, type SecretVariable } from './environment-secret.ts'
import { usualSecretLimits, type SecretLimits } from './limits.ts'
import type { Owner, Plan } from './plan.ts'
import { planSecretVolumes, secretVolumes, type SecretVolume } from './volume-secret.ts'

/** Where a secret of a container will be. */
export type Placement =
  | { readonly where: 'tmpfs'; readonly at: string; readonly mode: string }
  | { readonly where: 'env'; readonly at: string }

/** One secret that has to be resolved before the container can be planned. */
export interface PlannedSecret {
  readonly secret: Secret
  /** What for: `volume keys/keystore` or `env DB_PASSWORD`. */
  readonly purpose: string
  readonly placement: Placement
}

/** A container whose spec has been checked: what it needs is known, and no one has been asked yet. */
export interface CheckedContainer {
  /** In the order in which Mesos' isolators prepare: volumes, then the environment. */
  readonly secrets: readonly PlannedSecret[]
  readonly command: CommandInfo
  readonly variables: readonly SecretVariable[]
  readonly volumes: readonly SecretVolume[]
}

/**
 * Checks what the isolators will need of a container, so that a bad spec asks for no secret.
 *
 * @throws PlanRefused
 */
export function checkContainer(
  command: CommandInfo,
  container: ContainerInfo | undefined,
): CheckedContainer {
  const volumes = secretVolumes(container)
  const variables = secretVariables(command)
  const secrets = [
    ...volumes.map(({ secret, containerPath, at, isReadOnly }): PlannedSecret => ({
      secret,
      purpose: `volume ${containerPath}`,
      placement: { where: 'tmpfs', at, mode: isReadOnly ? '0400' : '0600' },
    })),
    ...variables.map(({ secret, name }): PlannedSecret => ({
      secret,
      purpose: `env ${name}`,
      placement: { where: 'env', at: name },
    })),
  ]
  return { secrets, command, variables, volumes }
}

export interface ContainerSurroundings {
  /** Whom the files belong to: who the container runs as. */
  readonly owner: Owner
  /** What the agent adds to the environment, such as `MESOS_SANDBOX`. */
  readonly environment: ReadonlyMap<string, string>
  readonly limits?: Partial<SecretLimits>
}

/**
 * The whole plan of a container.
 *
 * @param values one for each of `checked.secrets`, in order. The plan owns them; when it is refused,
 *   all of them are wiped
 * @throws PlanRefused for a value that does not fit its place
 */
export function planContainer(
  checked: CheckedContainer,
  { owner, environment, limits }: ContainerSurroundings,
  values: readonly RedactedBytes[],
): Plan {
  const { command, variables, volumes, secrets } = checked
  invariant(values.length === secrets.length, 'every secret of a container has its value')
  const allLimits = { ...usualSecretLimits, ...limits }
  try {
    const ofVolumes = values.slice(0, volumes.length)
    const ofVariables = values.slice(volumes.length)
    return [
      ...planSecretVolumes(volumes, ofVolumes, owner, allLimits),
      ...planEnvironment(command, environment, variables, ofVariables, allLimits),
    ]
  } catch (refusal) {
    for (const value of values) wipe(value)
    throw refusal
  }
}

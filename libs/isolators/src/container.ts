import { invariant, wipe, type RedactedBytes } from '@conclave/kernel'
import type { CommandInfo, ContainerInfo, Secret, VolumeFile } from '@conclave/model'
import { planEnvironment, secretVariables, type SecretVariable } from './environment-secret.ts'
import { imageOf, type PlannedImage } from './image.ts'
import { checkSize, usualSecretLimits, type SecretLimits } from './limits.ts'
import type { Owner, Plan } from './plan.ts'
import { withoutSecrets, withoutSecretVolumes } from './docker-containerizer.ts'
import { urisOf, withCredentials, type PlannedUri } from './uri.ts'
import { modeOf, planSecretVolumes, secretVolumes, type SecretVolume } from './volume-secret.ts'

/** Where a secret of a container will be. */
export type Placement =
  | { readonly where: 'tmpfs'; readonly at: string; readonly mode: string }
  | { readonly where: 'env'; readonly at: string }
  /** Nowhere in the container: the agent uses it to get an image, or to fetch a URI. */
  | { readonly where: 'image'; readonly at: string }
  | { readonly where: 'uri'; readonly at: string }

/** One secret that has to be resolved before the container can be planned. */
export interface PlannedSecret {
  readonly secret: Secret
  /** What for: `volume keys/keystore` or `env DB_PASSWORD`. */
  readonly purpose: string
  readonly placement: Placement
  /** What its volume says of the file. */
  readonly file?: VolumeFile | undefined
}

/** A container whose spec has been checked: what it needs is known, and no one has been asked yet. */
export interface CheckedContainer {
  /** In the order in which Mesos needs them: the image, volumes, the environment, then URIs. */
  readonly secrets: readonly PlannedSecret[]
  readonly command: CommandInfo
  readonly variables: readonly SecretVariable[]
  readonly volumes: readonly SecretVolume[]
  /** To be provisioned, on a machine that gets images. */
  readonly image: PlannedImage | undefined
  /** Whether its spec names an image: then its root is its own, and paths may be made in it. */
  readonly hasRoot: boolean
  /** To be fetched, on a machine that fetches. */
  readonly uris: readonly PlannedUri[]
}

/**
 * Checks what the isolators will need of a container, so that a bad spec asks for no secret.
 *
 * @throws PlanRefused
 */
export function checkContainer(
  command: CommandInfo,
  container: ContainerInfo | undefined,
  abilities: ContainerAbilities = { hasImages: false },
): CheckedContainer {
  const { hasImages, simulatesImage, hasUris = false, isDockerFaithful = false } = abilities
  if (container?.type === 'DOCKER' && isDockerFaithful) {
    return checkContainer(withoutSecrets(command), withoutSecretVolumes(container), {
      ...abilities,
      isDockerFaithful: false,
    })
  }
  const uris = hasUris ? urisOf(command) : []
  const image = imageFor(container, hasImages, simulatesImage)
  const volumes = secretVolumes(container)
  const variables = secretVariables(command, container)
  const config = image?.config
  const secrets = [
    ...(config === undefined ? [] : [ofImage(image?.name ?? '', config)]),
    ...volumes.map((volume): PlannedSecret => ({
      secret: volume.secret,
      purpose: `volume ${volume.containerPath}`,
      placement: { where: 'tmpfs', at: volume.at, mode: octal(modeOf(volume)) },
      file: volume.file,
    })),
    ...variables.map(({ secret, name }): PlannedSecret => ({
      secret,
      purpose: `env ${name}`,
      placement: { where: 'env', at: name },
    })),
    ...uris.flatMap(({ wanted, secrets: ofUri }) =>
      ofUri.map(({ secret, name }): PlannedSecret => ({
        secret,
        purpose: `uri ${wanted.outputFile} ${name}`,
        placement: { where: 'uri', at: wanted.outputFile },
      })),
    ),
  ]
  const hasRoot = container?.mesos?.image !== undefined
  return { secrets, command, variables, volumes, image, hasRoot, uris }
}

/** What a machine can do beyond running containers. */
export interface ContainerAbilities {
  /** Whether it gets images; where it does not, a container has what the runtime brings. */
  readonly hasImages: boolean
  /** Whether it has an image without asking anybody: then nothing is resolved that would open a registry. */
  readonly simulatesImage?: ((name: string, hasConfig: boolean) => boolean) | undefined
  /** Whether it fetches `command.uris`; where it does not, they are passed over. */
  readonly hasUris?: boolean
  /** Whether secrets of DOCKER containers are lost without a word, as in Mesos (docker-containerizer.ts). */
  readonly isDockerFaithful?: boolean
}

function imageFor(
  container: ContainerInfo | undefined,
  hasImages: boolean,
  simulatesImage: ContainerAbilities['simulatesImage'],
): PlannedImage | undefined {
  const { name, config } = container?.mesos?.image?.docker ?? {}
  if (name !== undefined && simulatesImage?.(name, config !== undefined) === true) {
    const image = imageOf(container)
    return image && { ...image, config: undefined }
  }
  return hasImages ? imageOf(container) : undefined
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0')

const ofImage = (name: string, secret: Secret): PlannedSecret => ({
  secret,
  purpose: `image ${name}`,
  placement: { where: 'image', at: name },
})

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
  const { command, variables, volumes, secrets, image, hasRoot, uris } = checked
  invariant(values.length === secrets.length, 'every secret of a container has its value')
  const allLimits = { ...usualSecretLimits, ...limits }
  try {
    const first = image?.config === undefined ? 0 : 1
    const ofVolumes = values.slice(first, first + volumes.length)
    const afterVolumes = first + volumes.length
    const ofVariables = values.slice(afterVolumes, afterVolumes + variables.length)
    const ofUris = values.slice(afterVolumes + variables.length)
    for (const value of ofUris) checkSize('of a URI', value, allLimits)
    // Last, so that nothing is fetched for a container that cannot be had.
    const fetches = withCredentials(uris, ofUris).map(
      (uri) => ({ do: 'fetch-uri', uri, owner }) as const,
    )
    const setEnvironment = planEnvironment(command, environment, variables, ofVariables, allLimits)
    if (image === undefined) {
      const setVolumes = planSecretVolumes(volumes, ofVolumes, owner, allLimits, hasRoot)
      return [...setVolumes, ...setEnvironment, ...fetches]
    }
    const { name, isCached } = image
    const dockerConfig = first === 0 ? undefined : values[0]
    if (dockerConfig !== undefined) checkSize(name, dockerConfig, allLimits)
    // An image's variables stand between what the agent gives and what the task says.
    const given = [...environment].map(
      ([key, value]) => ({ do: 'set-env', name: key, value }) as const,
    )
    return [
      ...given,
      { do: 'provision-image', image: { name, isCached, dockerConfig } },
      ...planSecretVolumes(volumes, ofVolumes, owner, allLimits, hasRoot),
      ...setEnvironment.filter(
        (step) => step.do === 'print' || environment.get(step.name) !== step.value,
      ),
      ...fetches,
    ]
  } catch (refusal) {
    for (const value of values) wipe(value)
    throw refusal
  }
}

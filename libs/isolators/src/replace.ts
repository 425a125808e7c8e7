import { wipe, type RedactedBytes } from '@conclave/kernel'
import type { CheckedContainer } from './container.ts'
import type { Host } from './host.ts'
import { usualSecretLimits, type SecretLimits } from './limits.ts'
import { ContainerSpecRefused } from './refusal.ts'
import { planSecretVolumes } from './volume-secret.ts'

/** New bytes for a file that a container has. */
export interface Replacement {
  readonly name: string
  readonly bytes: RedactedBytes
}

/**
 * New contents for the secret files of a container, which stay where they are and as they are. They may be
 * listed in another order than when it was made.
 *
 * @param values one for each volume of `after`, in order; they belong to the plan from now on, and are wiped
 *   when it is refused
 * @throws PlanRefused when the files are not the same, or a value does not fit
 */
export function planReplacements(
  before: CheckedContainer,
  after: CheckedContainer,
  values: readonly RedactedBytes[],
  limits: Partial<SecretLimits> = {},
): readonly Replacement[] {
  try {
    if (shapes(before) !== shapes(after)) {
      throw new ContainerSpecRefused('its files are not the ones that it was made with')
    }
    const all = { ...usualSecretLimits, ...limits }
    // For its checks alone: what is written is decided by the container that is there.
    planSecretVolumes(after.volumes, values, { uid: 0, gid: 0 }, all, after.hasRoot)
    return after.volumes.flatMap(({ at }, index): Replacement[] => {
      const bytes = values[index]
      const name = before.volumes.findIndex((volume) => volume.at === at)
      return bytes === undefined ? [] : [{ name: `${name}`, bytes }]
    })
  } catch (refusal) {
    for (const value of values) wipe(value)
    throw refusal
  }
}

/** What of a container's files stays, in no order. */
const shapes = (checked: CheckedContainer): string =>
  JSON.stringify(
    checked.volumes
      .map(({ at, isReadOnly, file }) => [at, isReadOnly, file?.mode, file?.uid, file?.gid])
      .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
  )

/**
 * Carries them out, one after the other; each is whole or not at all. Whatever happens, the bytes are wiped.
 *
 * @throws HostFailed with some of them replaced, and others not
 */
export async function replaceFiles(
  replacements: readonly Replacement[],
  host: Host,
): Promise<void> {
  try {
    for (const { name, bytes } of replacements) await host.replaceFile(name, bytes)
  } finally {
    for (const { bytes } of replacements) wipe(bytes)
  }
}

import type { Caller } from '@conclave/actors'
import { referencesIn, type FileReference } from '../configs/references.ts'
import type { Engine } from '../engine.ts'
import { servicesOf } from './find-service.ts'
import { writtenSpec } from './service-object.ts'
import type { ServiceSpec } from './service-spec.ts'

/*
 * A secret is in use as long as a service's spec names it, and no longer: the spec before it may still name it,
 * and a rollback to that starts tasks which fail. The original says nothing of it.
 */

/** What a rollback to `spec` should say of secrets and configs that are not there any more. */
export async function rollbackWarnings(
  { master }: Engine,
  caller: Caller,
  spec: ServiceSpec,
): Promise<readonly string[]> {
  const warnings: string[] = []
  for (const { what, id, name } of referencesOf(spec)) {
    if ((await master.secrets.find(caller, { id })).length > 0) continue
    const text = `${what} ${name} was removed, and the spec that is rolled back to needs it: its tasks will not start`
    if (!warnings.includes(text)) warnings.push(text)
  }
  return warnings
}

/** What the removal of a secret or config should say of services that could be rolled back to it. */
export async function removalWarnings(
  engine: Engine,
  caller: Caller,
  removed: Pick<FileReference, 'what' | 'id' | 'name'>,
): Promise<readonly string[]> {
  const services = (await servicesOf(engine, caller)).filter(
    ({ previousSpec }) =>
      previousSpec !== undefined &&
      referencesOf(writtenSpec(previousSpec)).some(({ id }) => id === removed.id),
  )
  return services.map(
    ({ name }) =>
      `service ${name} cannot be rolled back any more: its former spec needs ${removed.what} ${removed.name}`,
  )
}

const referencesOf = ({ TaskTemplate }: ServiceSpec): readonly FileReference[] =>
  referencesIn(TaskTemplate?.ContainerSpec ?? {})

/** As RFC 7234 has it (§5.5): a warning of nobody in particular. */
export const warningHeader = (warnings: readonly string[]): string =>
  warnings.map((text) => `299 - "${text}"`).join(', ')

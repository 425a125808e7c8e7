import { printable } from '../printable.ts'
import type { ServiceSpec } from './service-spec.ts'

/** What of a spec is kept and shown, and yet makes no difference to its containers: said once to who wrote it. */
export function lostWarnings({ TaskTemplate }: ServiceSpec): readonly string[] {
  const mounts = (TaskTemplate?.ContainerSpec?.Mounts ?? []).filter(({ Type }) => Type !== 'tmpfs')
  return mounts.map(
    ({ Target }) =>
      `nothing is mounted at ${printable(Target ?? '')}: volumes and the machine's own files are not to be had here`,
  )
}

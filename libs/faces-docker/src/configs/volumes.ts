import { posix } from 'node:path'
import type { Volume } from '@conclave/model'
import { invariant } from '@conclave/kernel'
import {
  referencesIn,
  type FileReference,
  type FilesSpec,
  type ReferencedById,
} from './references.ts'

/**
 * The files of a ContainerSpec as volumes of a container of ours, in the order of its references.
 *
 * @param referenced of `findReferenced`
 * @throws Refusal as `referencesIn` does
 */
export function volumesOf(spec: FilesSpec, referenced: ReferencedById): readonly Volume[] {
  return referencesIn(spec).map((reference): Volume => {
    const { what, id, target, mode, uid, gid } = reference
    const object = referenced.get(id)
    invariant(object !== undefined, 'every reference was looked up')
    const { path, template } = object
    return {
      mode: 'RO',
      container_path: pathOf(reference),
      source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name: path } } },
      file: {
        mode,
        uid,
        gid,
        object: what === 'secret' ? 'SECRET' : 'CONFIG',
        target,
        object_id: id,
        ...(template === undefined ? {} : { template }),
      },
    }
  })
}

const folders = { secret: '/run/secrets', config: '/' }

/** Absolute targets as they are, others below their folder; cleaned by their letters, so `../x` is `/run/x`. */
const pathOf = ({ what, target }: FileReference): string => {
  const cleaned = posix.join(target.startsWith('/') ? '/' : folders[what], target)
  return cleaned.length > 1 ? cleaned.replace(/\/$/, '') : cleaned
}

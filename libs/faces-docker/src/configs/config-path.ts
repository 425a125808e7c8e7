import type { SecretMetadata } from '@conclave/model'
import { isAnnotationName } from '../names.ts'

/*
 * A config is a secret in a folder of its own, whose value this face gives back: so it is sealed at rest,
 * and agents get it by grants, as every secret is. See docs/adr/0036.
 */

const folder = 'docker-configs'

/** Where configs are, for other faces. */
export const configFolder = folder

export const configPath = (name: string): string => `${folder}/${name}`

/** The name of the config at a path, or nothing when there is no config of Docker's. */
export function configNameAt(path: string): string | undefined {
  if (!path.startsWith(`${folder}/`)) return undefined
  const name = path.slice(folder.length + 1)
  return isAnnotationName(name) ? name : undefined
}

export const isConfig = ({ path }: SecretMetadata): boolean => configNameAt(path) !== undefined

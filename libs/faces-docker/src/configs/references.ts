import type { Caller } from '@conclave/actors'
import type { SecretMetadata } from '@conclave/model'
import { z } from 'zod'
import type { Engine } from '../engine.ts'
import { rpc } from '../errors.ts'
import { printable } from '../printable.ts'
import { isVisible, templatingOf } from '../secret-object.ts'
import { configNameAt, isConfig } from './config-path.ts'

/*
 * How a service names the secrets and configs of its containers. Source: docker-swarm.md A6, objects.json.
 */

const FileTarget = z.object({
  Name: z.string().nullish(),
  UID: z.string().nullish(),
  GID: z.string().nullish(),
  Mode: z.int().nonnegative().nullish(),
})

const SecretReference = z.object({
  File: FileTarget.nullish(),
  SecretID: z.string().nullish(),
  SecretName: z.string().nullish(),
})

const ConfigReference = z.object({
  File: FileTarget.nullish(),
  Runtime: z.object({}).nullish(),
  ConfigID: z.string().nullish(),
  ConfigName: z.string().nullish(),
})

/** The part of a ContainerSpec that is about files. */
export const FilesSpec = z.object({
  Secrets: z.array(SecretReference).nullish(),
  Configs: z.array(ConfigReference).nullish(),
})
export type FilesSpec = z.infer<typeof FilesSpec>

/** One file of a container, as its reference has it. */
export interface FileReference {
  readonly what: 'secret' | 'config'
  readonly id: string
  readonly name: string
  readonly target: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** 0444, as the CLI has it. */
const usualMode = 0o444

/**
 * The references of a ContainerSpec, secrets first, each checked by itself and against the others.
 *
 * @throws Refusal in SwarmKit's words; and for an owner's name, which the original takes and no task survives
 */
export function referencesIn(spec: FilesSpec): readonly FileReference[] {
  const secretTargets = new Map<string, string>()
  const secrets = (spec.Secrets ?? []).map((one) => {
    const { SecretID, SecretName, File } = one
    return alone(secretTargets, referenceOf('secret', SecretID ?? '', SecretName ?? '', File))
  })
  const configTargets = new Map<string, string>()
  const configs = (spec.Configs ?? []).map((one) => {
    const { ConfigID, ConfigName, File } = one
    return alone(configTargets, referenceOf('config', ConfigID ?? '', ConfigName ?? '', File))
  })
  return [...secrets, ...configs]
}

function referenceOf(
  what: FileReference['what'],
  id: string,
  name: string,
  file: z.infer<typeof FileTarget> | null | undefined,
): FileReference {
  if (id === '' || name === '') throw malformed(`malformed ${what} reference`)
  if (!file) throw malformed(`malformed ${what} reference, no target provided`)
  const target = file.Name ?? ''
  if (target === '') {
    throw malformed(`malformed file ${what} reference, invalid target file name provided`)
  }
  const owner = (field: 'UID' | 'GID'): number => {
    const text = file[field] ?? ''
    if (text === '') return 0
    // The last one stands for nobody.
    if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1) return Number(text)
    throw malformed(
      `malformed file ${what} reference '${printable(name)}', ${field} '${printable(text)}' is no number: names of users and groups are not known before the container is there`,
    )
  }
  return {
    what,
    id,
    name,
    target,
    mode: (file.Mode ?? usualMode) & 0o777,
    uid: owner('UID'),
    gid: owner('GID'),
  }
}

/** @param taken targets of those before it, and whose they are. @throws Refusal */
function alone(taken: Map<string, string>, reference: FileReference): FileReference {
  const { what, name, target } = reference
  const other = taken.get(target)
  if (other !== undefined) {
    throw malformed(
      `${what} references '${other}' and '${name}' have a conflicting target: '${target}'`,
    )
  }
  taken.set(target, name)
  return reference
}

const malformed = (text: string) => rpc('InvalidArgument', text)

/** What a reference's id stands for: where the cluster keeps it, and whether it is a template. */
export interface Referenced {
  readonly path: string
  readonly template: string | undefined
}

/** By the id of the secret or config. */
export type ReferencedById = ReadonlyMap<string, Referenced>

/**
 * Where the objects are that references name by their ids.
 *
 * @throws Refusal `secret not found: A`, `configs not found: A, B`
 */
export async function findReferenced(
  { master }: Engine,
  caller: Caller,
  references: readonly FileReference[],
): Promise<ReferencedById> {
  const found = new Map<string, Referenced>()
  for (const what of ['secret', 'config'] as const) {
    const missing: string[] = []
    const isOne = what === 'secret' ? isVisible : isConfig
    for (const { id, name } of references.filter((one) => one.what === what)) {
      const [metadata] = (await master.secrets.find(caller, { id })).filter(isOne)
      // Who names it by an id calls it by its name, too.
      if (metadata === undefined || nameOf(metadata) !== name) missing.push(name)
      else found.set(id, referencedOf(metadata))
    }
    if (missing.length > 0) {
      const names = missing.join(', ')
      throw malformed(`${what}${missing.length > 1 ? 's' : ''} not found: ${names}`)
    }
  }
  return found
}

const nameOf = ({ path }: SecretMetadata): string => configNameAt(path) ?? path

const referencedOf = ({ path, labels }: SecretMetadata): Referenced => ({
  path,
  template: templatingOf(labels),
})

import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AeadKey, Kek, wrapKey } from '@conclave/crypto'
import {
  Redacted,
  utf8,
  uuid,
  wipe,
  type Clock,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import {
  createAuthority,
  issueCertificate,
  SystemClock,
  SystemRandom,
  writeTlsIdentity,
  type Authority,
  type CertificateFor,
} from '@conclave/runtime'
import { z } from 'zod'
import { writePrivately } from '../private-file.ts'
import { areFree, chooseAddresses, MasterAddress } from './addresses.ts'
import { ClusterDirectoryUnusable } from './errors.ts'
import { createFirstIdentities, createPassword, type FirstIdentities } from './first-identities.ts'
import { saveKekAtRest } from './kek-at-rest.ts'
import {
  addressesFile,
  agentDirectory,
  filledDirectories,
  manifestFile,
  masterDirectory,
  schedulerDirectory,
  unfinishedFile,
} from './layout.ts'
import { ClusterManifest } from './manifest.ts'

export interface ClusterPlan {
  readonly masters: number
  readonly agents: number
  /** Default 1. */
  readonly schedulers?: number
  /** The name of the first superuser, `dev` by default. */
  readonly superuser?: string
  /** Names and addresses that masters are reached by, beside localhost. */
  readonly hosts?: readonly string[]
  /** Told the superuser's password before the cluster counts as made: whoever keeps it never lacks it. */
  readonly keepPassword?: (clusterId: string, password: RedactedBytes) => void
  /** Of a cluster that this one goes on for; drawn anew without it. */
  readonly clusterId?: string
  /** Puts more into the members' directories, before the cluster counts as made. */
  readonly seed?: (made: {
    readonly manifest: ClusterManifest
    readonly kek: Kek
    readonly identities: FirstIdentities
  }) => Promise<void>
  readonly clock?: Clock
  readonly random?: Random
}

export interface PreparedCluster {
  readonly directory: string
  readonly manifest: ClusterManifest
  /**
   * The superuser's password, when this call made it: nothing keeps it, so whoever called must. The
   * caller wipes it.
   */
  readonly password: RedactedBytes | undefined
}

/**
 * Makes everything a cluster needs before its first start: its id, its authority, a certificate for
 * each member, the key that wraps all others, and who may log in. A directory that has it all is
 * left as it is; one whose filling was interrupted is filled anew, since no member ever ran on it.
 *
 * @throws ClusterDirectoryUnusable when something else is in the directory, or its manifest is damaged
 */
export async function prepareCluster(
  directory: string,
  plan: ClusterPlan,
): Promise<PreparedCluster> {
  await checkIsOurs(directory)
  const known = await readManifest(directory)
  if (known !== undefined) {
    await rm(unfinishedFile(directory), { force: true })
    return { directory, manifest: known, password: undefined }
  }
  await claim(directory)
  const random = plan.random ?? new SystemRandom()
  const manifest = describe(plan, random)
  const password = createPassword(random)
  await fill(directory, manifest, plan, password, random)
  plan.keepPassword?.(manifest.clusterId, password)
  await writePrivately(manifestFile(directory), utf8(`${JSON.stringify(manifest, null, 2)}\n`))
  await rm(unfinishedFile(directory))
  return { directory, manifest, password }
}

/** The manifest of the cluster in `directory`, or undefined when none was ever finished there. */
export async function readManifest(directory: string): Promise<ClusterManifest | undefined> {
  const text = await readIfThere(manifestFile(directory))
  if (text === undefined) return undefined
  const parsed = ClusterManifest.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  const field = parsed.error.issues[0]?.path.join('.') ?? ''
  throw new ClusterDirectoryUnusable(
    directory,
    `cluster.json is damaged${field === '' ? '' : ` at ${field}`}; restore it, or use another directory`,
  )
}

/**
 * Where the masters listen: as the last time if those ports are free, else elsewhere. A cluster that
 * is started again has the same URLs, and two clusters never fight over a port.
 */
export async function addressesFor(
  { directory, manifest }: PreparedCluster,
  options: { readonly host?: string; readonly random?: Random } = {},
): Promise<readonly MasterAddress[]> {
  const host = options.host ?? '127.0.0.1'
  const text = await readIfThere(addressesFile(directory))
  const last = z.array(MasterAddress).safeParse(text === undefined ? undefined : parseJson(text))
  const fits =
    last.success &&
    last.data.length === manifest.masters.length &&
    last.data.every((address) => address.host === host)
  if (fits && (await areFree(last.data))) return last.data
  const chosen = await chooseAddresses(manifest.masters, host, options.random ?? new SystemRandom())
  await writePrivately(addressesFile(directory), utf8(`${JSON.stringify(chosen, null, 2)}\n`))
  return chosen
}

function describe(plan: ClusterPlan, random: Random): ClusterManifest {
  return {
    version: 1,
    clusterId: plan.clusterId ?? uuid(random),
    createdAtMs: (plan.clock ?? new SystemClock()).nowMs(),
    masters: numbered('master', plan.masters).map((masterId, index) => ({
      masterId,
      nodeId: index + 1,
    })),
    agents: numbered('agent', plan.agents),
    schedulers: numbered('scheduler', plan.schedulers ?? 1).map((id) => ({
      schedulerId: id,
      uid: id,
    })),
    superuser: plan.superuser ?? 'dev',
  }
}

const numbered = (name: string, length: number): string[] =>
  Array.from({ length }, (_, index) => `${name}-${index + 1}`)

/**
 * Whoever may write into a directory may put another in the place of what is in it, and have the keys
 * written there.
 */
async function checkIsOurs(directory: string): Promise<void> {
  const us = process.getuid?.()
  const found = await stat(directory).catch(() => undefined)
  if (us === undefined || found === undefined) return
  if (found.uid !== us && found.uid !== 0) {
    throw new ClusterDirectoryUnusable(directory, 'it belongs to somebody else; name your own')
  }
  if ((found.mode & 0o022) !== 0) {
    throw new ClusterDirectoryUnusable(directory, 'others may write into it: chmod 700 it')
  }
}

/**
 * With all that lead to it. Node's own `recursive` never comes back from where directories can be looked
 * into but not made, as below /proc.
 */
async function makeDirectories(directory: string): Promise<void> {
  const parent = dirname(directory)
  if (parent !== directory && (await stat(parent).catch(() => undefined)) === undefined) {
    await makeDirectories(parent)
  }
  await mkdir(directory, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  })
}

/** Makes `directory` ours to fill. @throws ClusterDirectoryUnusable when it holds anything of others */
async function claim(directory: string): Promise<void> {
  try {
    await makeDirectories(directory)
    await checkIsOurs(directory)
    const found = await readdir(directory)
    const isOurs = found.includes('unfinished')
    if (found.length > 0 && !isOurs) {
      throw new ClusterDirectoryUnusable(
        directory,
        'it is not empty and holds no cluster (no cluster.json); give an empty or a new directory',
      )
    }
    await writeFile(unfinishedFile(directory), 'this cluster is being set up\n', { mode: 0o600 })
    for (const name of filledDirectories) {
      await rm(join(directory, name), { recursive: true, force: true })
    }
  } catch (cause) {
    if (cause instanceof ClusterDirectoryUnusable) throw cause
    const { code = 'unusable' } = cause as { code?: string }
    const why = `it cannot be made or filled (${code}); name one that you may write`
    throw new ClusterDirectoryUnusable(directory, why, cause)
  }
}

async function fill(
  directory: string,
  manifest: ClusterManifest,
  plan: ClusterPlan,
  password: RedactedBytes,
  random: Random,
): Promise<void> {
  const { clusterId, superuser } = manifest
  const ports = { random, ...(plan.clock && { clock: plan.clock }) }
  const [authority, { identities, accountKeys }] = await Promise.all([
    createAuthority({ clusterId, ...ports }),
    createFirstIdentities({
      superuser,
      password,
      schedulers: manifest.schedulers.map(({ uid }) => uid),
      random,
    }),
  ])
  const kek = Kek.of(AeadKey.draw(random))
  const wrappedAuthority = wrapKey({
    kek,
    key: authority.privateKey,
    clusterId,
    name: 'ca',
    random,
  })
  const certify = async (at: string, wanted: CertificateFor): Promise<void> => {
    const identity = await issueCertificate(authority, wanted, ports)
    await writeTlsIdentity(at, identity)
    wipe(identity.privateKey)
  }
  const hosts = plan.hosts ?? []
  for (const { masterId } of manifest.masters) {
    const own = masterDirectory(directory, masterId)
    await certify(own, { id: masterId, role: 'conclave-master', hosts })
    await writeMasterFiles(own, { kek, identities, wrappedAuthority })
  }
  await plan.seed?.({ manifest, kek, identities })
  for (const id of manifest.agents) {
    await certify(agentDirectory(directory, id), { id, role: 'conclave-agent', hosts })
  }
  for (const { schedulerId, uid } of manifest.schedulers) {
    const key = accountKeys.get(uid) ?? new Redacted(new Uint8Array())
    await writePrivately(
      join(schedulerDirectory(directory, schedulerId), 'account.key'),
      key.reveal(),
    )
    wipe(key)
  }
  wipe((authority satisfies Authority).privateKey)
}

async function writeMasterFiles(
  own: string,
  has: { kek: Kek; identities: FirstIdentities; wrappedAuthority: Uint8Array },
): Promise<void> {
  await saveKekAtRest(own, has.kek)
  // The authority's own key rests under the KEK until it is needed to sign for a new member.
  await writePrivately(join(own, 'ca.key.wrapped'), has.wrappedAuthority)
  const identities = `${JSON.stringify(has.identities, null, 2)}\n`
  await writePrivately(join(own, 'first-identities.json'), utf8(identities))
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const { code = 'unreadable' } = cause as { code?: string }
    if (code === 'ENOENT') return undefined
    throw new ClusterDirectoryUnusable(dirname(file), `${file} cannot be read (${code})`, cause)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

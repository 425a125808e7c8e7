import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { restoreCluster } from '@conclave/assembly'
import { wipe } from '@conclave/kernel'
import { SystemRandom } from '@conclave/runtime'
import {
  Compacted,
  RevisionAhead,
  StateDigest,
  type SecretStore,
  type StateRecord,
} from '@conclave/store'
import {
  copyState,
  copyUnderWay,
  discardCopy,
  TargetNotEmpty,
  writeExport,
  type StateSource,
} from '@conclave/transfer'
import type { Client } from '../client.ts'
import type { MigrateOptions } from '../commands/store.ts'
import { CommandFailed } from '../failure.ts'
import { withCluster } from './cluster-source.ts'
import { etcdSource, withEtcd } from './etcd-place.ts'
import { openExport, writeNewFile } from './export-files.ts'
import {
  withLock,
  withUnlock,
  writeKeyFile,
  type LockOptions,
  type UnlockOptions,
} from './export-locks.ts'

/** What a command says it did, by name. */
type Said = Readonly<Record<string, string | number>>

export interface NewClusterPlan {
  readonly data: string
  readonly masters: number
  readonly agents: number
  /** Told the new superuser's password, to be kept for whoever starts the cluster. */
  readonly keep: (clusterId: string, password: string) => void
}

const random = new SystemRandom()

export const makeKey = (file: string): Promise<string> => writeKeyFile(file, random)

export const exportCluster = (client: Client, file: string, options: LockOptions): Promise<Said> =>
  withCluster(client, random, undefined, (source) => exportTo(file, source, options))

export const verifyFile = (file: string, options: UnlockOptions): Promise<Said> =>
  withUnlock(options, async (unlock) => {
    const { summary } = await openExport(file, unlock)
    const { manifest, recordCount, digest, hasKeyring } = summary
    return { ...manifest, recordCount, digest, keyring: hasKeyring ? 'inside' : 'not inside' }
  })

export const importFile = (
  file: string,
  options: UnlockOptions,
  plan: NewClusterPlan,
): Promise<Said> =>
  withUnlock(options, async (unlock) => {
    const { source } = await openExport(file, unlock)
    return restoreTo(plan, source)
  })

/** @param client made when the running cluster is asked for */
export async function migrate(
  client: () => Client,
  options: MigrateOptions,
  plan: NewClusterPlan,
): Promise<Said> {
  const to = placeOf(options.to)
  switch (to.kind) {
    case 'etcd':
      return withEtcd(to.url, options, random, (target) => copyTo(target, client, options))
    case 'file':
      if (existsSync(to.path)) throw new CommandFailed('conflict', `${to.path} exists already`)
      return withSource(client, options, undefined, (source) => exportTo(to.path, source, options))
    default:
      if (to.path === undefined) {
        throw new CommandFailed(
          'usage',
          '--to: a running cluster is never written over; name a new directory, as conclave:DIR',
        )
      }
      return withSource(client, options, undefined, (source) =>
        restoreTo({ ...plan, data: to.path ?? plan.data }, source),
      )
  }
}

async function copyTo(
  target: SecretStore,
  client: () => Client,
  options: MigrateOptions,
): Promise<Said> {
  if (options.discard === true) await discardCopy(target)
  const begun = await copyUnderWay(target)
  // What was begun is gone on with: of the same revision, or not at all.
  return withSource(client, options, begun?.revision, async (source) => {
    const { manifest, ...report } = await copyState(source, target)
    return { ...manifest, ...report, verified: 'yes' }
  })
}

async function withSource<T>(
  client: () => Client,
  options: MigrateOptions,
  at: number | undefined,
  use: (source: StateSource) => Promise<T>,
): Promise<T> {
  const from = placeOf(options.from)
  try {
    switch (from.kind) {
      case 'etcd':
        return await withEtcd(from.url, options, random, async (store) =>
          use(await etcdSource(store, at, options.kekFrom)),
        )
      case 'file':
        return await withUnlock(options, async (unlock) =>
          use((await openExport(from.path, unlock)).source),
        )
      default:
        if (from.path !== undefined) {
          throw new CommandFailed(
            'usage',
            '--from conclave: is the running cluster of your context; start it, or export from it first',
          )
        }
        return await withCluster(client(), random, at, use)
    }
  } catch (error) {
    if (!(error instanceof Compacted || error instanceof RevisionAhead)) throw error
    throw new TargetNotEmpty(
      'the target holds a part of a revision that the source has no more; begin anew with --discard',
    )
  }
}

async function exportTo(file: string, source: StateSource, options: LockOptions): Promise<Said> {
  const { manifest, keyring } = source
  return withLock(options, async (lock) => {
    const digest = new StateDigest()
    const counted: StateSource = {
      ...source,
      records: async function* records() {
        for await (const record of source.records()) {
          digest.add(record)
          yield record
        }
      },
    }
    const sizeBytes = await writeNewFile(file, writeExport(counted, lock, random))
    const { count: recordCount } = digest
    return {
      ...manifest,
      recordCount,
      digest: digest.end(),
      keyring: keyring === undefined ? 'not inside' : 'inside',
      sizeBytes,
    }
  })
}

async function restoreTo(plan: NewClusterPlan, source: StateSource): Promise<Said> {
  const { keyring, manifest } = source
  if (keyring === undefined) {
    throw new CommandFailed(
      'usage',
      'this state comes without an open keyring, so nobody could read its secrets: name the directory ' +
        'of one of its masters with --kek-from',
    )
  }
  const records: StateRecord[] = []
  for await (const record of source.records()) records.push(record)
  const { data, masters, agents, keep } = plan
  const made = await restoreCluster(
    data,
    {
      masters,
      agents,
      keepPassword: (clusterId, password) =>
        keep(clusterId, Buffer.from(password.reveal()).toString('utf8')),
    },
    { clusterId: manifest.clusterId, revision: manifest.revision, keyring, records },
  )
  if (made.password !== undefined) wipe(made.password)
  return {
    ...manifest,
    recordCount: records.length,
    directory: data,
    superuser: made.manifest.superuser,
  }
}

type Place =
  | { readonly kind: 'etcd'; readonly url: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'conclave'; readonly path: string | undefined }

function placeOf(text: string): Place {
  if (text.startsWith('etcd://')) return { kind: 'etcd', url: text }
  const [scheme = '', ...rest] = text.split(':')
  const path = rest.join(':').replace(/^\/\/(?=\/|$)/, '')
  if (scheme === 'file' && path !== '') return { kind: 'file', path: resolve(path) }
  if (scheme === 'conclave') {
    return { kind: 'conclave', path: path === '' ? undefined : resolve(path) }
  }
  throw new CommandFailed(
    'usage',
    'expected conclave:, conclave:DIR, etcd://host:port/prefix or file:FILE',
  )
}

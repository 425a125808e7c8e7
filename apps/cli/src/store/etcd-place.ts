import { foundingKey, FoundingRecord, keyringKey } from '@conclave/actors'
import { loadKekAtRest } from '@conclave/assembly'
import { CryptographicFailure, unwrapKeyring, type Keyring } from '@conclave/crypto'
import { EtcdClient, EtcdStore, parseEtcdUrl } from '@conclave/engine-etcd'
import type { Random } from '@conclave/kernel'
import { decodeRecord } from '@conclave/model'
import type { SecretStore } from '@conclave/store'
import { copyUnderWay, recordsOf, type StateSource } from '@conclave/transfer'
import { CommandFailed } from '../failure.ts'
import { readInput } from '../input.ts'
import { readPassphrase } from './passphrase.ts'

export interface EtcdOptions {
  readonly etcdCa?: string
  readonly etcdCert?: string
  readonly etcdKey?: string
  readonly etcdUser?: string
  readonly etcdPasswordFile?: string
}

/** Does something with the store below an `etcd://` URL. */
export async function withEtcd<T>(
  url: string,
  options: EtcdOptions,
  random: Random,
  use: (store: SecretStore) => Promise<T>,
): Promise<T> {
  const { endpoints, prefix } = parseEtcdUrl(url)
  const { etcdCa, etcdCert, etcdKey, etcdUser, etcdPasswordFile } = options
  const tls =
    etcdCa === undefined
      ? undefined
      : {
          ca: await readInput(etcdCa),
          ...(etcdCert !== undefined && { cert: await readInput(etcdCert) }),
          ...(etcdKey !== undefined && { key: await readInput(etcdKey) }),
        }
  if (etcdUser !== undefined && etcdPasswordFile === undefined) {
    throw new CommandFailed('usage', '--etcd-user needs --etcd-password-file')
  }
  const user =
    etcdUser === undefined
      ? undefined
      : { name: etcdUser, password: await readPassphrase(etcdPasswordFile, false) }
  const store = new EtcdStore({ client: new EtcdClient({ endpoints, tls, user }), prefix, random })
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

/** The state below a prefix of etcd. @param masterDirectory has the KEK that opens its keyring */
export async function etcdSource(
  store: SecretStore,
  at: number | undefined,
  masterDirectory: string | undefined,
): Promise<StateSource> {
  if ((await copyUnderWayOrNone(store)) !== undefined) {
    throw new CommandFailed('conflict', 'what is there is a half-done copy; finish it first')
  }
  const revision = at ?? (await store.status()).revision
  const founding = await store.get(foundingKey, { at: revision })
  if (founding === undefined) {
    throw new CommandFailed('notFound', 'no state of a cluster is below that prefix of etcd')
  }
  const { clusterId } = decodeRecord(FoundingRecord, foundingKey, founding.value)
  return {
    manifest: { clusterId, revision, takenAtMs: Date.now() },
    keyring:
      masterDirectory === undefined
        ? undefined
        : await keyringIn(store, clusterId, revision, masterDirectory),
    records: () => recordsOf(store, revision),
  }
}

async function copyUnderWayOrNone(store: SecretStore): Promise<unknown> {
  const { kvs } = await store.list('transfer/progress', { limit: 1, keysOnly: true })
  return kvs[0] === undefined ? undefined : copyUnderWay(store)
}

async function keyringIn(
  store: SecretStore,
  clusterId: string,
  at: number,
  masterDirectory: string,
): Promise<Keyring> {
  const kek = await loadKekAtRest(masterDirectory)
  const wrapped = await store.get(keyringKey, { at })
  if (kek === undefined || wrapped === undefined) {
    throw new CommandFailed(
      'notFound',
      kek === undefined
        ? `${masterDirectory} holds no kek.key: autolock is on, or it is no master's directory`
        : 'there is no keyring in that state',
    )
  }
  try {
    return unwrapKeyring({ kek, clusterId, wrapped: wrapped.value })
  } catch (cause) {
    if (!(cause instanceof CryptographicFailure)) throw cause
    throw new CommandFailed(
      'usage',
      `--kek-from: the key in ${masterDirectory} does not open this keyring; it is of another cluster, or was replaced since`,
      { cause },
    )
  }
}

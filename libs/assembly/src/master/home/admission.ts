import { foundingKey, FoundingRecord } from '@conclave/actors'
import { EtcdStore, type EtcdClient } from '@conclave/engine-etcd'
import type { Random } from '@conclave/kernel'
import { decodeRecord } from '@conclave/model'
import { Unavailable, type View } from '@conclave/store'
import { progressKey } from '@conclave/transfer'
import { EngineMismatch } from './engine-file.ts'

/** Which master wants to go on with a state that it has found. */
export interface Newcomer {
  readonly clusterId: string
  readonly prefix: string
  /** It may begin a new cluster. One that has joined may not. */
  readonly isFounder: boolean
  /** It has a log of its own, from before. */
  readonly hasJournal: boolean
}

/**
 * Whether what is below a prefix of etcd is this master's, and all of it. Answers with what is to be waited
 * for. @throws EngineMismatch when it is not
 */
export function whyToWait(newcomer: Newcomer, state: Pick<View, 'get'>): string | undefined {
  const { clusterId, prefix, isFounder, hasJournal } = newcomer
  if (state.get(progressKey) !== undefined) {
    return 'a copy into etcd has not been finished; run the same conclave store migrate once more'
  }
  const founding = state.get(foundingKey)
  if (founding === undefined) {
    if (!isFounder) return 'no cluster is below that prefix of etcd, and this master joins one'
    if (!hasJournal) return undefined
    throw new EngineMismatch(
      `this master has its state in its own journal, and below ${prefix} in etcd there is none: start the ` +
        'cluster without --engine, and copy it with conclave store migrate --from conclave: --to etcd://…',
    )
  }
  const found = decodeRecord(FoundingRecord, foundingKey, founding.value).clusterId
  if (found === clusterId) return undefined
  throw new EngineMismatch(
    `below ${prefix} in etcd is cluster ${found}, and this master is of ${clusterId}: give another prefix, or the directory of that cluster`,
  )
}

/**
 * The same before a master starts, so that whoever starts it is told. An etcd that does not answer is
 * waited for later.
 */
export async function checkAdmission(
  newcomer: Newcomer,
  client: EtcdClient,
  random: Random,
): Promise<void> {
  const store = new EtcdStore({ client, prefix: newcomer.prefix, random })
  try {
    const keys = [progressKey, foundingKey]
    const found = new Map(
      await Promise.all(keys.map(async (key) => [key, await store.get(key)] as const)),
    )
    whyToWait(newcomer, { get: (key) => found.get(key) })
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
  }
}

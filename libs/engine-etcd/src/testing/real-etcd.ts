import { EtcdCluster, missingServer, SeededRandom } from '@conclave/testkit'
import { afterAll, beforeAll } from 'vitest'
import { EtcdClient, type EtcdClientOptions } from '../client/etcd-client.ts'
import { EtcdStore } from '../etcd-store.ts'

/** Why there is no real etcd here, for the title of what is skipped; undefined when there is one. */
export const whyNoEtcd = missingServer('etcd')

/** Three members for all tests of a file. */
export function realEtcd(): () => EtcdCluster {
  let cluster: EtcdCluster | undefined
  beforeAll(async () => {
    cluster = await EtcdCluster.start()
  })
  afterAll(() => cluster?.stop())
  return () => {
    if (cluster === undefined) throw new Error('etcd has not started')
    return cluster
  }
}

let made = 0
const run = `${process.pid}-${Date.now()}`

/** A prefix that no other test has. */
export const freshPrefix = (): string => `/test/${run}-${made++}`

/** A client that asks another member first each time. */
export function clientOf(
  cluster: EtcdCluster,
  options: Partial<EtcdClientOptions> = {},
): EtcdClient {
  const { endpoints } = cluster
  const first = made++ % endpoints.length
  const inTurn = [...endpoints.slice(first), ...endpoints.slice(0, first)]
  return new EtcdClient({ endpoints: inTurn, ...options })
}

export const storeAt = (cluster: EtcdCluster, prefix: string): EtcdStore =>
  new EtcdStore({
    client: clientOf(cluster),
    prefix,
    random: new SeededRandom(Date.now() + made++),
  })

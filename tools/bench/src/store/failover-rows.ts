import { setTimeout as sleep } from 'node:timers/promises'
import { Conclave, isAlive, until } from '@conclave/acceptance'
import { HttpConnections } from '../http-connections.ts'
import { EtcdClient } from '../peers/etcd-client.ts'
import { EtcdCluster, etcdVersion } from '../peers/etcd-cluster.ts'
import { median, quantile, type Result } from '../result.ts'
import { StoreCluster } from '../store-port/store-cluster.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

const patienceMs = 60_000
const askEveryMs = 10
const ignore = (): void => undefined
const value = new Uint8Array(256).fill(0x61)

/** One round: who is killed, and how the others are written to. Clients are connected before. */
interface Victim {
  readonly kill: () => void
  readonly writers: readonly ((n: number) => Promise<unknown>)[]
  /** Brings the group back to full strength. */
  readonly mend: () => Promise<void>
}

/**
 * From the kill to the first write that any of the others acknowledges, in milliseconds. Each of them is
 * asked anew every few milliseconds, however long the requests before it wait: one that was forwarded
 * to the dead leader may wait for seconds.
 */
async function failover({ kill, writers }: Victim): Promise<number> {
  const { promise: written, resolve } = Promise.withResolvers<void>()
  kill()
  const killedAt = performance.now()
  let n = 0
  const askAll = (): void => {
    for (const write of writers) write(n).then(() => resolve(), ignore)
    n++
  }
  askAll()
  const asking = setInterval(askAll, askEveryMs)
  const patience = sleep(patienceMs, 'in vain', { ref: false })
  const outcome = await Promise.race([written, patience])
  clearInterval(asking)
  if (outcome === 'in vain') throw new Error(`no write within ${patienceMs / 1000} s`)
  return performance.now() - killedAt
}

async function rounds(count: number, nextVictim: () => Promise<Victim>): Promise<number[]> {
  const times: number[] = []
  for (let round = 0; round < count; round++) {
    const victim = await nextVictim()
    times.push(await failover(victim))
    await victim.mend()
  }
  return times
}

async function atStorePort(tickMs: number, count: number): Promise<number[]> {
  const cluster = await StoreCluster.start({ tickMs })
  try {
    return await rounds(count, async () => {
      const leader = await cluster.leader()
      const others = cluster.members.filter((member) => member !== leader)
      const clients = others.map((member) => member.client())
      await Promise.all(clients.map((client, at) => client.put(`warm-${at}`, value)))
      return {
        kill: () => process.kill(leader.pid, 'SIGKILL'),
        writers: clients.map((client, at) => (n) => client.put(`failover-${at}-${n}`, value)),
        mend: async () => {
          for (const client of clients) client.close()
          await leader.kill()
          await leader.start()
          await isLevel(cluster)
        },
      }
    })
  } finally {
    await cluster.stop()
  }
}

/** All are up, and none is behind: the next one may be killed. */
async function isLevel(cluster: StoreCluster): Promise<void> {
  await until('all store members are level', async () => {
    const states = await Promise.all(cluster.members.map((member) => member.state()))
    const indexes = new Set(states.map(({ appliedIndex }) => appliedIndex))
    return indexes.size === 1 && states.some(({ role }) => role === 'leader')
  })
}

async function ofEtcd(count: number): Promise<number[]> {
  const cluster = await EtcdCluster.start()
  try {
    return await rounds(count, async () => {
      const leader = await cluster.leader()
      const others = cluster.members.filter(({ name }) => name !== leader.name)
      const clients = others.map(({ clientPort }) => new EtcdClient('127.0.0.1', clientPort, 1))
      const put = (at: number, key: string): Promise<void> =>
        clients[at]?.put(Buffer.from(key), value) ?? Promise.reject(new Error('nobody there'))
      await Promise.all(clients.map((_, at) => put(at, `warm-${at}`)))
      return {
        kill: () => process.kill(leader.pid, 'SIGKILL'),
        writers: clients.map((_, at) => (n) => put(at, `failover-${at}-${n}`)),
        mend: async () => {
          for (const client of clients) client.close()
          await cluster.kill(leader.name)
          cluster.startMember(leader.name)
          await cluster.isBack(leader.name)
        },
      }
    })
  } finally {
    await cluster.stop()
  }
}

/** Masters as `npm start` runs them, written to over the public API. */
async function overHttp(count: number): Promise<number[]> {
  const cluster = await Conclave.start(['--agents', '1'])
  let round = 0
  try {
    const authorization = `token=${await cluster.token()}`
    const headers = { authorization, 'content-type': 'application/octet-stream' }
    return await rounds(count, async () => {
      const leader = await cluster.leader()
      const others = cluster.ready.masters.filter(({ masterId }) => masterId !== leader.masterId)
      const http = new HttpConnections()
      const run = round++
      const put = async (at: number, name: string): Promise<void> => {
        const path = `/secrets/v1/secret/default/failover/${run}-${at}-${name}`
        const url = new URL(path, others[at]?.listeners['dcos'])
        const { status } = await http.request({ method: 'PUT', url, headers, body: value })
        if (status !== 201) throw new Error(`answered ${status}`)
      }
      await Promise.all(others.map((_, at) => put(at, 'warm')))
      return {
        kill: () => process.kill(cluster.pidOf(leader.masterId), 'SIGKILL'),
        writers: others.map((_, at) => (n) => put(at, String(n))),
        mend: async () => {
          http.close()
          await until('the leader is gone', () => !isAlive(cluster.pidOf(leader.masterId)))
          await cluster.restart(leader.masterId)
        },
      }
    })
  } finally {
    await cluster.stop()
  }
}

async function measure({ isBrief, say }: StoreWish): Promise<readonly Result[]> {
  const count = isBrief ? 1 : 20
  const isPeerHere = etcdVersion() !== undefined
  if (!isPeerHere) {
    say('no etcd beside these numbers: there is no program called etcd (Debian: etcd-server)')
  }
  const peer = isPeerHere ? await ofEtcd(count) : undefined
  const results: Result[] = []
  const add = (who: string, times: readonly number[]): void => {
    for (const [what, of] of [
      [`95 of 100 within, of ${count}`, (all: readonly number[]) => quantile(all, 0.95)],
      ['median', median],
      ['worst', (all: readonly number[]) => Math.max(...all)],
    ] as const) {
      const own = of(times)
      const other = peer === undefined ? undefined : of(peer)
      const beside =
        other === undefined ? {} : { peer: 'etcd', peerValue: other, ratio: own / other }
      const name = `kill -9 of the leader to the next write, ${who}: ${what}`
      results.push({ name, value: own, unit: 'ms', ...beside })
    }
  }
  add('over HTTP, tick 50 ms', await overHttp(count))
  add('store port, tick 50 ms', await atStorePort(50, count))
  add('store port, tick 100 ms', await atStorePort(100, count))
  return results
}

export const failoverRows: Readonly<Record<string, StoreRow>> = {
  failover: {
    what: 'kill -9 of the leader to the next acknowledged write, beside etcd',
    measure,
  },
}

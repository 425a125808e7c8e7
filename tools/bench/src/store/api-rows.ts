import { Conclave, type Master } from '@conclave/acceptance'
import { HttpConnections, type HttpAsked } from '../http-connections.ts'
import { load, type Load } from '../load.ts'
import { EtcdCluster, etcdVersion } from '../peers/etcd-cluster.ts'
import { bareServer, syncedAppends } from '../peers/floor.ts'
import type { Result } from '../result.ts'
import type { Contender } from '../rounds.ts'
import { contest } from './contest.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

const connections = 64
const readCount = 1000
const value = Buffer.alloc(256, 0x61)

type CallOf = (n: number) => HttpAsked
interface Asked {
  readonly pids: readonly number[]
  readonly written: number
  /** Each time a secret that was not there before. */
  readonly write: CallOf
  readonly read: CallOf
}

async function ours(cluster: Conclave, leader: Master): Promise<Asked> {
  const authorization = `token=${await cluster.token()}`
  const base = leader.listeners['dcos'] ?? ''
  const urlOf = (name: string): URL => new URL(`/secrets/v1/secret/default/bench/${name}`, base)
  const reads = Array.from({ length: readCount }, (_, n) => urlOf(`w${n}`))
  const headers = { authorization, 'content-type': 'application/octet-stream' }
  let written = 0
  return {
    pids: cluster.ready.masters.map(({ pid }) => pid),
    written: 201,
    write: () => ({ method: 'PUT', url: urlOf(`w${written++}`), headers, body: value }),
    read: (n) => ({ method: 'GET', url: reads[n % readCount] ?? urlOf('w0'), headers }),
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const bodyOf = (fields: object): Buffer => Buffer.from(JSON.stringify(fields))

async function gateway(cluster: EtcdCluster): Promise<Asked> {
  const { url } = await cluster.leader()
  const headers = { 'content-type': 'application/json' }
  const put = new URL('/v3/kv/put', url)
  const range = new URL('/v3/kv/range', url)
  const reads = Array.from({ length: readCount }, (_, n) => bodyOf({ key: base64(`bench/w${n}`) }))
  const inBase64 = value.toString('base64')
  let written = 0
  return {
    pids: cluster.pids,
    written: 200,
    write: () => {
      const body = bodyOf({ key: base64(`bench/w${written++}`), value: inBase64 })
      return { method: 'POST', url: put, headers, body }
    },
    read: (n) => ({ method: 'POST', url: range, headers, body: reads[n % readCount] ?? value }),
  }
}

/** So many as reads go through, before anything is measured. */
async function fill({ write, written }: Asked): Promise<void> {
  const http = new HttpConnections()
  let rest = readCount
  const worker = async (): Promise<void> => {
    while (rest-- > 0) {
      const { status } = await http.request(write(0))
      if (status !== written) throw new Error(`answered ${status}, not ${written}`)
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  http.close()
}

async function withEtcd<T>(
  { say }: StoreWish,
  run: (cluster: EtcdCluster | undefined) => Promise<T>,
): Promise<T> {
  if (etcdVersion() === undefined) {
    say('no etcd beside these numbers: there is no program called etcd (Debian: etcd-server)')
    return run(undefined)
  }
  const cluster = await EtcdCluster.start()
  try {
    return await run(cluster)
  } finally {
    await cluster.stop()
  }
}

type Run = (asked: Asked, seconds: number) => Promise<Load>

const writing =
  (count: number): Run =>
  ({ written, write }, seconds) =>
    load(count, seconds, written, write)

const reading: Run = ({ read }, seconds) => load(connections, seconds, 200, read)

const driven = (asked: Asked, run: Run): Contender => ({
  pids: asked.pids,
  run: (seconds) => run(asked, seconds),
})

async function measure(wish: StoreWish): Promise<readonly Result[]> {
  const cluster = await Conclave.start(['--agents', '1'])
  try {
    const own = await ours(cluster, await cluster.leader())
    return await withEtcd(wish, async (etcd) => {
      const peer = etcd === undefined ? undefined : await gateway(etcd)
      for (const asked of peer === undefined ? [own] : [own, peer]) await fill(asked)
      const compare = (name: string, run: Run): Promise<readonly Result[]> => {
        const beside = peer && { ...driven(peer, run), name: "etcd's JSON gateway" }
        return contest(`secrets over HTTP, ${name}`, wish, driven(own, run), beside)
      }
      const floor = await syncedAppends(cluster.directory, 512, wish.isBrief ? 0.5 : 4)
      return [
        { name: 'one append and fdatasync at a time, 512 bytes', value: floor, unit: '/s' },
        ...(wish.isBrief ? [] : await compare('writes, 1 connection', writing(1))),
        ...(await compare(`writes, ${connections} connections`, writing(connections))),
        ...(await compare(`reads, ${connections} connections`, reading)),
        await bareReads(wish),
      ]
    })
  } finally {
    await cluster.stop()
  }
}

/** What a read over HTTP could cost at least, on this machine and with this client. */
async function bareReads({ seconds }: StoreWish): Promise<Result> {
  const bare = await bareServer()
  try {
    const { perSecond } = await load(connections, seconds, 200, () => ({
      method: 'GET',
      url: bare.url,
      headers: {},
    }))
    const name = `a Fastify server with nothing behind it, ${connections} connections`
    return { name, value: perSecond, unit: '/s' }
  } finally {
    bare.stop()
  }
}

export const apiRows: Readonly<Record<string, StoreRow>> = {
  api: {
    what: "secret writes and reads over the public HTTP API, beside etcd's JSON gateway",
    measure,
  },
}

import { Conclave, type Master } from '@conclave/acceptance'
import { HttpClient } from '@conclave/runtime'
import { load } from './load.ts'
import { bareServer, syncedAppends } from './peers.ts'
import { processorTimeUs } from './processor-time.ts'
import { against, median, quantile, type Result } from './result.ts'

const value = Buffer.alloc(256, 0x61)

/**
 * Three master processes on this machine, each write sealed and fdatasynced on a quorum, over the
 * public secrets API with login, ACL, envelope and audit.
 */
export async function storeSuite(isBrief: boolean): Promise<readonly Result[]> {
  const seconds = isBrief ? 1 : 8
  const results: Result[] = []
  const cluster = await Conclave.start(['--agents', '1'])
  try {
    const leader = await cluster.leader()
    const put = await putting(cluster, leader)
    const floor = await syncedAppends(cluster.directory, 512, seconds)
    for (const writers of [1, 64]) {
      const spent = processorTimes(cluster, leader)
      const { perSecond, latenciesMs, answered } = await load(
        writers,
        seconds,
        201,
        put(`w${writers}`),
      )
      const name = `secret writes, ${writers} in flight`
      results.push(against(name, perSecond, '/s', 'one append and fdatasync at a time', floor))
      results.push({ name: `${name}: median`, value: median(latenciesMs), unit: 'ms' })
      results.push({
        name: `${name}: 99 of 100 within`,
        value: quantile(latenciesMs, 0.99),
        unit: 'ms',
      })
      results.push(...spent(name, answered))
    }
    results.push(...(await reads(cluster, leader, seconds)))
    results.push(...(await failovers(cluster, isBrief ? 1 : 5)))
  } finally {
    await cluster.stop()
  }
  return results
}

type CallOf = Parameters<typeof load>[3]

async function putting(cluster: Conclave, master: Master): Promise<(run: string) => CallOf> {
  const headers = {
    authorization: `token=${await cluster.token()}`,
    'content-type': 'application/octet-stream',
  }
  return (run) => (n) => ({
    method: 'PUT',
    url: new URL(`/secrets/v1/secret/default/bench/${run}/${n}`, master.listeners['dcos']),
    headers,
    body: value,
  })
}

async function reads(
  cluster: Conclave,
  leader: Master,
  seconds: number,
): Promise<readonly Result[]> {
  const headers = { authorization: `token=${await cluster.token()}` }
  const url = new URL('/secrets/v1/secret/default/bench/w64/1', leader.listeners['dcos'])
  const spent = processorTimes(cluster, leader)
  const own = await load(64, seconds, 200, () => ({ method: 'GET', url, headers }))
  const name = 'linearizable secret reads, 64 in flight'
  const processorTime = spent(name, own.answered)
  const bare = await bareServer()
  const peer = await load(64, seconds, 200, () => ({ method: 'GET', url: bare.url, headers }))
  bare.stop()
  return [
    against(name, own.perSecond, '/s', 'a server with nothing behind it', peer.perSecond),
    { name: `${name}: 99 of 100 within`, value: quantile(own.latenciesMs, 0.99), unit: 'ms' },
    ...processorTime,
  ]
}

/** What the masters spend from now on; asked for it, per request. */
function processorTimes(
  { ready }: Conclave,
  leader: Master,
): (name: string, requests: number) => readonly Result[] {
  const now = (): ReadonlyMap<string, number> =>
    new Map(
      ready.masters.map(({ masterId, pid }) => [masterId, processorTimeUs(pid) ?? Number.NaN]),
    )
  const before = now()
  return (name, requests) => {
    const spent = [...now()].map(([id, us]) => [id, us - (before.get(id) ?? 0)] as const)
    const all = spent.reduce((sum, [, us]) => sum + us, 0)
    const ofLeader = new Map(spent).get(leader.masterId) ?? Number.NaN
    if (Number.isNaN(all)) return []
    return [
      { name: `${name}: processor time of the leader`, value: ofLeader / requests, unit: 'us' },
      { name: `${name}: … of all masters`, value: all / requests, unit: 'us' },
    ]
  }
}

/** From kill -9 of the leader to the next write that is acknowledged by one of the others. */
async function failovers(cluster: Conclave, rounds: number): Promise<readonly Result[]> {
  const times: number[] = []
  const alive = [...cluster.ready.masters]
  // Two members of three must stay, so each round but the first needs a cluster of its own.
  for (let round = 0; round < rounds; round++) {
    const own = round === 0 ? cluster : await Conclave.start(['--agents', '1'])
    try {
      times.push(await failover(own, round === 0 ? alive : own.ready.masters))
    } finally {
      if (round > 0) await own.stop()
    }
  }
  const name = 'kill -9 of the leader to the next acknowledged write'
  return [
    { name: `${name}: median of ${rounds}`, value: median(times), unit: 'ms' },
    { name: `${name}: worst of ${rounds}`, value: Math.max(...times), unit: 'ms' },
  ]
}

async function failover(cluster: Conclave, masters: readonly Master[]): Promise<number> {
  const leader = await cluster.leader(masters)
  const others = masters.filter(({ masterId }) => masterId !== leader.masterId)
  const token = await cluster.token()
  const http = new HttpClient({ timeoutMs: 2000 })
  process.kill(leader.pid, 'SIGKILL')
  const killedAt = performance.now()
  for (let n = 0; ; n++) {
    const master = others[n % others.length]
    const path = `/secrets/v1/secret/default/bench/failover/${killedAt}/${n}`
    try {
      const { status } = await http.request({
        method: 'PUT',
        url: new URL(path, master?.listeners['dcos']),
        headers: { authorization: `token=${token}`, 'content-type': 'application/octet-stream' },
        body: value,
      })
      if (status === 201) break
    } catch {
      // Nobody leads yet.
    }
    if (performance.now() - killedAt > 60_000) throw new Error('no write within 60 s')
  }
  const took = performance.now() - killedAt
  http.close()
  return took
}

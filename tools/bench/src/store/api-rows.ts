import { Conclave } from '@conclave/acceptance'
import { load } from '../load.ts'
import { DockerSwarm, dockerdVersion } from '../peers/docker-swarm.ts'
import { EtcdCluster, etcdVersion } from '../peers/etcd-cluster.ts'
import { bareServer, syncedAppends } from '../peers/floor.ts'
import type { Result } from '../result.ts'
import type { Contender } from '../rounds.ts'
import {
  connections,
  fill,
  gateway,
  ours,
  reading,
  swarm,
  writing,
  type Asked,
} from './api-load.ts'
import { contest } from './contest.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

/** Without a peer that was wanted, a row goes on alone and says why, unless peers are required. */
function without(say: StoreWish['say'], peer: string, why: string): void {
  if (process.env['CONCLAVE_REQUIRE_PEERS'] === '1') throw new Error(`no ${peer}: ${why}`)
  say(`no ${peer} beside these numbers: ${why}`)
}

async function withEtcd<T>(
  { say }: StoreWish,
  run: (cluster: EtcdCluster | undefined) => Promise<T>,
): Promise<T> {
  if (etcdVersion() === undefined) {
    without(say, 'etcd', 'there is no program called etcd (Debian: etcd-server)')
    return run(undefined)
  }
  const cluster = await EtcdCluster.start()
  try {
    return await run(cluster)
  } finally {
    await cluster.stop()
  }
}

async function withSwarm<T>(
  { say }: StoreWish,
  run: (swarm: DockerSwarm | undefined) => Promise<T>,
): Promise<T> {
  const why =
    dockerdVersion() === undefined
      ? 'there is no program called dockerd (Debian: docker.io)'
      : process.getuid?.() === 0
        ? undefined
        : 'dockerd needs root'
  const started = why === undefined ? await DockerSwarm.start().catch((e: Error) => e) : undefined
  if (!(started instanceof DockerSwarm)) {
    // Never required: it needs root and its own network devices, which many a machine that has it denies.
    say(`no Docker Swarm beside these numbers: ${why ?? started?.message ?? 'it did not start'}`)
    return run(undefined)
  }
  try {
    return await run(started)
  } finally {
    await started.stop()
  }
}

type Work = (asked: Asked) => Contender

async function measure(wish: StoreWish): Promise<readonly Result[]> {
  const cluster = await Conclave.start(['--agents', '1'])
  try {
    const own = await ours(cluster, [await cluster.leader()])
    const spread = await ours(cluster, cluster.ready.masters, 'spread')
    return await withEtcd(wish, async (etcd) => {
      const peer = etcd && gateway(etcd.pids, [await etcd.leader()])
      const peerSpread = etcd && gateway(etcd.pids, etcd.members, 'spread')
      for (const asked of [own, spread, peer, peerSpread]) {
        if (asked !== undefined) await fill(asked)
      }
      const compare = (
        name: string,
        work: Work,
        [us, them]: readonly [Asked, Asked | undefined] = [own, peer],
      ): Promise<readonly Result[]> => {
        const beside = them && { ...work(them), name: "etcd's JSON gateway" }
        return contest(`secrets over HTTP, ${name}`, wish, work(us), beside)
      }
      const all = [spread, peerSpread] as const
      const floor = await syncedAppends(cluster.directory, 512, wish.isBrief ? 0.5 : 4)
      return [
        { name: 'one append and fdatasync at a time, 512 bytes', value: floor, unit: '/s' },
        ...(wish.isBrief
          ? []
          : await compare('writes, 1 connection', (asked) => writing(asked, 1))),
        ...(await compare(`writes, ${connections} connections`, (asked) => writing(asked))),
        ...(await compare(`reads, ${connections} connections`, reading)),
        ...(await compare('writes, 64 over all members', (asked) => writing(asked), all)),
        ...(await compare('reads, 64 over all members', reading, all)),
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

async function besideSwarm(wish: StoreWish): Promise<readonly Result[]> {
  const cluster = await Conclave.start(['--agents', '1'])
  try {
    const own = await ours(cluster, [await cluster.leader()])
    return await withSwarm(wish, async (docker) => {
      const peer = docker && { ...writing(swarm(docker)), name: 'three managers of Docker Swarm' }
      return contest(`secrets created, ${connections} connections`, wish, writing(own), peer)
    })
  } finally {
    await cluster.stop()
  }
}

export const apiRows: Readonly<Record<string, StoreRow>> = {
  api: {
    what: "secret writes and reads over the public HTTP API, beside etcd's JSON gateway",
    measure,
  },
  swarm: {
    what: 'secrets created over the public HTTP API, beside three managers of Docker Swarm',
    measure: besideSwarm,
  },
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '@conclave/acceptance'
import { masterFlags } from '@conclave/assembly'
import { EtcdClient } from '../peers/etcd-client.ts'
import { EtcdCluster, etcdVersion } from '../peers/etcd-cluster.ts'
import { keepGoing, type Load } from '../load.ts'
import type { Result } from '../result.ts'
import type { Contender } from '../rounds.ts'
import { planMembers, StoreCluster } from '../store-port/store-cluster.ts'
import { StoreMember } from '../store-port/store-member.ts'
import { contest } from './contest.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

/** Written over and over, so that memory does not grow with the length of a run. */
const keyCount = 10_000
const value = new Uint8Array(256).fill(0x61)
const keys = Array.from({ length: keyCount }, (_, n) => `bench/${String(n).padStart(6, '0')}`)
const keyOf = (n: number): string => keys[n % keyCount] ?? ''
const keyBytes = keys.map((key) => new Uint8Array(Buffer.from(key)))
const bytesOf = (n: number): Uint8Array => keyBytes[n % keyCount] ?? value

type Drive = (seconds: number) => Promise<Load>
interface Driven {
  put(inFlight: number): Drive
  get(inFlight: number): Drive
  readonly pids: readonly number[]
  stop(): Promise<void>
}

async function ourProcesses(wish: StoreWish): Promise<Driven> {
  const cluster = await StoreCluster.start({
    fsyncDelayMs: wish.fsyncDelayMs,
    execArgv: masterFlags,
  })
  const client = (await cluster.leader()).client()
  await fill((n) => client.put(keyOf(n), value))
  return {
    pids: cluster.pids,
    put: (inFlight) => (seconds) =>
      keepGoing(inFlight, seconds, (n) => client.put(keyOf(n), value)),
    get: (inFlight) => (seconds) =>
      keepGoing(inFlight, seconds, async (n) => checkRead(await client.get(keyOf(n)))),
    stop: async () => {
      client.close()
      await cluster.stop()
    },
  }
}

/** All three in this process, each with its journal and its sockets, and no client between. */
async function oneProcess(wish: StoreWish): Promise<Driven> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-store-'))
  const plans = await planMembers(directory, { fsyncDelayMs: wish.fsyncDelayMs })
  const members = await Promise.all(plans.map((plan) => StoreMember.start(plan)))
  const leader = await until('a member leads', () =>
    members.find(({ replica }) => replica.role === 'leader'),
  )
  await fill((n) => leader.put(keyOf(n), value))
  return {
    pids: [process.pid],
    put: (inFlight) => (seconds) =>
      keepGoing(inFlight, seconds, (n) => leader.put(keyOf(n), value)),
    get: (inFlight) => (seconds) =>
      keepGoing(inFlight, seconds, async (n) => checkRead(await leader.get(keyOf(n)))),
    stop: async () => {
      await Promise.all(members.map((member) => member.stop()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function etcd({ say }: StoreWish): Promise<Driven | undefined> {
  if (etcdVersion() === undefined) {
    say('no etcd beside these numbers: there is no program called etcd (Debian: etcd-server)')
    return undefined
  }
  const cluster = await EtcdCluster.start()
  const client = new EtcdClient('127.0.0.1', (await cluster.leader()).clientPort)
  await fill((n) => client.put(bytesOf(n), value))
  return {
    pids: cluster.pids,
    put: (inFlight) => (seconds) =>
      keepGoing(inFlight, seconds, (n) => client.put(bytesOf(n), value)),
    get: (inFlight) => (seconds) =>
      keepGoing(inFlight, seconds, async (n) => checkRead(await client.get(bytesOf(n)))),
    stop: async () => {
      client.close()
      await cluster.stop()
    },
  }
}

async function fill(put: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < keyCount) await put(next++)
  }
  await Promise.all(Array.from({ length: 64 }, worker))
}

function checkRead(bytes: Uint8Array | undefined): void {
  if (bytes?.length !== value.length) throw new Error('a key that was written is not there')
}

interface Contest {
  readonly name: string
  readonly kind: 'put' | 'get'
  readonly inFlight: readonly number[]
}

async function contests(
  wish: StoreWish,
  open: (wish: StoreWish) => Promise<Driven>,
  openPeer: (wish: StoreWish) => Promise<Driven | undefined>,
  wanted: readonly Contest[],
): Promise<readonly Result[]> {
  const ours = await open(wish)
  const results: Result[] = []
  try {
    const peer = await openPeer(wish)
    try {
      for (const { name, kind, inFlight } of wanted) {
        for (const count of wish.isBrief ? inFlight.slice(-1) : inFlight) {
          const of = (driven: Driven): Contender => ({
            pids: driven.pids,
            run: driven[kind](count),
          })
          const beside = peer === undefined ? undefined : { ...of(peer), name: 'etcd' }
          results.push(...(await contest(`${name}, ${count} in flight`, wish, of(ours), beside)))
        }
      }
    } finally {
      await peer?.stop()
    }
  } finally {
    await ours.stop()
  }
  return results
}

const slowDisk = (wish: StoreWish, delayMs: number): Promise<readonly Result[]> =>
  contests({ ...wish, fsyncDelayMs: delayMs }, ourProcesses, async () => undefined, [
    { name: `store puts, a sync takes ${delayMs} ms more`, kind: 'put', inFlight: [1, 64, 256] },
  ])

const nameOf = (kind: string, { fsyncDelayMs }: StoreWish): string =>
  fsyncDelayMs === 0 ? `store ${kind}` : `store ${kind}, a sync takes ${fsyncDelayMs} ms more`

export const portRows: Readonly<Record<string, StoreRow>> = {
  puts: {
    what: 'puts at the store port of three processes, beside etcd',
    measure: (wish) =>
      contests(wish, ourProcesses, etcd, [
        { name: nameOf('puts', wish), kind: 'put', inFlight: [1, 16, 64, 256] },
      ]),
  },
  gets: {
    what: 'linearizable gets there, beside etcd',
    measure: (wish) =>
      contests(wish, ourProcesses, etcd, [
        { name: nameOf('linearizable gets', wish), kind: 'get', inFlight: [1, 64, 256] },
      ]),
  },
  'one-process': {
    what: 'the same with all three masters in one process',
    measure: (wish) =>
      contests(wish, oneProcess, async () => undefined, [
        { name: 'puts, all three in one process', kind: 'put', inFlight: [1, 64, 256] },
        { name: 'linearizable gets, all three in one process', kind: 'get', inFlight: [64] },
      ]),
  },
  'slow-disk': {
    what: 'puts when each sync takes 2 or 5 ms more, as real disks do',
    measure: async (wish) => [
      ...(await slowDisk(wish, 2)),
      ...(wish.isBrief ? [] : await slowDisk(wish, 5)),
    ],
  },
}

import { masterFlags } from '@conclave/assembly'
import { Conclave } from '@conclave/acceptance'
import { keepGoing } from '../load.ts'
import { EtcdClient } from '../peers/etcd-client.ts'
import { EtcdCluster, etcdVersion } from '../peers/etcd-cluster.ts'
import { processorTimeUs } from '../processor-time.ts'
import { median, type Result } from '../result.ts'
import { StoreCluster } from '../store-port/store-cluster.ts'
import { writtenBytes } from '../written-bytes.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

const value = new Uint8Array(256).fill(0x61)
const writers = 64
const keyOf = (n: number): string => `bench/${String(n).padStart(7, '0')}`

interface Group {
  readonly pids: readonly number[]
  /** What all members have written to their disks so far. */
  writtenBytes(): Promise<number>
  put(key: string): Promise<void>
  stop(): Promise<void>
}

async function ours(memberCount: number): Promise<Group> {
  const cluster = await StoreCluster.start({ memberCount, execArgv: masterFlags })
  const client = (await cluster.leader()).client()
  return {
    pids: cluster.pids,
    writtenBytes: async () => {
      const states = await Promise.all(cluster.members.map((member) => member.state()))
      return states.reduce((total, { writtenBytes: own }) => total + own, 0)
    },
    put: (key) => client.put(key, value),
    stop: async () => {
      client.close()
      await cluster.stop()
    },
  }
}

async function etcd(): Promise<Group> {
  const cluster = await EtcdCluster.start()
  const client = new EtcdClient('127.0.0.1', (await cluster.leader()).clientPort)
  return {
    pids: cluster.pids,
    writtenBytes: () => Promise.resolve(sum(cluster.pids, writtenBytes)),
    put: (key) => client.put(Buffer.from(key), value),
    stop: async () => {
      client.close()
      await cluster.stop()
    },
  }
}

async function fill(group: Group, from: number, to: number): Promise<void> {
  let next = from
  const writer = async (): Promise<void> => {
    while (next < to) await group.put(keyOf(next++))
  }
  await Promise.all(Array.from({ length: writers }, writer))
}

const sum = (pids: readonly number[], of: (pid: number) => number | undefined): number =>
  pids.reduce((total, pid) => total + (of(pid) ?? Number.NaN), 0)

/** What one put costs a member on its disk, with everything that it writes for it sooner or later. */
async function diskBytes(group: Group, inFlight: number, seconds: number): Promise<number> {
  const before = await group.writtenBytes()
  const { answered } = await keepGoing(inFlight, seconds, (n) => group.put(keyOf(n % 10_000)))
  return ((await group.writtenBytes()) - before) / answered / group.pids.length
}

async function disk({ isBrief, seconds, say }: StoreWish): Promise<readonly Result[]> {
  const isPeerHere = etcdVersion() !== undefined
  if (!isPeerHere) say('no etcd beside these numbers: there is no program called etcd')
  const groups = [await ours(3), ...(isPeerHere ? [await etcd()] : [])]
  try {
    for (const group of groups) await fill(group, 0, isBrief ? 1_000 : 10_000)
    const results: Result[] = []
    for (const inFlight of [1, 16, 64]) {
      const bytes: number[] = []
      for (const group of groups) bytes.push(await diskBytes(group, inFlight, seconds * 2))
      const [own = Number.NaN, other] = bytes
      const beside =
        other === undefined ? {} : { peer: 'etcd', peerValue: other, ratio: own / other }
      const name = `disk bytes of a put, each member, ${inFlight} in flight`
      results.push({ name, value: own, unit: 'B', ...beside })
    }
    return results
  } finally {
    for (const group of groups) await group.stop()
  }
}

/** From nothing to the first acknowledged write, in milliseconds. */
async function firstWrite(start: () => Promise<Group>): Promise<number> {
  const startedAt = performance.now()
  const group = await start()
  try {
    await group.put(keyOf(0))
    return performance.now() - startedAt
  } finally {
    await group.stop()
  }
}

async function coldStart({ isBrief, rounds }: StoreWish): Promise<readonly Result[]> {
  const count = isBrief ? 1 : rounds
  const own: number[] = []
  const other: number[] = []
  const whole: number[] = []
  for (let round = 0; round < count; round++) {
    own.push(await firstWrite(() => ours(3)))
    if (etcdVersion() !== undefined) other.push(await firstWrite(etcd))
    const startedAt = performance.now()
    const cluster = await Conclave.start(['--agents', '1'])
    whole.push(performance.now() - startedAt)
    await cluster.stop()
  }
  const peerValue = median(other)
  const beside =
    other.length === 0 ? {} : { peer: 'etcd', peerValue, ratio: median(own) / peerValue }
  const up = 'conclave up --processes of a new cluster, to ready'
  return [
    { name: 'three new store members to the first put', value: median(own), unit: 'ms', ...beside },
    { name: up, value: median(whole), unit: 'ms' },
  ]
}

/** The rate of puts and what one takes of all members' processors, with so many in flight. */
async function costOf(group: Group, keys: number, seconds: number): Promise<[number, number]> {
  const before = sum(group.pids, processorTimeUs)
  const { perSecond, answered } = await keepGoing(writers, seconds, (n) =>
    // Not one after the other: neighbours would be in the processor's cache.
    group.put(keyOf((n * 7919) % keys)),
  )
  return [perSecond, (sum(group.pids, processorTimeUs) - before) / answered]
}

async function growth({ isBrief, seconds }: StoreWish): Promise<readonly Result[]> {
  const results: Result[] = []
  const add = (what: string, [perSecond, us]: readonly [number, number]): void => {
    const name = `puts, ${writers} in flight, ${what}`
    results.push({ name, value: perSecond, unit: '/s' })
    results.push({ name: `${name}: processor time`, value: us, unit: 'us' })
  }
  for (const count of isBrief ? [1] : [1, 3, 5]) {
    const group = await ours(count)
    try {
      await fill(group, 0, 10_000)
      const members = count === 1 ? '1 member' : `${count} members`
      add(`${members}, 10,000 keys`, await costOf(group, 10_000, seconds * 2))
    } finally {
      await group.stop()
    }
  }
  const group = await ours(3)
  try {
    let filled = 0
    for (const keys of isBrief ? [1_000] : [1_000, 10_000, 100_000, 400_000]) {
      await fill(group, filled, keys)
      filled = keys
      const text = keys.toLocaleString('en')
      add(`3 members, ${text} keys`, await costOf(group, keys, seconds * 3))
    }
  } finally {
    await group.stop()
  }
  return results
}

export const growthRows: Readonly<Record<string, StoreRow>> = {
  disk: { what: 'bytes that a put costs on the disk of each member, beside etcd', measure: disk },
  'cold-start': { what: 'from nothing to the first acknowledged write', measure: coldStart },
  growth: { what: 'puts with 1, 3 and 5 members, and with 1,000 to 400,000 keys', measure: growth },
}

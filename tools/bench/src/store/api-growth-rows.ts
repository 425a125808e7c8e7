import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { Conclave, until } from '@conclave/acceptance'
import type { Master } from '@conclave/acceptance'
import type { Result } from '../result.ts'
import { alternate, noteOf, type Contender } from '../rounds.ts'
import { connections, fill, ours, reading, writing, type Asked } from './api-load.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

/*
 * How the cost of a secret over the public API grows. Processor time of all masters for one request is
 * what to look at: it is the same on a busy machine, nearly.
 */

/** A master looks through its whole heap once nobody has asked for anything for some four seconds. */
const restMs = 15_000

async function cost(name: string, wish: StoreWish, by: Contender): Promise<readonly Result[]> {
  const rounds = await alternate([by], wish)
  const [measured] = rounds.measured
  const note = noteOf(rounds)
  const { perSecond = 0, processorUs } = measured ?? {}
  const line = (what: string, value: number, unit: string): Result => ({
    name: `${name}${what}`,
    value,
    unit,
    ...(note !== undefined && { note }),
  })
  return [
    line('', perSecond, '/s'),
    ...(processorUs === undefined ? [] : [line(': processor time', processorUs, 'us')]),
  ]
}

async function both(name: string, wish: StoreWish, asked: Asked): Promise<readonly Result[]> {
  return [
    ...(await cost(`${name}: writes`, wish, writing(asked))),
    ...(await cost(`${name}: reads`, wish, reading(asked))),
  ]
}

/**
 * Memory that a process has in use, in MiB, and its share of it: of pages that several have, such as those of
 * Node's own file, each has a part. Linux only.
 */
function memoryOf(pid: number): { readonly inUse: number; readonly share: number } | undefined {
  if (process.platform !== 'linux') return undefined
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const mib = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  return { inUse: mib('Rss'), share: mib('Pss') }
}

function memory(name: string, of: readonly Master[], leader: Master): readonly Result[] {
  return of.flatMap(({ pid }) => {
    const measured = memoryOf(pid)
    if (measured === undefined) return []
    const who = `${name}: memory of ${pid === leader.pid ? 'the leader' : 'a follower'}`
    return [
      { name: who, value: measured.inUse, unit: 'MiB' },
      { name: `${who}, its share`, value: measured.share, unit: 'MiB' },
    ]
  })
}

/**
 * The same requests with ever more secrets there, each time of a new cluster: what is written while they
 * are measured is secrets, too.
 */
async function secrets(wish: StoreWish): Promise<readonly Result[]> {
  const results: Result[] = []
  for (const count of wish.isBrief ? [1_000, 2_000] : [1_000, 10_000, 100_000]) {
    const cluster = await Conclave.start(['--agents', '1'])
    try {
      const leader = await cluster.leader()
      const asked = await ours(cluster, [leader])
      await fill(asked, count)
      const name = `${count} secrets`
      const { masters: members } = cluster.ready
      results.push(...memory(`${name}, right afterwards`, members, leader))
      if (!wish.isBrief) {
        await setTimeout(restMs)
        results.push(...memory(`${name}, at rest`, members, leader))
      }
      results.push(...(await both(name, wish, asked)))
    } finally {
      await cluster.stop()
    }
  }
  return results
}

/** Somebody who follows all events of a master, and looks at none. */
function follow(master: Master, token: string): Socket {
  const { hostname, port, host } = new URL(master.listeners['conclave'] ?? '')
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => undefined)
  socket.write(`GET /events HTTP/1.1\r\nhost: ${host}\r\nauthorization: token=${token}\r\n\r\n`)
  return socket.resume()
}

/** Writes while others follow what goes on. */
async function watchers(wish: StoreWish): Promise<readonly Result[]> {
  const steps = wish.isBrief ? [0, 2] : [0, 10, 100]
  const cluster = await Conclave.start(['--agents', '1'])
  const sockets: Socket[] = []
  try {
    const leader = await cluster.leader()
    const token = await cluster.token()
    const asked = await ours(cluster, [leader])
    await fill(asked)
    const results: Result[] = []
    for (const step of steps) {
      while (sockets.length < step) sockets.push(follow(leader, token))
      await until('every follower of events is told', () =>
        sockets.every(({ bytesRead }) => bytesRead > 0),
      )
      const name = `${step} who follow all events: writes`
      results.push(...(await cost(name, wish, writing(asked))))
    }
    return results
  } finally {
    for (const socket of sockets) socket.destroy()
    await cluster.stop()
  }
}

/** Groups of one, three and five; each from nothing to its first write. */
async function masters(wish: StoreWish): Promise<readonly Result[]> {
  const results: Result[] = []
  for (const count of wish.isBrief ? [1, 3] : [1, 3, 5]) {
    const startedAt = performance.now()
    const cluster = await Conclave.start(['--agents', '1', '--masters', `${count}`])
    try {
      const asked = await ours(cluster, [await cluster.leader()])
      await fill(asked, 1)
      const value = performance.now() - startedAt
      const name = count === 1 ? 'one master' : `${count} masters`
      results.push({ name: `${name}: from nothing to the first write`, value, unit: 'ms' })
      await fill(asked)
      results.push(...(await both(name, wish, asked)))
    } finally {
      await cluster.stop()
    }
  }
  return results
}

const over = `over the public API, ${connections} connections`

export const apiGrowthRows: Readonly<Record<string, StoreRow>> = {
  'api-secrets': {
    what: `1,000, 10,000 and 100,000 secrets ${over}: rate, cost and memory`,
    measure: secrets,
  },
  'api-watchers': {
    what: `writes ${over}, while 0, 10 and 100 follow all events`,
    measure: watchers,
  },
  'api-masters': {
    what: `one, 3 and 5 masters: cold start, rate and cost ${over}`,
    measure: masters,
  },
}

import type { Conclave, Master } from '@conclave/acceptance'
import { HttpConnections, type HttpAsked } from '../http-connections.ts'
import { load, type Load } from '../load.ts'
import type { DockerSwarm } from '../peers/docker-swarm.ts'
import type { EtcdMember } from '../peers/etcd-cluster.ts'
import type { Contender } from '../rounds.ts'

/*
 * Who is asked for secrets over HTTP, and how: each with the same client, the same value, and names of
 * the same length.
 */

export const connections = 64
const readCount = 1000
const value = Buffer.alloc(256, 0x61)

type CallOf = (n: number) => HttpAsked

export interface Asked {
  readonly pids: readonly number[]
  readonly written: number
  /** Each time a secret that was not there before. */
  readonly write: CallOf
  readonly read: CallOf
}

/** Secrets of a cluster of ours, asked of `masters` in turn. */
export async function ours(
  cluster: Conclave,
  masters: readonly Master[],
  folder = 'bench',
): Promise<Asked> {
  const authorization = `token=${await cluster.token()}`
  const bases = masters.map(({ listeners }) => listeners['dcos'] ?? '')
  const urlOf = (n: number): URL =>
    new URL(`/secrets/v1/secret/default/${folder}/w${n}`, bases[n % bases.length])
  const reads = Array.from({ length: readCount }, (_, n) => urlOf(n))
  const headers = { authorization, 'content-type': 'application/octet-stream' }
  let written = 0
  return {
    pids: cluster.ready.masters.map(({ pid }) => pid),
    written: 201,
    write: () => ({ method: 'PUT', url: urlOf(written++), headers, body: value }),
    read: (n) => ({ method: 'GET', url: reads[n % readCount] ?? urlOf(0), headers }),
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const bodyOf = (fields: object): Buffer => Buffer.from(JSON.stringify(fields))
const json = { 'content-type': 'application/json' }

/** The JSON gateways of an etcd, asked in turn. */
export function gateway(
  pids: readonly number[],
  members: readonly EtcdMember[],
  folder = 'bench',
): Asked {
  const puts = members.map(({ url }) => new URL('/v3/kv/put', url))
  const ranges = members.map(({ url }) => new URL('/v3/kv/range', url))
  const keyOf = (n: number): string => base64(`${folder}/w${n}`)
  const reads = Array.from({ length: readCount }, (_, n) => bodyOf({ key: keyOf(n) }))
  const inBase64 = value.toString('base64')
  let written = 0
  return {
    pids,
    written: 200,
    write: () => {
      const n = written++
      const body = bodyOf({ key: keyOf(n), value: inBase64 })
      return { method: 'POST', url: at(puts, n), headers: json, body }
    },
    read: (n) => ({
      method: 'POST',
      url: at(ranges, n),
      headers: json,
      body: reads[n % readCount] ?? value,
    }),
  }
}

function at(urls: readonly URL[], n: number): URL {
  const url = urls[n % urls.length]
  if (url === undefined) throw new Error('an etcd has members')
  return url
}

/** Secrets of a Docker Swarm, which gives nobody their value: there is nothing to read. */
export function swarm(of: DockerSwarm): Pick<Asked, 'pids' | 'written' | 'write'> {
  const url = new URL(`${of.url}/secrets/create`)
  const inBase64 = value.toString('base64')
  let written = 0
  return {
    pids: of.pids,
    written: 201,
    write: () => {
      const body = bodyOf({ Name: `bench-w${written++}`, Data: inBase64 })
      return { method: 'POST', url, headers: json, body }
    },
  }
}

/** Writes `count` more, before anything is measured. */
export async function fill(
  { write, written }: Pick<Asked, 'write' | 'written'>,
  count = readCount,
): Promise<void> {
  const http = new HttpConnections()
  let rest = count
  const worker = async (): Promise<void> => {
    while (rest-- > 0) {
      const { status } = await http.request(write(0))
      if (status !== written) throw new Error(`answered ${status}, not ${written}`)
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  http.close()
}

type Writer = Pick<Asked, 'pids' | 'written' | 'write'>

export const writing = ({ pids, written, write }: Writer, count = connections): Contender => ({
  pids,
  run: (seconds): Promise<Load> => load(count, seconds, written, write),
})

export const reading = ({ pids, read }: Asked): Contender => ({
  pids,
  run: (seconds): Promise<Load> => load(connections, seconds, 200, read),
})

import { Conclave } from '@conclave/acceptance'
import { importImage } from '../peers/docker-image.ts'
import { DockerSwarm, dockerdVersion } from '../peers/docker-swarm.ts'
import { against, type Result } from '../result.ts'
import { isQuiet, watchDisturbance } from '../quiet.ts'
import { noteOf } from '../rounds.ts'
import { EngineConnections, type Engine } from './engine.ts'
import { startRecording } from './recording.ts'
import { createSecrets, listSecrets } from './secrets.ts'
import { createToReadable } from './services.ts'

export interface DockerSuiteOptions {
  readonly isBrief: boolean
  readonly say: (line: string) => void
  readonly onResult: (result: Result) => void
}

/**
 * Secrets and services over a docker socket, beside a real dockerd in swarm mode: a swarm of one node each,
 * asked by one client over their sockets. Where no dockerd can be had, ours goes on alone and says why.
 */
export async function dockerSuite(options: DockerSuiteOptions): Promise<readonly Result[]> {
  const cluster = await Conclave.start(['--masters', '1', '--agents', '1'])
  const peer = await startPeer(options.say)
  try {
    const own = ours(cluster)
    await beginSwarm(own)
    return await measure(peer === undefined ? [own] : [own, theirs(peer)], options)
  } finally {
    await peer?.stop()
    await cluster.stop()
  }
}

async function measure(
  engines: readonly Engine[],
  { isBrief, onResult }: DockerSuiteOptions,
): Promise<readonly Result[]> {
  const count = isBrief ? 100 : 5000
  const results: Result[] = []
  const peer = engines[1]?.name
  const show = (name: string, unit: string, values: readonly number[], note?: string): void => {
    const [value = Number.NaN, peerValue = Number.NaN] = values
    if (Number.isNaN(value)) return
    const hasPeer = peer !== undefined && !Number.isNaN(peerValue)
    const result = hasPeer ? against(name, value, unit, peer, peerValue) : { name, value, unit }
    results.push({ ...result, ...(note !== undefined && { note }) })
    onResult(results.at(-1) ?? result)
  }

  const [created, disturbed] = await watched(engines, () => createSecrets(engines, count))
  const named = `${count} secrets created over the socket, 16 connections, none lost`
  show(
    named,
    '/s',
    created.map(({ perSecond }) => perSecond),
    disturbed,
  )
  show(
    'processor time for one of them',
    'us',
    created.map(({ processorUs }) => processorUs),
  )
  const [listed, disturbedToo, floorMs] = await listing(engines, isBrief ? 1 : 5)
  show(
    `GET /secrets of ${count}`,
    'ms',
    listed.map(({ apiMs }) => apiMs),
    disturbedToo,
  )
  show(
    `docker secret ls of ${count}`,
    'ms',
    listed.map(({ cliMs }) => cliMs),
    disturbedToo,
  )
  show(
    `the same command, answered from a recording of ours`,
    'ms',
    [floorMs, listed[1]?.cliMs ?? Number.NaN],
    disturbedToo,
  )
  const [readable, last] = await watched(engines, () => createToReadable(engines, isBrief ? 1 : 5))
  show('service created to secret readable in its container', 'ms', readable, last)
  return results
}

/** Lists asked of each, and of a server that answers the first one's as they were recorded: the CLI's own time. */
async function listing(
  engines: readonly Engine[],
  turns: number,
): Promise<readonly [Awaited<ReturnType<typeof listSecrets>>, string | undefined, number]> {
  const [own] = engines
  if (own === undefined) return [[], undefined, Number.NaN]
  const recording = await startRecording(own)
  try {
    const all = [...engines, recording.engine]
    const [listed, disturbed] = await watched(all, () => listSecrets(all, turns))
    return [listed.slice(0, -1), disturbed, listed.at(-1)?.cliMs ?? Number.NaN]
  } finally {
    recording.stop()
  }
}

/** What was measured, and what is to be known about the machine meanwhile. */
async function watched<T>(
  engines: readonly Engine[],
  run: () => Promise<T>,
): Promise<readonly [T, string | undefined]> {
  const disturbance = watchDisturbance(engines.flatMap(({ pids }) => pids))
  const answer = await run()
  const seen = disturbance()
  if (isQuiet(seen)) return [answer, undefined]
  return [answer, noteOf({ measured: [], discarded: 0, disturbance: seen })]
}

function ours(cluster: Conclave): Engine {
  const socket = cluster.ready.masters[0]?.listeners['docker'] ?? ''
  const pids = [...cluster.ready.masters, ...cluster.ready.agents].map(({ pid }) => pid)
  return { name: 'Conclave', socket: socket.replace('unix://', ''), pids }
}

const theirs = ({ socket, pids }: DockerSwarm): Engine => ({ name: 'dockerd', socket, pids })

async function beginSwarm(engine: Engine): Promise<void> {
  const http = new EngineConnections(engine)
  const asked = { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '127.0.0.1', Spec: {} }
  await http.ask('POST', '/swarm/init', 200, asked)
  http.close()
}

/** A dockerd of one node that has the image. Never required: it needs root and mounts, which many a machine denies. */
async function startPeer(say: (line: string) => void): Promise<DockerSwarm | undefined> {
  const without = (why: string): undefined =>
    say(`no dockerd beside these numbers: ${why}`) as undefined
  if (dockerdVersion() === undefined)
    return without('there is no program called dockerd (Debian: docker.io)')
  if (process.getuid?.() !== 0) return without('dockerd needs root')
  const started = await DockerSwarm.start(1).catch((error: Error) => error)
  if (!(started instanceof DockerSwarm)) return without(started.message)
  try {
    importImage(started.socket, started.directory, 'eon01/infinite:latest')
    return started
  } catch (error) {
    await started.stop()
    return without((error as Error).message)
  }
}

import { Conclave } from '@conclave/acceptance'
import { masterFlags } from '@conclave/assembly'
import type { HttpAsked } from '../http-connections.ts'
import type { Load } from '../load.ts'
import { layerServer } from '../peers/floor.ts'
import { median, type Result } from '../result.ts'
import { alternate, noteOf, type Contender } from '../rounds.ts'
import { threadKinds, threadTimesUs, waitedTimeUs, type ThreadKind } from '../thread-time.ts'
import { fill, ours, writing, type Asked } from './api-load.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

/*
 * Where the processor time of a write over HTTP goes: the same request to ever more of what answers it, and of
 * masters by whose thread it is.
 */

/** Processes whose time is told together. */
interface Group {
  readonly who: string
  readonly pids: readonly number[]
}

const nameOf: Readonly<Record<ThreadKind, string>> = {
  main: 'the thread that answers',
  v8: "V8's threads (collections, compiling)",
  disk: "the disk's threads",
  other: 'others',
}

interface Started {
  readonly asked: Pick<Asked, 'pids' | 'written' | 'write'>
  readonly layer: Layer
  readonly stop: () => unknown
}

/** A contender whose threads are watched while it is under load. */
class Layer implements Contender {
  readonly pids: readonly number[]
  readonly #contender: Contender
  readonly #groups: readonly Group[]
  /** For one request in each run, by what it is of. */
  readonly #samples = new Map<string, number[]>()

  constructor(contender: Contender, groups: readonly Group[]) {
    this.pids = contender.pids
    this.#contender = contender
    this.#groups = groups
  }

  async run(seconds: number): Promise<Load> {
    const before = this.#times()
    const load = await this.#contender.run(seconds)
    for (const [name, us] of this.#times()) {
      const spent = (us - (before.get(name) ?? 0)) / load.answered
      this.#samples.set(name, [...(this.#samples.get(name) ?? []), spent])
    }
    return load
  }

  /** Of what takes any time. */
  results(note: string | undefined): readonly Result[] {
    return [...this.#samples]
      .map(([name, samples]) => ({ name, value: median(samples), unit: 'us' }))
      .filter(({ value }) => value > 0)
      .map((result) => ({ ...result, ...(note !== undefined && { note }) }))
  }

  #times(): ReadonlyMap<string, number> {
    const times = new Map<string, number>()
    for (const { who, pids } of this.#groups) {
      const add = (what: string, us: number): void => {
        const name = `a write to ${who}: ${what}`
        times.set(name, (times.get(name) ?? 0) + us)
      }
      for (const pid of pids) {
        const ofThreads = threadTimesUs(pid)
        if (ofThreads === undefined) continue
        for (const kind of threadKinds) add(nameOf[kind], ofThreads[kind])
        const waited = waitedTimeUs(pid)
        if (waited === undefined) continue
        add(`${nameOf.main}, while others had the processors`, waited)
        // Whatever is left of the time: only differences count.
        add(
          `${nameOf.main}, with nothing to do`,
          performance.now() * 1000 - ofThreads.main - waited,
        )
      }
    }
    return times
  }
}

/** A server in which less happens than in a master: see `layer-server.ts`. */
async function server(layer: string, who: string, like: Asked): Promise<Started> {
  const { url, pid, authorization, stop } = await layerServer(layer, masterFlags)
  const pids = [pid]
  const write = (n: number): HttpAsked => {
    const asked = like.write(n)
    const headers = { ...asked.headers, ...(authorization && { authorization }) }
    return { ...asked, url: new URL(asked.url.pathname, url), headers }
  }
  const asked = { pids, written: 201, write }
  return { asked, layer: new Layer(writing(asked), [{ who, pids }]), stop }
}

async function masters(count: number): Promise<Started & { readonly asked: Asked }> {
  const cluster = await Conclave.start(['--agents', '1', '--masters', `${count}`])
  const leader = await cluster.leader()
  const asked = await ours(cluster, [leader])
  const followers = asked.pids.filter((pid) => pid !== leader.pid)
  const groups =
    followers.length === 0
      ? [{ who: 'a single master', pids: asked.pids }]
      : [
          { who: `${count} masters, the leader`, pids: [leader.pid] },
          { who: `${count} masters, the ${followers.length} followers together`, pids: followers },
        ]
  return { asked, layer: new Layer(writing(asked), groups), stop: () => cluster.stop() }
}

const servedLayers = [
  ['sockets', 'sockets that understand nothing'],
  ['http', "Node's HTTP"],
  ['fastify', 'Fastify'],
  ['face', 'the face before a master that is none'],
  ['service', 'the face before rights, envelope and state, without a log'],
  ['audited', 'the same with the audit log'],
] as const

async function measure(wish: StoreWish): Promise<readonly Result[]> {
  const started: Started[] = []
  try {
    const single = await masters(1)
    started.push(single)
    const servers: Started[] = []
    for (const [layer, who] of servedLayers) {
      const one = await server(layer, who, single.asked)
      servers.push(one)
      started.push(one)
    }
    const three = await masters(3)
    started.push(three)
    // V8 goes on compiling for some ten thousand requests.
    for (const { asked } of started) await fill(asked, wish.isBrief ? 500 : 20_000)
    const layers = [...servers, single, three].map(({ layer }) => layer)
    const rounds = await alternate(layers, wish)
    return layers.flatMap((layer) => layer.results(noteOf(rounds)))
  } finally {
    for (const { stop } of started) await stop()
  }
}

export const layerRows: Readonly<Record<string, StoreRow>> = {
  'api-layers': {
    what: 'where the processor time of a secret write over the public HTTP API goes, by layer and thread',
    measure,
  },
}

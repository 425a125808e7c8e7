import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Caller, MemberView } from '@conclave/actors'
import { NotLeader } from '@conclave/actors'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { askPeer, SystemRandom } from '@conclave/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { chooseAddresses } from '../cluster/addresses.ts'
import { masterDirectory } from '../cluster/layout.ts'
import { loadMember } from '../cluster/member-files.ts'
import { prepareCluster } from '../cluster/prepare-cluster.ts'
import type { MasterPlace } from './master-options.ts'
import type { RunningMaster } from './master.ts'
import { NotLetIn, MasterRemoved } from './membership.ts'
import { startMaster } from './start-master.ts'

const root: Caller = { principal: { uid: 'dev' }, requestId: 'request-1' }

let directory: string
/** Three found the cluster; certificates for two more are there. */
let places: readonly MasterPlace[]
let running: Map<string, RunningMaster>

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-members-'))
  const cluster = await prepareCluster(directory, { masters: 5, agents: 0 })
  places = await chooseAddresses(cluster.manifest.masters, '127.0.0.1', new SystemRandom())
  for (const masterId of ['master-4', 'master-5']) {
    await rm(join(masterDirectory(directory, masterId), 'first-identities.json'))
  }
  running = new Map()
})

afterEach(async () => {
  await Promise.all([...running.values()].map((master) => master.destroy()))
  await rm(directory, { recursive: true, force: true })
})

const founders = (): readonly MasterPlace[] => places.slice(0, 3)

const placeOf = (masterId: string): MasterPlace => {
  const place = places.find((one) => one.masterId === masterId)
  if (place === undefined) throw new Error(`there is no ${masterId}`)
  return place
}

async function start(masterId: string, own = placeOf(masterId)): Promise<RunningMaster> {
  const others = founders().filter((place) => place.masterId !== masterId)
  const master = await startMaster({
    directory: masterDirectory(directory, masterId),
    masters: [...others, own].toSorted((a, b) => a.nodeId - b.nodeId),
    segmentSizeBytes: 256 * 1024,
  })
  running.set(masterId, master)
  return master
}

async function founded(): Promise<void> {
  const masters = await Promise.all(founders().map(({ masterId }) => start(masterId)))
  await Promise.all(masters.map((master) => master.ready()))
  await leading((leader) => leader.api.members.list(root))
}

/** Asks whoever leads, and whoever leads next when leadership has moved on, as a client is sent on. */
async function leading<T>(ask: (leader: RunningMaster) => Promise<T>): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const leader = [...running.values()].find(({ api }) => {
      const { role, isReady } = api.status()
      return role === 'leader' && isReady
    })
    try {
      if (leader !== undefined) return await ask(leader)
    } catch (error) {
      if (!(error instanceof NotLeader)) throw error
    }
    await sleep(50)
  }
  throw new Error('nobody leads')
}

const list = (): Promise<readonly MemberView[]> =>
  leading((leader) => leader.api.members.list(root))

/** Waits for what real sockets will bring about. A test that waits in vain times out. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(20)
}

async function untilVoters(count: number): Promise<void> {
  await until(async () => {
    const views = await list()
    return views.filter(({ role }) => role !== 'learner').length === count && views.length === count
  })
}

/** Somebody who keeps writing, to any master, and remembers what was acknowledged. */
function writer(): { readonly acknowledged: string[]; stop(): Promise<void> } {
  const acknowledged: string[] = []
  const stopping = new AbortController()
  const run = async (): Promise<void> => {
    for (let count = 0; !stopping.signal.aborted; count++) {
      const masters = [...running.values()]
      const master = masters[count % masters.length]
      const path = `load/k${count}`
      try {
        await master?.api.secrets.create(root, path, {
          kind: 'text',
          bytes: new Redacted(utf8(path)),
        })
        acknowledged.push(path)
      } catch {
        // Not acknowledged, so nothing is promised.
      }
    }
  }
  const done = run()
  return {
    acknowledged,
    stop: () => {
      stopping.abort()
      return done
    },
  }
}

async function expectAllThere(paths: readonly string[]): Promise<void> {
  for (const [masterId, master] of running) {
    const listed = new Set(await master.api.secrets.list(root, 'load'))
    const missing = paths.filter((path) => !listed.has(path.slice('load/'.length)))
    expect({ masterId, missing }).toEqual({ masterId, missing: [] })
  }
}

async function leave(masterId: string): Promise<void> {
  const master = running.get(masterId)
  await leading((leader) => leader.api.members.leave(root, masterId))
  await expect(master?.failed).resolves.toBeInstanceOf(MasterRemoved)
  running.delete(masterId)
  await master?.stop()
}

describe('masters that come and go on real sockets', () => {
  test('AS16: three become five become three under load, the leader among those who go', async () => {
    await founded()
    const load = writer()

    await start('master-4')
    await start('master-5')
    await untilVoters(5)
    const first = (await list()).find(({ role }) => role === 'leader')?.masterId ?? ''
    await leave(first)
    const second = (await list()).find(({ role }) => role === 'leader')?.masterId ?? ''
    await leave(second)
    await untilVoters(3)
    await load.stop()

    expect(load.acknowledged.length).toBeGreaterThan(20)
    await expectAllThere(load.acknowledged)
    expect((await list()).map(({ masterId }) => masterId)).not.toContain(first)
  }, 60_000)

  test('AS16: a removed one that comes back is refused by all, and does not start again', async () => {
    await founded()
    const gone = (await list()).find(({ role }) => role === 'voter')?.masterId ?? ''
    const own = masterDirectory(directory, gone)
    const { clusterId, identity } = await loadMember(own, 'conclave-master')
    // Down, so that nobody can tell it.
    await running.get(gone)?.destroy()
    running.delete(gone)
    await until(async () => (await list()).some(({ isReachable }) => !isReachable))
    await leading((leader) => leader.api.members.remove(root, gone, { force: true }))

    const back = await start(gone)
    await expect(back.failed).resolves.toBeInstanceOf(MasterRemoved)
    running.delete(gone)
    await back.destroy()
    await expect(start(gone)).rejects.toThrow(MasterRemoved)

    // Its certificate still opens the door, and whoever answers knows it.
    for (const { place, masterId } of running.values()) {
      const answer = await askPeer({
        clusterId,
        identity,
        at: { host: place.host, port: place.ports.peers },
        masterId,
        question: utf8(JSON.stringify({ ask: 'membership' })),
      })
      expect(JSON.parse(utf8Text(answer))).toEqual({ answer: 'removed' })
    }
  }, 30_000)

  test('AS16: all find each other again after they have moved, and all are restarted', async () => {
    await founded()
    await start('master-4')
    await untilVoters(4)

    await Promise.all([...running.values()].map((master) => master.destroy()))
    running.clear()
    const nodes = places.map(({ masterId, nodeId }) => ({ masterId, nodeId }))
    const moved = await chooseAddresses(nodes.slice(1), '127.0.0.1', new SystemRandom())
    places = [placeOf('master-1'), ...moved]
    await Promise.all(['master-1', 'master-2', 'master-3', 'master-4'].map((id) => start(id)))

    await until(async () => (await list()).every(({ isReachable }) => isReachable))
    expect((await list()).map(({ masterId }) => masterId)).toHaveLength(4)
  }, 30_000)

  test('one whose number is taken is not let in, and says why', async () => {
    await founded()

    const impostor = await start('master-4', { ...placeOf('master-4'), nodeId: 2 })

    await expect(impostor.failed).resolves.toBeInstanceOf(NotLetIn)
    running.delete('master-4')
    await impostor.destroy()
  }, 20_000)
})

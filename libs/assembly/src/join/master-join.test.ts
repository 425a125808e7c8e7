import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SystemRandom } from '@conclave/runtime'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chooseAddresses } from '../cluster/addresses.ts'
import { MasterRemoved } from '../master/membership.ts'
import type { RunningMaster } from '../master/master.ts'
import { startMaster } from '../master/start-master.ts'
import { devCaller, TestCluster } from '../testing/test-cluster.ts'
import { enrol } from './enrol.ts'

let cluster: TestCluster
let joined: RunningMaster | undefined

beforeEach(async () => {
  cluster = await TestCluster.start({ masters: 3 })
})
afterEach(async () => {
  await joined?.destroy()
  await cluster.remove()
})

/** With a join token, as `conclave master join` does. */
async function join4(directory: string): Promise<RunningMaster> {
  const { host, ports } = cluster.follower.place
  const {
    id,
    nodeId = 0,
    masters,
  } = await enrol({
    address: { host, port: ports.join },
    token: await cluster.leader.api.authority.joinToken(devCaller, 'master'),
    directory,
    role: 'master',
  })
  const [own] = await chooseAddresses([{ masterId: id, nodeId }], '127.0.0.1', new SystemRandom())
  if (own === undefined) throw new Error('no place was found')
  joined = await startMaster({ directory, masters: [...masters, own] })
  return joined
}

async function untilVoter(masterId: string): Promise<void> {
  for (;;) {
    const views = await cluster.leader.api.members.list(devCaller)
    if (views.find((one) => one.masterId === masterId)?.role === 'voter') return
    await sleep(20)
  }
}

test('AS16: whoever has a join token becomes a master that votes, under ids nobody had', async () => {
  const directory = join(cluster.directory, 'joiner')

  const { masterId, nodeId } = await join4(directory)
  await untilVoter(masterId)

  expect({ masterId, nodeId }).toEqual({ masterId: 'master-4', nodeId: 4 })

  const ended = joined?.failed
  await cluster.leader.api.members.leave(devCaller, masterId)
  await expect(ended).resolves.toBeInstanceOf(MasterRemoved)
  await joined?.destroy()
  await rm(directory, { recursive: true })
  const next = await join4(directory)
  await untilVoter(next.masterId)

  expect(next.nodeId).toBe(5)
}, 30_000)

test('AS11 threat:ST-04: with autolock on, a joined master keeps no key that wraps others beyond its first start', async () => {
  await cluster.leader.api.lock.lock(devCaller)
  const directory = join(cluster.directory, 'locked')

  const { masterId } = await join4(directory)
  await untilVoter(masterId)

  await expect.poll(() => existsSync(join(directory, 'kek.key'))).toBe(false)
  // Not even when somebody joins with the same directory once more.
  const { host, ports } = cluster.follower.place
  const token = await cluster.leader.api.authority.joinToken(devCaller, 'master')
  const again = await enrol({
    address: { host, port: ports.join },
    token,
    directory,
    role: 'master',
  })
  expect(again.id).toBe(masterId)
  expect(existsSync(join(directory, 'kek.key'))).toBe(false)
}, 30_000)

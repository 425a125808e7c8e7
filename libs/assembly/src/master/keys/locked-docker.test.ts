import { utf8Text, wipe } from '@conclave/kernel'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { askSocket, type SocketAnswer } from '../../testing/ask-socket.ts'
import { devCaller, TestCluster } from '../../testing/test-cluster.ts'
import type { RunningMaster } from '../master.ts'
import { MasterRemoved } from '../membership.ts'

let cluster: TestCluster | undefined

afterEach(async () => {
  await cluster?.remove()
})

describe('AS18: a master that is locked', () => {
  test('hears that it was removed while it was away, and waits for no key any more', async () => {
    cluster = await TestCluster.start({ masters: 3 })
    const leading = (): RunningMaster => cluster!.leader
    const { api } = leading()
    wipe(await api.lock.lock(devCaller))
    const gone = cluster.follower
    const kek = join(cluster.directoryOf(gone.masterId), 'kek.key')
    await vi.waitFor(() => expect(existsSync(kek)).toBe(false), 10_000)
    await gone.destroy()
    const isGone = async (): Promise<boolean> =>
      (await api.members.list(devCaller)).some(
        ({ masterId, isReachable }) => masterId === gone.masterId && !isReachable,
      )
    await vi.waitFor(async () => expect(await isGone()).toBe(true), 10_000)

    const back = await cluster.startMaster(gone.masterId)
    expect(back.state).toBe('booting-locked')
    await setTimeout(4000)
    expect(back.state).toBe('booting-locked')
    await api.members.remove(devCaller, gone.masterId, { force: true })

    await expect(back.failed).resolves.toBeInstanceOf(MasterRemoved)
    await expect(cluster.startMaster(gone.masterId)).rejects.toBeInstanceOf(MasterRemoved)
  }, 30_000)
})

describe('DK31: a master that is locked', () => {
  test('takes the unlock key at its docker socket, and then is what it was', async () => {
    const path = join('/tmp', `conclave-locked-${process.pid}.sock`)
    const docker = { docker: { path, uid: 'dev' } }
    cluster = await TestCluster.start({ masters: 1 }, docker)
    const ask = (method: string, at: string, body?: unknown): Promise<SocketAnswer> =>
      askSocket(path, method, at, body)
    expect((await ask('POST', '/swarm/init', {})).status).toBe(200)
    const shown = await cluster.leader.api.lock.lock(devCaller)
    const UnlockKey = utf8Text(shown.reveal())
    wipe(shown)
    const { masterId } = cluster.leader
    // As kill -9 would, right after the answer.
    await cluster.leader.destroy()

    const locked = await cluster.startMaster(masterId, docker)
    expect(locked.state).toBe('booting-locked')
    expect((await ask('GET', '/info')).body).toMatchObject({ Swarm: { LocalNodeState: 'locked' } })
    expect(await ask('GET', '/secrets')).toEqual({
      status: 503,
      body: {
        message:
          'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
      },
    })
    const wrong = { UnlockKey: `SWMKEY-1-${'A'.repeat(43)}` }
    expect((await ask('POST', '/swarm/unlock', wrong)).status).toBe(401)
    expect((await ask('POST', '/swarm/unlock', { UnlockKey: 'x' })).status).toBe(400)
    expect((await ask('POST', '/swarm/leave?force=1')).status).toBe(503)

    expect((await ask('POST', '/swarm/unlock', { UnlockKey })).status).toBe(200)
    await locked.ready()
    expect((await ask('GET', '/info')).body).toMatchObject({ Swarm: { LocalNodeState: 'active' } })
    expect(cluster.lines.join('')).not.toContain(UnlockKey)
  })
})

import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redacted, utf8 } from '@conclave/kernel'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ScriptedMaster } from '../testing/scripted-master.ts'
import { startScheduler, type RunningScheduler } from './start-scheduler.ts'

const keys = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})
const account = { uid: 'scheduler-1', privateKey: new Redacted(utf8(keys.privateKey)) }

let directory: string
let leader: ScriptedMaster
let follower: ScriptedMaster
const running: RunningScheduler[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-scheduler-'))
  leader = await ScriptedMaster.start('master-1', keys.publicKey)
  follower = await ScriptedMaster.start('master-2', keys.publicKey)
  follower.redirectTo = leader.urls.mesos
})

afterEach(async () => {
  await Promise.all(running.splice(0).map((scheduler) => scheduler.stop()))
  leader.stop()
  follower.stop()
  await rm(directory, { recursive: true, force: true })
})

async function start(masters = [follower, leader]): Promise<RunningScheduler> {
  const scheduler = await startScheduler({
    directory,
    masters: masters.map(({ urls }) => urls),
    account,
    retryFirstMs: 1,
    retryMaxMs: 10,
  })
  running.push(scheduler)
  return scheduler
}

const spec = { resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } }] }
const offers = {
  type: 'OFFERS',
  offers: {
    offers: [
      {
        id: { value: 'offer-1' },
        agent_id: { value: 'agent-1' },
        resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }],
      },
    ],
  },
}

describe('a scheduler', () => {
  test('SC1: logs in with its key, and follows a follower to the leader', async () => {
    const scheduler = await start()
    await scheduler.subscribed

    expect(follower.typesOfCalls()).toEqual(['SUBSCRIBE'])
    expect(leader.typesOfCalls()).toEqual(['SUBSCRIBE'])
    expect(leader.calls[0]?.['subscribe']).toMatchObject({
      framework_info: { principal: 'scheduler-1', failover_timeout: 604_800 },
    })
  })

  test('SC2: launches what waits on what is offered, with its framework id and stream id', async () => {
    leader.tellPending({ launch: [{ runId: 'r', taskId: 'task-1', spec }], kill: [] })
    await start()
    await vi.waitFor(() => expect(leader.typesOfCalls()).toContain('REVIVE'))

    leader.send(offers)

    await vi.waitFor(() => expect(leader.typesOfCalls()).toContain('ACCEPT'))
    expect(leader.calls.find(({ type }) => type === 'ACCEPT')).toMatchObject({
      framework_id: { value: 'framework-1' },
      streamId: 'stream-1',
      accept: {
        operations: [{ launch: { task_infos: [{ ...spec, task_id: { value: 'task-1' } }] } }],
      },
    })
  })

  test('acknowledges an update in the words it came in', async () => {
    const scheduler = await start()
    await scheduler.subscribed

    leader.send({
      type: 'UPDATE',
      update: {
        status: {
          task_id: { value: 't' },
          agent_id: { value: 'a' },
          state: 'TASK_RUNNING',
          uuid: 'q83vEjRWeJA=',
        },
      },
    })

    await vi.waitFor(() => expect(leader.typesOfCalls()).toContain('ACKNOWLEDGE'))
    expect(leader.calls.at(-1)?.['acknowledge']).toEqual({
      agent_id: { value: 'a' },
      task_id: { value: 't' },
      uuid: 'q83vEjRWeJA=',
    })
  })

  test('SC6: finds masters that came after it, although all that it was told of are gone', async () => {
    const newcomer = await ScriptedMaster.start('master-3', keys.publicKey)
    leader.members = [newcomer]
    const first = await start([leader])
    await first.subscribed
    await vi.waitFor(async () =>
      expect(await readFile(join(directory, 'masters.json'), 'utf8')).toContain('master-3'),
    )
    await first.stop()
    leader.stop()

    const second = await start([leader])
    await second.subscribed

    expect(newcomer.typesOfCalls()).toEqual(['SUBSCRIBE'])
    newcomer.stop()
  })

  test('SC3: subscribes again with the same id when its stream breaks', async () => {
    const scheduler = await start()
    await scheduler.subscribed

    leader.breakStream()

    await vi.waitFor(() => expect(leader.typesOfCalls()).toEqual(['SUBSCRIBE', 'SUBSCRIBE']))
    expect(leader.calls[1]).toMatchObject({
      framework_id: { value: 'framework-1' },
      subscribe: { framework_info: { id: { value: 'framework-1' } } },
    })
  })

  test('SC3: is the same framework after it was started again', async () => {
    const first = await start()
    await first.subscribed
    first.destroy()
    const second = await start()
    await second.subscribed

    expect(second.frameworkId).toBe('framework-1')
    const subscriptions = leader.calls.filter(({ type }) => type === 'SUBSCRIBE')
    expect(subscriptions[1]).toMatchObject({ framework_id: { value: 'framework-1' } })
    expect((await stat(join(directory, 'framework.json'))).mode & 0o077).toBe(0)
  })

  test('SC3: is a new framework when its old one was removed', async () => {
    const scheduler = await start()
    await scheduler.subscribed

    leader.frameworkId = 'framework-2'
    leader.send({ type: 'ERROR', error: { message: 'Framework has been removed' } })

    await vi.waitFor(() => expect(scheduler.frameworkId).toBe('framework-2'))
    expect(leader.calls.at(-1)).not.toHaveProperty('framework_id')
    await vi.waitFor(async () =>
      expect(await readFile(join(directory, 'framework.json'), 'utf8')).toContain('framework-2'),
    )
  })

  test('SC4: goes from master to master while none of them leads', async () => {
    follower.redirectTo = undefined
    follower.refuseWith = 503
    leader.refuseWith = 503
    const scheduler = await start()
    await vi.waitFor(() => expect(leader.calls.length).toBeGreaterThan(1))

    leader.refuseWith = undefined
    await scheduler.subscribed

    expect(follower.calls.length).toBeGreaterThan(1)
  })

  test('SC1: takes its token to no host that it was not told of', async () => {
    const stranger = await ScriptedMaster.start('stranger', keys.publicKey)
    follower.redirectTo = stranger.urls.mesos

    await start([follower])
    await vi.waitFor(() => expect(follower.calls.length).toBeGreaterThan(2))
    stranger.stop()

    expect(stranger.calls).toEqual([])
  })

  test('SC5: says nothing more once it was stopped', async () => {
    const scheduler = await start()
    await scheduler.subscribed
    await scheduler.stop()
    const callsBefore = leader.calls.length

    leader.tellPending({ launch: [], kill: [{ taskId: 'x' }] })

    expect(leader.calls).toHaveLength(callsBefore)
  })
})

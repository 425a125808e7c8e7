import { createHash } from 'node:crypto'
import type { TaskSession } from '@conclave/actors'
import { parseRedisAddress } from '@conclave/peer-redis'
import { missingServer, RedisServer } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { agentDirectory } from '../cluster/layout.ts'
import { devCaller, TestCluster } from '../testing/test-cluster.ts'

const why = missingServer('redis-server')

describe.each(['TCP', 'Redis'])('masters over %s', (wire) => {
  describe.skipIf(wire === 'Redis' && why !== undefined)(`and their tasks ${why ?? ''}`, () => {
    describeSessions(wire === 'Redis')
  })
})

function describeSessions(isOverRedis: boolean): void {
  let cluster: TestCluster
  let redis: RedisServer | undefined
  let taskId = ''

  beforeAll(async () => {
    redis = isOverRedis ? await RedisServer.start() : undefined
    const peerWire = redis && parseRedisAddress(redis.unixUrl)
    cluster = await TestCluster.start({ masters: 3, agents: 1 }, { ...(peerWire && { peerWire }) })
    const [agent = ''] = cluster.prepared.manifest.agents
    await cluster.startAgent(agentDirectory(cluster.directory, agent))
    await cluster.startScheduler()
    const { runs } = cluster.follower.api
    const submitted = await runs.submit(devCaller, {
      name: 'sleeper',
      resources: [
        { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } },
        { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
      ],
      command: { value: 'sleep 1000' },
    })
    for await (const view of runs.watch(devCaller, submitted.runId, new AbortController().signal)) {
      taskId = view.taskId
      if (view.state === 'TASK_RUNNING') break
    }
  }, 60_000)

  afterAll(async () => {
    await cluster?.remove()
    await redis?.stop()
  })
  describe('MA63: a container, by way of a master that does not lead', () => {
    test('takes and gives as many bytes as it is sent, in order', async () => {
      const session = await cluster.follower.api.tasks.exec(devCaller, taskId, { argv: ['cat'] })
      const sent = Buffer.alloc(3 * 1024 * 1024)
      for (let at = 0; at < sent.length; at += 4) sent.writeUInt32LE((at * 2_654_435_761) >>> 0, at)
      const received = outputOf(session)
      for (let at = 0; at < sent.length; at += 65_536) {
        session.write(sent.subarray(at, at + 65_536))
        await session.room()
      }
      session.endInput()

      const { bytes, end } = await received
      expect(end).toMatchObject({ kind: 'end', exitCode: 0 })
      expect([bytes.length, digest(bytes)]).toEqual([sent.length, digest(sent)])
    }, 60_000)

    test('is held back by who does not read', async () => {
      const session = await cluster.follower.api.tasks.exec(devCaller, taskId, {
        argv: ['sh', '-c', 'yes | head -c 20000000'],
      })
      const output = session.output()[Symbol.asyncIterator]()
      await output.next()
      // While one stands still, another is served.
      const other = await cluster.follower.api.tasks.exec(devCaller, taskId, {
        argv: ['echo', 'hi'],
      })
      expect((await outputOf(other)).bytes.toString()).toBe('hi\n')

      let sizeBytes = 2
      for (;;) {
        const { value, done } = await output.next()
        if (done === true || value.kind === 'end') break
        sizeBytes += value.bytes.length
      }
      expect(sizeBytes).toBeGreaterThan(19_000_000)
    }, 120_000)

    test('is signalled, and left when the leader is killed', async () => {
      const { follower, leader } = cluster
      await follower.api.tasks.signal(devCaller, taskId, 'WINCH')
      const session = await follower.api.tasks.exec(devCaller, taskId, { argv: ['cat'] })
      const received = outputOf(session)
      await leader.destroy()
      expect((await received).end).toMatchObject({ kind: 'end', exitCode: undefined })
      await vi.waitFor(() => {
        const masters = cluster.masters.filter((master) => master !== leader)
        expect(masters.some(({ api }) => api.status().role === 'leader')).toBe(true)
      }, 10_000)
    }, 60_000)
  })
}

async function outputOf(session: TaskSession): Promise<{ bytes: Buffer; end: unknown }> {
  const pieces: Uint8Array[] = []
  let end: unknown
  for await (const output of session.output()) {
    if (output.kind === 'data') pieces.push(output.bytes)
    else end = output
  }
  return { bytes: Buffer.concat(pieces), end }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { beforeEach, describe, expect, test } from 'vitest'
import { containerIdOf } from '../container-id.ts'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'

let front: Front
let id: string

interface Stats {
  readonly read: string
  readonly preread: string
  readonly pids_stats: object
  readonly cpu_stats: { readonly system_cpu_usage?: number }
  readonly precpu_stats: object
  readonly memory_stats: { readonly limit?: number }
  readonly blkio_stats: { readonly io_service_bytes_recursive: readonly object[] | null }
}

const used = {
  cpuMs: 100,
  memoryBytes: 5000,
  memoryBytesMax: 8_388_608,
  processes: 3,
  processesMax: 64,
  readBytes: 10,
  writtenBytes: 20,
  atMs: 60_000,
  processors: 2,
}

async function running(more: object = {}): Promise<void> {
  await new Services(front).create(sentSpec('my_app', more))
  await front.master.scene.settle()
  const admin = { principal: { uid: 'admin' }, requestId: 'test' }
  const [task] = await front.master.workloads.tasks(admin, 'my_app')
  if (task === undefined) throw new Error('no task runs')
  front.master.tasks.add(task.taskId)
  id = containerIdOf(task)
}

const stats = async (query: string): Promise<Stats> =>
  (await front.ask('GET', `/v1.47/containers/${id}/stats?${query}`)).json<Stats>()

beforeEach(async () => {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
})

describe('DK46: what a container uses', () => {
  test('is what its agent has measured, at one look', async () => {
    await running()
    front.master.tasks.usages = [used]
    expect(await stats('stream=0&one-shot=1')).toMatchObject({
      preread: '0001-01-01T00:00:00Z',
      pids_stats: { current: 3, limit: 64 },
      cpu_stats: {
        cpu_usage: { total_usage: 100_000_000, usage_in_usermode: 100_000_000 },
        system_cpu_usage: 120_000_000_000,
        online_cpus: 2,
      },
      memory_stats: { usage: 5000, limit: 8_388_608 },
      blkio_stats: {
        io_service_bytes_recursive: [
          { op: 'read', value: 10 },
          { op: 'write', value: 20 },
        ],
      },
      networks: {},
    })
  })

  test('has a share of the processor between two looks, and the limit of its service', async () => {
    const Resources = { Limits: { MemoryBytes: 64 * 1024 * 1024 } }
    await running({ TaskTemplate: { ContainerSpec: { Image: 'busybox' }, Resources } })
    front.master.tasks.usages = [used, { ...used, cpuMs: 600, atMs: 61_000 }]
    const shown = await stats('stream=false')
    expect(shown).toMatchObject({
      precpu_stats: { cpu_usage: { total_usage: 100_000_000 } },
      cpu_stats: { cpu_usage: { total_usage: 600_000_000 }, system_cpu_usage: 122_000_000_000 },
      memory_stats: { limit: 67_108_864 },
    })
    expect(shown.preread < shown.read).toBe(true)
  })

  test('leaves nothing behind on a connection that asks again and again', async () => {
    await running()
    front.master.tasks.usages = [used]
    const sockets = new Set<Socket>()
    front.app.server.on('connection', (socket: Socket) => sockets.add(socket))
    const origin = await front.app.listen({ port: 0, host: '127.0.0.1' })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = async (): Promise<number> => {
      const path = `${origin}/v1.47/containers/${id}/stats?stream=0&one-shot=1`
      const [answer] = (await once(get(path, { agent }), 'response')) as [IncomingMessage]
      await answer.toArray()
      return [...sockets].reduce((sum, socket) => sum + socket.listenerCount('close'), 0)
    }
    try {
      const first = await ask()
      for (let times = 0; times < 5; times++) expect(await ask()).toBe(first)
      expect(sockets.size).toBe(1)
    } finally {
      agent.destroy()
      await front.app.close()
    }
  })

  test('is not measured for a client that vanished before it was found', async () => {
    await running()
    const vanished = Promise.withResolvers<void>()
    front.app.server.on('connection', (socket: Socket) => socket.once('close', vanished.resolve))
    const asked = Promise.withResolvers<void>()
    const { workloads, tasks } = front.master
    const found = workloads.tasks.bind(workloads)
    workloads.tasks = async (...of) => {
      asked.resolve()
      await vanished.promise
      return found(...of)
    }
    let count = 0
    tasks.usage = async () => {
      count++
      return used
    }
    const origin = await front.app.listen({ port: 0, host: '127.0.0.1' })
    const request = get(`${origin}/v1.47/containers/${id}/stats`).on('error', () => undefined)
    await asked.promise
    request.destroy()
    await vanished.promise
    await front.app.close()
    expect(count).toBe(0)
  })

  test('is nothing where it does not run', async () => {
    await running()
    front.master.tasks.usages = []
    const shown = await stats('stream=false')
    expect(shown).toMatchObject({
      read: '0001-01-01T00:00:00Z',
      pids_stats: {},
      memory_stats: {},
      blkio_stats: { io_service_bytes_recursive: null },
    })
    expect(shown.cpu_stats.system_cpu_usage).toBeUndefined()
  })
})

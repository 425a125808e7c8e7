import { beforeEach, describe, expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'

let front: Front
let services: Services

beforeEach(async () => {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  front.master.scene.addNode('agent-2')
  services = new Services(front)
})

describe('DK29: what is known of the machine', () => {
  test('are the containers of all services, and the agents that they are on', async () => {
    await services.create(sentSpec('app', { Mode: { Replicated: { Replicas: 3 } } }))
    await front.master.scene.settle()
    const info = (await front.ask('GET', '/info')).json<object>()
    expect(info).toMatchObject({
      Containers: 3,
      ContainersRunning: 3,
      ContainersStopped: 0,
      Images: 6,
      NCPU: 8,
      MemTotal: 2048 * 1024 * 1024,
      Labels: ['io.conclave.simulated-images=any'],
      Swarm: { LocalNodeState: 'active' },
    })
  })

  test('is the version of the Engine that is imitated, and of whatever runs it', async () => {
    const version = (await front.ask('GET', '/version')).json<object>()
    expect(version).toMatchObject({
      Version: '27.5.1',
      ApiVersion: '1.47',
      MinAPIVersion: '1.24',
      GoVersion: `none (Node.js ${process.version})`,
      Components: [{ Name: 'Engine' }],
    })
  })

  test('is what its images and containers take', async () => {
    await services.create(sentSpec('app', { Mode: { Replicated: { Replicas: 2 } } }))
    await front.master.scene.settle()
    const df = (await front.ask('GET', '/system/df')).json<{
      Images: { RepoTags: string[]; Containers: number; Size: number }[]
      Containers: { State: string; Image: string }[]
      LayersSize: number
    }>()
    const infinite = df.Images.find(({ RepoTags }) => RepoTags.includes('eon01/infinite:latest'))
    expect(infinite?.Containers).toBe(2)
    expect(df.Containers).toMatchObject([
      { State: 'running', Image: 'eon01/infinite:latest' },
      { State: 'running', Image: 'eon01/infinite:latest' },
    ])
    expect(df.LayersSize).toBe(df.Images.reduce((sum, { Size }) => sum + Size, 0))
    expect(df).toMatchObject({ Volumes: [], BuildCache: [] })
  })
})

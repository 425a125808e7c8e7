import type { InstanceState } from '@conclave/workloads'
import { beforeEach, describe, expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'

let front: Front
let services: Services

beforeEach(async () => {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  services = new Services(front)
})

describe('DK10: a task', () => {
  test.each<[InstanceState, object, object]>([
    ['pending', {}, { State: 'pending', Message: 'pending task scheduling' }],
    [
      'pending',
      { message: 'no suitable node (insufficient resources on 1 node)' },
      {
        State: 'pending',
        Message: 'pending task scheduling',
        Err: 'no suitable node (insufficient resources on 1 node)',
      },
    ],
    ['assigned', {}, { State: 'assigned', Message: 'scheduler assigned task to node' }],
    ['staging', {}, { State: 'preparing', Message: 'preparing' }],
    ['starting', {}, { State: 'starting', Message: 'starting' }],
    ['running', {}, { State: 'running', Message: 'started' }],
    ['finished', { exitCode: 0 }, { State: 'complete', Message: 'finished' }],
    [
      'failed',
      { exitCode: 3, message: 'Command exited with status 3' },
      { State: 'failed', Message: 'started', Err: 'task: non-zero exit (3)' },
    ],
    [
      'failed',
      { exitCode: 137, healthy: false },
      {
        State: 'failed',
        Message: 'started',
        Err: 'task: non-zero exit (137): dockerexec: unhealthy container',
      },
    ],
    ['killed', { desired: 'shutdown' }, { State: 'shutdown', Message: 'shutdown' }],
    ['killed', {}, { State: 'failed', Message: 'started', Err: 'task: non-zero exit (137)' }],
    [
      'rejected',
      { message: 'starting container failed: No such image: infinite' },
      { State: 'rejected', Message: 'preparing', Err: 'No such image: eon01/infinite:latest' },
    ],
    [
      'rejected',
      {
        message:
          'starting container failed: unable to get secret from secret store: secret x not found: no image',
      },
      {
        State: 'failed',
        Message: 'starting',
        Err: 'starting container failed: unable to get secret from secret store: secret x not found: no image',
      },
    ],
    [
      'rejected',
      { message: 'starting container failed: OCI runtime create failed: exec: "image": no' },
      {
        State: 'failed',
        Message: 'starting',
        Err: 'starting container failed: OCI runtime create failed: exec: "image": no',
      },
    ],
    [
      'rejected',
      { message: 'Failed to launch container: the image is not there for linux/amd64' },
      { State: 'rejected', Message: 'preparing', Err: 'No such image: eon01/infinite:latest' },
    ],
    [
      'rejected',
      { message: 'starting container failed: no room' },
      { State: 'failed', Message: 'starting', Err: 'starting container failed: no room' },
    ],
    [
      'rejected',
      { message: 'Task uses more resources', taskState: 'TASK_ERROR' },
      { State: 'rejected', Message: 'assigned', Err: 'Task uses more resources' },
    ],
    ['lost', {}, { State: 'orphaned', Message: 'node is gone', Err: '' }],
  ])('that is %s says so in the words of SwarmKit', async (state, more, shown) => {
    const id = await services.create(sentSpec('app'))
    front.master.scene.putTask(id, { slot: '1', state, ...more })
    const [task] = await services.tasks()
    const {
      Timestamp: _at,
      ContainerStatus: _container,
      PortStatus: _ports,
      ...rest
    } = {
      ...(task?.Status as object),
    } as Record<string, unknown>
    expect(rest).toEqual(shown)
  })

  test('is found by what it is of, where it is, and what shall become of it', async () => {
    front.master.scene.addNode('agent-2')
    const app = sentSpec('app', { Mode: { Replicated: { Replicas: 2 } } }, { Labels: { a: 'b' } })
    const id = await services.create(app)
    await services.create(sentSpec('other', { Mode: { Global: {} } }))
    await front.master.scene.settle()
    const all = await services.tasks()
    expect(all).toHaveLength(4)
    const count = async (filters: object): Promise<number> => (await services.tasks(filters)).length

    expect(await count({ service: { app: true } })).toBe(2)
    expect(await count({ service: [id, 'other'] })).toBe(4)
    expect(await count({ node: { 'agent-1': true } })).toBe(2)
    expect(await count({ node: { [all[0]?.NodeID ?? '']: true }, service: { app: true } })).toBe(1)
    expect(await count({ id: { [all[0]?.ID ?? '']: true } })).toBe(1)
    expect(await count({ name: { 'app.1': true } })).toBe(1)
    expect(await count({ label: { 'a=b': true } })).toBe(2)
    expect(await count({ 'desired-state': { running: true } })).toBe(4)
    expect(await count({ 'desired-state': { shutdown: true } })).toBe(0)
    expect(await count({ runtime: { container: true } })).toBe(4)
    expect(await count({ '_up-to-date': { true: true } })).toBe(4)
    const [globalTask] = await services.tasks({ service: { other: true } })
    expect(globalTask).not.toHaveProperty('Slot')
  })

  test.each([
    [{ service: { nosuch: true } }, 404, 'service nosuch not found'],
    [{ node: { nosuch: true } }, 404, 'node nosuch not found'],
    [{ 'desired-state': { odd: true } }, 400, "Invalid desired-state filter: 'odd'"],
    [{ foo: { a: true } }, 400, "Invalid filter 'foo'"],
  ])('is not looked for by %j', async (filters, status, message) => {
    const query = encodeURIComponent(JSON.stringify(filters))
    const answer = await front.ask('GET', `/tasks?filters=${query}`)
    expect([answer.statusCode, answer.json()]).toEqual([status, { message }])
  })

  test('of another face is not shown, and neither is what it is of', async () => {
    const caller = { principal: { uid: 'admin' }, requestId: 'test' }
    const template = {
      command: { value: 'true' },
      resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }],
    }
    const view = await front.master.workloads.create(caller, { name: 'ours', template })
    front.master.scene.putTask(view.id, { slot: '1' })
    expect(await services.tasks()).toEqual([])
    expect((await front.ask('GET', '/services')).json()).toEqual([])
    expect((await front.ask('GET', '/services/ours')).statusCode).toBe(404)
    expect((await front.ask('DELETE', `/services/${view.id}`)).statusCode).toBe(404)
  })

  test('stays in the history of its slot for as long as the swarm says', async () => {
    const TaskTemplate = {
      ContainerSpec: { Image: 'busybox' },
      RestartPolicy: { Condition: 'any', Delay: 0 },
    }
    await services.create(sentSpec('app', { TaskTemplate }))
    for (let failure = 0; failure < 8; failure++) {
      await front.master.scene.settle()
      const [running] = await services.tasks({ 'desired-state': ['running', 'ready'] })
      front.master.scene.end(`app.1.${running?.ID}`)
    }
    await front.master.scene.settle()
    const ended = await services.tasks({ 'desired-state': { shutdown: true } })
    expect(ended).toHaveLength(5)
  })
})

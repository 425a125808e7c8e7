import { ManualClock } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { FakeMaster } from '../../testing/fake-master.ts'
import { callerOf } from '../../testing/people.ts'
import { AccessDenied, SpecInvalid } from '../errors.ts'
import {
  NodeNotFound,
  WorkloadConflict,
  WorkloadExists,
  WorkloadNoPrevious,
  WorkloadNotFound,
} from './errors.ts'
import type { WorkloadChange } from './workload-api.ts'

const admin = callerOf('admin')
const dev = callerOf('dev')
const resources = [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } }]
const command = (secret?: string): object => ({
  value: 'sleep 1000',
  environment: {
    variables:
      secret === undefined
        ? []
        : [
            {
              name: 'S',
              type: 'SECRET',
              secret: { type: 'REFERENCE', reference: { name: secret } },
            },
          ],
  },
})
const spec = (more: object = {}, secret?: string): object => ({
  name: 'web',
  template: { command: command(secret), resources },
  ...more,
})

function withDev(): FakeMaster {
  const master = new FakeMaster()
  master.identity.allow('dev', 'create', 'dcos:mesos:master:task')
  master.identity.allow('dev', 'read', 'dcos:secrets:default:/dev/db')
  return master
}

describe('a workload', () => {
  test('WK1: has every default in its spec, and a version that only changes with it', async () => {
    const { workloads } = new FakeMaster()

    const view = await workloads.create(admin, spec({ mode: { kind: 'replicated' } }))

    expect(view.id).toMatch(/^[0-9a-z]{25}$/)
    expect(view).toMatchObject({ name: 'web', owner: 'admin', templateVersion: 1 })
    expect(view.spec).toMatchObject({
      mode: { kind: 'replicated', replicas: 1 },
      update: { parallelism: 1, order: 'stop-first', failureAction: 'pause' },
    })
    expect((await workloads.get(admin, view.id)).version).toBe(view.version)
    expect(await workloads.get(admin, 'WEB')).toEqual(await workloads.get(admin, view.id))
  })

  test('WK2: has a name that nobody else has, in any case, until it is removed', async () => {
    const { workloads } = new FakeMaster()
    const { id } = await workloads.create(admin, spec())

    await expect(workloads.create(admin, spec({ name: 'Web' }))).rejects.toThrow(WorkloadExists)
    await workloads.remove(admin, id)

    await expect(workloads.get(admin, id)).rejects.toThrow(WorkloadNotFound)
    await expect(workloads.remove(admin, id)).rejects.toThrow(WorkloadNotFound)
    expect(await workloads.list(admin)).toEqual([])
    await workloads.create(admin, spec())
  })

  test('WK3: is changed from the version that was read, and from no other', async () => {
    const { workloads } = new FakeMaster()
    const { id, version } = await workloads.create(admin, spec())

    const scaled = await workloads.scale(admin, id, 3, { expectedVersion: version })

    expect(scaled.version).not.toBe(version)
    expect(scaled).toMatchObject({ templateVersion: 1, counts: { desired: 3, running: 0 } })
    const late = workloads.update(admin, id, spec(), { expectedVersion: version })
    await expect(late).rejects.toThrow(WorkloadConflict)
  })

  test('WK4: numbers its templates, and the one before keeps its number', async () => {
    const { workloads } = new FakeMaster()
    const { id } = await workloads.create(admin, spec())
    const other = spec({ template: { command: { value: 'true' }, resources } })

    const updated = await workloads.update(admin, id, other)
    const back = await workloads.rollback(admin, id)
    const forth = await workloads.update(admin, id, other)
    const forced = await workloads.update(admin, id, { ...other, forceUpdate: 1 })

    const versions = [updated, back, forth, forced].map((view) => view.templateVersion)
    expect(versions).toEqual([2, 1, 2, 3])
    expect(back.previousSpec).toEqual(updated.spec)
    expect(back.update).toMatchObject({
      state: 'rollback-started',
      message: 'manually requested rollback',
    })
    expect(forth.update).toBeUndefined()
  })

  test('WK4: cannot go back to nothing', async () => {
    const { workloads } = new FakeMaster()
    const { id } = await workloads.create(admin, spec())

    await expect(workloads.rollback(admin, id)).rejects.toThrow(WorkloadNoPrevious)
  })

  test.each([
    ['template.command', { template: { resources } }],
    ['template.resources', { template: { command: command() } }],
    ['template', { template: { command: command(), resources, task_id: { value: 'x' } } }],
    ['mode.replicas', { mode: { kind: 'replicated', replicas: -1 } }],
    ['placement.constraints[0]', { placement: { constraints: ['node.color == red'] } }],
    ['placement.constraints[0]', { placement: { constraints: ['zone=a'] } }],
    ['placement.spread[0]', { placement: { spread: ['zone'] } }],
    ['update.order', { update: { order: 'sideways' } }],
  ])('WK5: is refused at %s', async (field, more) => {
    const { workloads } = new FakeMaster()

    const refused = await workloads.create(admin, spec(more)).catch((error: unknown) => error)

    expect(refused).toBeInstanceOf(SpecInvalid)
    expect((refused as SpecInvalid).field).toBe(field)
    expect(await workloads.list(admin)).toEqual([])
  })

  test('WK5: holds no value of a secret', async () => {
    const { workloads } = new FakeMaster()
    const secret = { type: 'VALUE', value: { data: Buffer.from('hunter2').toString('base64') } }
    const variables = [{ name: 'S', type: 'SECRET', secret }]
    const template = { command: { value: 'true', environment: { variables } }, resources }

    const refused = workloads.create(admin, spec({ template }))

    await expect(refused).rejects.toThrow(/create the secret and refer to it/)
  })

  test('WK5: keeps its name and its mode', async () => {
    const { workloads } = new FakeMaster()
    const { id } = await workloads.create(admin, spec())

    await expect(workloads.update(admin, id, spec({ name: 'web2' }))).rejects.toThrow(/^name: /)
    const global = spec({ mode: { kind: 'global' } })
    await expect(workloads.update(admin, id, global)).rejects.toThrow(/^mode: /)
  })

  test('WK6: is for those who may run tasks and read its secrets, and seen by its owner', async () => {
    const { workloads, identity } = withDev()
    await expect(workloads.create(callerOf('guest'), spec())).rejects.toThrow(AccessDenied)
    await expect(workloads.create(dev, spec({}, 'prod/db'))).rejects.toThrow(AccessDenied)

    const { id } = await workloads.create(dev, spec({}, 'dev/db'))
    await expect(workloads.update(dev, id, spec({}, 'prod/db'))).rejects.toThrow(AccessDenied)

    identity.allow('guest', 'create', 'dcos:mesos:master:task')
    await expect(workloads.get(callerOf('guest'), id)).rejects.toThrow(WorkloadNotFound)
    await expect(workloads.remove(callerOf('guest'), id)).rejects.toThrow(WorkloadNotFound)
    expect(await workloads.list(callerOf('guest'))).toEqual([])
    expect(await workloads.list(admin)).toHaveLength(1)
  })

  test('WK7: says which secrets it uses, by its current spec', async () => {
    const { workloads } = new FakeMaster()
    const { id } = await workloads.create(admin, spec({}, 'dev/db'))
    await workloads.create(admin, spec({ name: 'api' }, 'dev/db'))

    expect(await workloads.usedBy(admin, 'dev/db')).toEqual(['api', 'web'])
    await expect(workloads.usedBy(callerOf('guest'), 'dev/db')).rejects.toThrow(AccessDenied)

    await workloads.update(admin, id, spec({}, 'dev/db2'))
    await workloads.remove(admin, 'api')
    expect(await workloads.usedBy(admin, 'dev/db')).toEqual([])
    expect(await workloads.usedBy(admin, 'dev/db2')).toEqual(['web'])
  })

  test('WK8: shows its tasks, each with the spec it was made from', async () => {
    const { workloads, scene } = new FakeMaster()
    const { id } = await workloads.create(admin, spec())
    const old = scene.putTask(id, { slot: '1' })
    await workloads.update(admin, id, spec({}, 'dev/db'))
    const young = scene.putTask(id, { slot: '1', templateVersion: 2 })
    scene.putTask(id, { slot: '10' })
    scene.putTask(id, { slot: '2', state: 'failed', desired: 'shutdown' })

    const tasks = await workloads.tasks(admin, 'web')

    expect(tasks.map(({ slot }) => slot)).toEqual(['1', '1', '2', '10'])
    const specs = new Map(tasks.map((task) => [task.id, JSON.stringify(task.spec)]))
    expect(specs.get(old.id)).not.toContain('dev/db')
    expect(specs.get(young.id)).toContain('dev/db')
    expect(await workloads.task(admin, old.taskId)).toMatchObject({ id: old.id, slot: '1' })
    expect((await workloads.get(admin, id)).counts).toEqual({ desired: 1, running: 3, updated: 1 })
  })

  test('WK9: tells whoever watches of what they may see, once for each tick', async () => {
    const { workloads, scene } = withDev()
    const end = new AbortController()
    const told: WorkloadChange[][] = []
    const mine = await workloads.create(dev, spec())
    const watching = (async () => {
      for await (const changes of workloads.watch(dev, end.signal)) told.push([...changes])
    })()
    await Promise.resolve()

    await workloads.create(admin, spec({ name: 'other' }))
    await workloads.scale(dev, mine.id, 2)
    await workloads.scale(dev, mine.id, 3)
    scene.tick()
    await Promise.resolve()
    const { id } = scene.putTask(mine.id, { slot: '1' })
    scene.tick()
    await new Promise(setImmediate)
    await workloads.remove(dev, mine.id)
    scene.tick()
    await new Promise(setImmediate)
    end.abort()
    await watching

    const changes = told.flat()
    expect(changes.filter(({ kind }) => kind === 'task')).toMatchObject([{ id, view: { id } }])
    const ids = new Set(changes.map((one) => (one.kind === 'task' ? one.workloadId : one.id)))
    expect([...ids]).toEqual([mine.id])
    expect(changes.at(-1)).toEqual({ kind: 'workload', id: mine.id, view: undefined })
  })

  test('WK9: tells of the end of the tasks of a workload that was removed', async () => {
    const { workloads, scene } = new FakeMaster()
    scene.addNode('agent-1')
    const { id } = await workloads.create(admin, spec())
    await scene.settle()
    const [task] = await workloads.tasks(admin, id)
    const end = new AbortController()
    const told: WorkloadChange[] = []
    const watching = (async () => {
      for await (const changes of workloads.watch(admin, end.signal)) told.push(...changes)
    })()
    await Promise.resolve()
    await workloads.remove(admin, id)
    await new Promise(setImmediate)
    for (let round = 0; round < 3; round++) {
      await scene.settle()
      await new Promise(setImmediate)
    }
    end.abort()
    await watching

    expect(told[0]).toEqual({ kind: 'workload', id, view: undefined })
    expect(told.at(-1)).toEqual({ kind: 'task', workloadId: id, id: task?.id, view: undefined })
  })
})

describe('the workloads of a fake master', () => {
  test('WK11: come to rest as they are wanted, by the code of a real one', async () => {
    const { workloads, scene, nodes } = new FakeMaster()
    scene.addNode('agent-1')
    scene.addNode('agent-2')
    const { id } = await workloads.create(
      admin,
      spec({ mode: { kind: 'replicated', replicas: 4 }, restart: { delayMs: 0 } }, 'dev/db'),
    )
    await scene.settle()
    expect((await workloads.get(admin, id)).counts).toEqual({ desired: 4, running: 4, updated: 4 })

    const [task] = await workloads.tasks(admin, id)
    scene.end(task?.taskId ?? '', 'TASK_FAILED', 'Command exited with status 1')
    await scene.settle()
    const [next, last] = await workloads.tasks(admin, id)
    expect(next).toMatchObject({ slot: '1', state: 'running', attempt: 2 })
    expect(last).toMatchObject({ state: 'failed', message: 'Command exited with status 1' })

    await nodes.update(admin, 'agent-1', { availability: 'drain' })
    await scene.settle()
    const running = (await workloads.tasks(admin, id)).filter(({ state }) => state === 'running')
    expect(running.map(({ nodeName }) => nodeName)).toEqual(Array(4).fill('agent-2'))

    await workloads.remove(admin, id)
    await scene.settle()
    expect(await workloads.tasks(admin)).toEqual([])
  })

  test('WK11: are as many as are wanted, more than one transaction holds', async () => {
    const { workloads, scene } = new FakeMaster()
    for (let number = 0; number < 12; number++) scene.addNode(`agent-${number}`)
    const mode = { kind: 'replicated', replicas: 220 }
    const { id } = await workloads.create(admin, spec({ mode }))
    await scene.settle()
    expect((await workloads.get(admin, id)).counts.running).toBe(220)

    await workloads.update(admin, id, spec({ mode, update: { parallelism: 0 } }, 'dev/db'))
    await scene.settle()
    expect((await workloads.get(admin, id)).counts).toEqual({
      desired: 220,
      running: 220,
      updated: 220,
    })
  })
})

const job = (completions: number, more: object = {}): object =>
  spec({ mode: { kind: 'replicated-job', completions, maxConcurrent: 2 }, ...more })

function withNodes(clock = new ManualClock()): FakeMaster {
  const master = new FakeMaster(clock)
  for (const name of ['agent-1', 'agent-2']) master.scene.addNode(name)
  return master
}

/** All that runs of a workload ends well, and so does what runs next. */
async function complete({ scene, workloads }: FakeMaster, id: string): Promise<void> {
  for (let round = 0; round < 10; round++) {
    await scene.settle()
    const tasks = await workloads.tasks(admin, id)
    for (const { taskId, state } of tasks) {
      if (state === 'running') scene.end(taskId, 'TASK_FINISHED')
    }
  }
}

describe('a job', () => {
  test('WK20: says how far it is: what runs, what is left, and what has ended well', async () => {
    const master = withNodes()
    const { workloads, scene } = master
    const { id, createdAtMs } = await workloads.create(admin, job(3))
    await scene.settle()
    const begun = await workloads.get(admin, id)
    expect(begun.counts).toEqual({ desired: 2, running: 2, updated: 2 })
    expect(begun.job).toEqual({
      iteration: 0,
      startedAtMs: createdAtMs,
      total: 3,
      completed: 0,
      failed: 0,
    })
    const [first] = await workloads.tasks(admin, id)
    scene.end(first?.taskId ?? '', 'TASK_FINISHED')
    await scene.settle()
    expect((await workloads.tasks(admin, id)).map(({ slot, desired }) => [slot, desired])).toEqual([
      ['0', 'complete'],
      ['1', 'complete'],
      ['2', 'complete'],
    ])

    await complete(master, id)

    expect(await workloads.get(admin, id)).toMatchObject({
      counts: { desired: 0, running: 0, updated: 0 },
      job: { total: 3, completed: 3, failed: 0 },
    })
  })

  test('WK20: says of what it gave up that it shall not run any more', async () => {
    const { workloads, scene } = withNodes()
    const { id } = await workloads.create(admin, job(2, { restart: { condition: 'none' } }))
    await scene.settle()
    const [task] = await workloads.tasks(admin, id)
    scene.end(task?.taskId ?? '', 'TASK_FAILED')
    await scene.settle()

    expect(await workloads.get(admin, id)).toMatchObject({
      counts: { desired: 1, running: 1 },
      job: { total: 2, completed: 0, failed: 1 },
    })
    expect((await workloads.task(admin, task?.id ?? '')).desired).toBe('shutdown')
  })

  test('WK20: is run anew by each change, from the time on at which it was made', async () => {
    const clock = new ManualClock()
    const master = withNodes(clock)
    const { workloads } = master
    const { id } = await workloads.create(admin, job(1))
    await complete(master, id)

    clock.advance(1000)
    const scaled = await workloads.scale(admin, id, 2)
    expect(scaled.job).toMatchObject({ iteration: 1, total: 2, completed: 0 })
    expect(scaled.job?.startedAtMs).toBe(scaled.updatedAtMs)
    const updated = await workloads.update(admin, id, job(2))
    const back = await workloads.rollback(admin, id)
    expect([updated.job?.iteration, back.job?.iteration]).toEqual([2, 3])

    await complete(master, id)
    expect((await workloads.get(admin, id)).job).toMatchObject({ iteration: 3, completed: 2 })
  })

  test('WK20: on each node has as many to end as nodes that may have it', async () => {
    const master = withNodes()
    const { workloads, nodes, scene } = master
    const { id } = await workloads.create(admin, spec({ mode: { kind: 'global-job' } }))
    await complete(master, id)
    expect((await workloads.get(admin, id)).job).toMatchObject({ total: 2, completed: 2 })

    await nodes.update(admin, 'agent-1', { availability: 'drain' })
    scene.addNode('agent-3')
    await scene.settle()
    expect(await workloads.get(admin, id)).toMatchObject({
      counts: { desired: 1, running: 1 },
      job: { total: 3, completed: 2 },
    })
    await expect(workloads.scale(admin, id, 2)).rejects.toThrow(/one instance on each node/)
  })

  test('WK20: counts among its nodes one that it was to leave, and that has had it all the same', async () => {
    const { workloads, nodes, scene } = withNodes()
    const { id } = await workloads.create(admin, spec({ mode: { kind: 'global-job' } }))
    await nodes.update(admin, 'agent-1', { availability: 'drain' })
    const ended = { desired: 'shutdown', state: 'finished', jobIteration: 0 } as const
    scene.putTask(id, { slot: 'agent-1', ...ended })

    expect((await workloads.get(admin, id)).job).toMatchObject({ total: 2, completed: 1 })
  })

  test('WK20: stays a job, with a secret that it uses as any workload does', async () => {
    const { workloads } = new FakeMaster()
    const mode = { kind: 'replicated-job' }
    const { id } = await workloads.create(admin, spec({ mode }, 'dev/db'))

    expect(await workloads.usedBy(admin, 'dev/db')).toEqual(['web'])
    await expect(workloads.create(admin, spec())).rejects.toThrow(WorkloadExists)
    await expect(workloads.update(admin, id, spec())).rejects.toThrow(/^mode: /)
  })
})

describe('a node', () => {
  test('WK10: is an agent with what an operator says of it', async () => {
    const { nodes, scene } = new FakeMaster()
    scene.addNode('agent-1')
    scene.addNode('agent-2')

    const before = await nodes.get(admin, 'agent-2-S0')
    expect(before).toMatchObject({ name: 'agent-2', availability: 'active', state: 'ready' })
    const change = { availability: 'drain', labels: { zone: 'a' } } as const
    const after = await nodes.update(admin, 'agent-2', change, { expectedVersion: before.version })

    expect(after).toMatchObject({ ...change, role: 'worker', agentId: 'agent-2-S0' })
    const late = nodes.update(admin, 'agent-2', {}, { expectedVersion: before.version })
    await expect(late).rejects.toThrow(WorkloadConflict)
    await expect(nodes.update(admin, 'agent-3', change)).rejects.toThrow(NodeNotFound)
    await expect(nodes.list(dev)).rejects.toThrow(AccessDenied)
    expect((await nodes.list(admin)).map(({ name }) => name)).toEqual(['agent-1', 'agent-2'])
  })
})

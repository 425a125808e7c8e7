import { beforeEach, describe, expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { sentSpec, Services, type TaskShown } from '../testing/services.ts'

interface JobShown {
  readonly Spec: { readonly Mode: object }
  readonly PreviousSpec?: { readonly Mode: object }
  readonly UpdatedAt: string
  readonly UpdateStatus?: object
  readonly JobStatus?: { readonly JobIteration: object; readonly LastExecution: string }
  readonly ServiceStatus?: object
}

let front: Front
let services: Services

beforeEach(async () => {
  front = await new Front().withSwarm()
  services = new Services(front)
  front.master.scene.addNode('agent-1')
  front.master.scene.addNode('agent-2')
})

const settle = (): Promise<void> => front.master.scene.settle()
const job = (ReplicatedJob: object, more: object = {}): object =>
  sentSpec('batch', { Mode: { ReplicatedJob }, ...more })
const restart = (RestartPolicy: object): object => ({
  TaskTemplate: { ContainerSpec: { Image: 'busybox' }, RestartPolicy },
})

const shown = async (asked: string): Promise<JobShown> =>
  (await front.ask('GET', `/services/${asked}`)).json<JobShown>()

async function status(): Promise<object | undefined> {
  const all = (await front.ask('GET', '/services?status=true')).json<JobShown[]>()
  return all[0]?.ServiceStatus
}

/** In the order of their slots, the newest first. */
async function rows(filters: object = {}): Promise<readonly (readonly unknown[])[]> {
  return (await services.tasks(filters)).map((task) => [
    task.Slot,
    task.DesiredState,
    task.Status.State,
    (task as TaskShown & { JobIteration?: object }).JobIteration,
  ])
}

/** The services of a mode. */
const named = async (mode: string): Promise<readonly unknown[]> => {
  const filters = encodeURIComponent(JSON.stringify({ mode: [mode] }))
  const all = (await front.ask('GET', `/services?filters=${filters}`)).json<
    { Spec: { Name: string } }[]
  >()
  return all.map(({ Spec }) => Spec.Name)
}

/** What runs ends so. */
async function end(state: string): Promise<void> {
  const tasks = await front.master.workloads.tasks({ principal: { uid: 'admin' }, requestId: 't' })
  for (const task of tasks) {
    if (task.state === 'running') front.master.scene.end(task.taskId, state)
  }
  await settle()
}

describe('DK47: a replicated job', () => {
  test.each([
    [{}, { MaxConcurrent: 1, TotalCompletions: 1 }],
    [{ MaxConcurrent: 3 }, { MaxConcurrent: 3, TotalCompletions: 3 }],
    [{ TotalCompletions: 3 }, { MaxConcurrent: 1, TotalCompletions: 3 }],
    [
      { MaxConcurrent: null, TotalCompletions: 0 },
      { MaxConcurrent: 1, TotalCompletions: 0 },
    ],
  ])('of %j is stored as %j', async (sent, ReplicatedJob) => {
    const id = await services.create(job(sent))
    expect((await shown(id)).Spec.Mode).toEqual({ ReplicatedJob })
  })

  test('says which run it is in, and since when; nothing else has that', async () => {
    const id = await services.create(job({}))
    await services.create(sentSpec('app'))
    const { JobStatus, UpdatedAt } = await shown(id)
    expect(JobStatus).toEqual({ JobIteration: {}, LastExecution: UpdatedAt })
    expect(await shown('app')).not.toHaveProperty('JobStatus')
  })

  test('numbers its tasks from 0, which is left out, and has as many at once as may be', async () => {
    await services.create(job({ TotalCompletions: 3, MaxConcurrent: 2 }))
    await settle()
    expect(await rows()).toEqual([
      [undefined, 'complete', 'running', {}],
      [1, 'complete', 'running', {}],
    ])
    expect(await status()).toEqual({ RunningTasks: 2, DesiredTasks: 2, CompletedTasks: 0 })

    await end('TASK_FINISHED')
    expect(await rows()).toEqual([
      [undefined, 'complete', 'complete', {}],
      [1, 'complete', 'complete', {}],
      [2, 'complete', 'running', {}],
    ])
    expect(await status()).toEqual({ RunningTasks: 1, DesiredTasks: 2, CompletedTasks: 2 })

    await end('TASK_FINISHED')
    expect(await status()).toEqual({ RunningTasks: 0, DesiredTasks: 2, CompletedTasks: 3 })
  })

  test('calls the container of its task 0 by the node, as others are by their number', async () => {
    await services.create(job({ TotalCompletions: 2, MaxConcurrent: 2 }))
    await settle()
    const tasks = await services.tasks()
    const containers = (await front.ask('GET', '/containers/json')).json<{ Names: string[] }[]>()
    const names = containers.flatMap(({ Names }) => Names).toSorted()
    const expected = tasks.map(({ ID, Slot, NodeID }) => `/batch.${Slot ?? NodeID}.${ID}`)
    expect(names).toEqual(expected.toSorted())
    const [first] = tasks
    const found = await services.tasks({ name: [`batch.${first?.NodeID}`] })
    expect(found.map(({ ID }) => ID)).toEqual([first?.ID])
  })

  test('tries again what failed, under any condition, and what ended well under none', async () => {
    await services.create(job({}, restart({ Condition: 'any', Delay: 5_000_000_000 })))
    await settle()
    await end('TASK_FAILED')
    expect(await rows()).toEqual([
      [undefined, 'ready', 'pending', {}],
      [undefined, 'shutdown', 'failed', {}],
    ])
    expect(await status()).toEqual({ RunningTasks: 0, DesiredTasks: 1, CompletedTasks: 0 })
  })

  test('is run anew by any update, and its tasks of before are of date no more', async () => {
    const id = await services.create(job({ TotalCompletions: 2, MaxConcurrent: 2 }))
    await settle()
    await end('TASK_FINISHED')
    const { Spec } = await services.get(id)

    await services.update(id, { ...Spec, Labels: { a: 'b' } })
    expect(await services.tasks({ '_up-to-date': ['true'] })).toEqual([])
    await settle()

    const after = await shown(id)
    expect(after.JobStatus).toEqual({ JobIteration: { Index: 1 }, LastExecution: after.UpdatedAt })
    expect(after).not.toHaveProperty('UpdateStatus')
    expect(await rows()).toEqual([
      [undefined, 'complete', 'running', { Index: 1 }],
      [undefined, 'complete', 'complete', {}],
      [1, 'complete', 'running', { Index: 1 }],
      [1, 'complete', 'complete', {}],
    ])
    expect(await rows({ '_up-to-date': ['true'] })).toHaveLength(2)
    expect(await status()).toEqual({ RunningTasks: 2, DesiredTasks: 2, CompletedTasks: 0 })
  })

  test('goes back to the spec before by running that anew', async () => {
    const id = await services.create(job({ TotalCompletions: 1 }))
    const { Spec } = await services.get(id)
    const scaled = { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 5 } }
    await services.update(id, { ...Spec, Mode: scaled })
    const now = await services.get(id)
    await services.update(id, now.Spec, '&rollback=previous')

    expect(await shown(id)).toMatchObject({
      Spec,
      PreviousSpec: { Mode: scaled },
      UpdateStatus: { State: 'rollback_started', Message: 'manually requested rollback' },
      JobStatus: { JobIteration: { Index: 2 } },
    })
  })

  test('may say how it would go back, and not how it is updated', async () => {
    const id = await services.create(job({}, { RollbackConfig: { Parallelism: 1 } }))
    const { Spec } = await services.get(id)
    const refused = await services.update(id, { ...Spec, UpdateConfig: { Parallelism: 1 } })
    expect([refused.statusCode, refused.json()]).toEqual([
      400,
      { message: 'rpc error: code = InvalidArgument desc = Jobs may not have an update config' },
    ])
  })

  test('does not become what is no job', async () => {
    const id = await services.create(job({}))
    const { Spec } = await services.get(id)
    const refused = await services.update(id, { ...Spec, Mode: { Replicated: {} } })
    expect([refused.statusCode, refused.json()]).toEqual([
      501,
      { message: 'rpc error: code = Unimplemented desc = service mode change is not allowed' },
    ])
  })

  test('keeps the secrets that it names, also when it is complete', async () => {
    const id = await services.secret('key')
    const Secrets = [
      { SecretID: id, SecretName: 'key', File: { Name: 'key', UID: '0', GID: '0', Mode: 0o400 } },
    ]
    await services.create(sentSpec('batch', { Mode: { ReplicatedJob: {} } }, { Secrets }))
    await settle()
    await end('TASK_FINISHED')
    const kept = await front.ask('DELETE', '/secrets/key')
    expect(kept.statusCode).toBe(400)
    expect(kept.json<{ message: string }>().message).toContain("secret 'key' is in use by")
  })
})

describe('DK47: a global job', () => {
  test('has one task on each node, by no number, and on nodes that come later', async () => {
    await services.create(sentSpec('batch', { Mode: { GlobalJob: {} } }))
    await settle()
    expect((await shown('batch')).Spec.Mode).toEqual({ GlobalJob: {} })
    expect(await status()).toEqual({ RunningTasks: 2, DesiredTasks: 2, CompletedTasks: 0 })
    await end('TASK_FINISHED')
    expect(await status()).toEqual({ RunningTasks: 0, DesiredTasks: 0, CompletedTasks: 2 })

    front.master.scene.addNode('agent-3')
    await settle()

    expect(await status()).toEqual({ RunningTasks: 1, DesiredTasks: 1, CompletedTasks: 2 })
    expect(await rows()).toEqual([
      [undefined, 'complete', 'complete', {}],
      [undefined, 'complete', 'complete', {}],
      [undefined, 'complete', 'running', {}],
    ])
  })

  test('shows no task of a run before', async () => {
    const id = await services.create(sentSpec('batch', { Mode: { GlobalJob: {} } }))
    await settle()
    await end('TASK_FINISHED')
    const { Spec } = await services.get(id)
    await services.update(id, { ...Spec, Labels: { a: 'b' } })
    await settle()
    const running = [undefined, 'complete', 'running', { Index: 1 }]
    expect(await rows()).toEqual([running, running])
  })

  test('desires nothing where a task waits to be tried again, as in the original', async () => {
    const spec = { Mode: { GlobalJob: {} }, ...restart({ Delay: 5_000_000_000 }) }
    await services.create(sentSpec('batch', spec))
    await settle()
    await end('TASK_FAILED')
    expect(await status()).toEqual({ RunningTasks: 0, DesiredTasks: 0, CompletedTasks: 0 })
  })
})

describe('DK47: jobs', () => {
  test('are listed by their modes', async () => {
    await services.create(job({}))
    await services.create(sentSpec('each', { Mode: { GlobalJob: {} } }))
    await services.create(sentSpec('app'))
    expect(await named('replicated-job')).toEqual(['batch'])
    expect(await named('global-job')).toEqual(['each'])
    expect(await named('replicated')).toEqual(['app'])
  })

  test('are not known to who speaks an API before 1.41: what they ask for is one task that runs on', async () => {
    const created = await front.ask('POST', '/v1.40/services/create', job({ TotalCompletions: 3 }))
    expect(created.statusCode).toBe(201)
    const service = await shown('batch')
    expect(service.Spec.Mode).toEqual({ Replicated: { Replicas: 1 } })
    expect(service).not.toHaveProperty('JobStatus')

    const id = await services.create(sentSpec('each', { Mode: { GlobalJob: {} } }))
    const { Spec, Version } = await services.get(id)
    const path = `/v1.40/services/${id}/update?version=${Version.Index}`
    const refused = await front.ask('POST', path, Spec)
    expect([refused.statusCode, refused.json()]).toEqual([
      501,
      { message: 'rpc error: code = Unimplemented desc = service mode change is not allowed' },
    ])
    // They see it all the same.
    expect((await front.ask('GET', '/v1.40/services/each')).json()).toHaveProperty('JobStatus')
  })

  test('end when they are removed', async () => {
    const id = await services.create(job({ MaxConcurrent: 2 }))
    await settle()
    expect((await front.ask('DELETE', `/services/${id}`)).statusCode).toBe(200)
    await settle()
    expect(await services.tasks()).toEqual([])
    expect((await front.ask('GET', '/containers/json?all=true')).json()).toEqual([])
  })
})

import { beforeEach, describe, expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { secretReference, sentSpec, Services } from '../testing/services.ts'

let front: Front
let services: Services

beforeEach(async () => {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  services = new Services(front)
})

describe('DK9: a service', () => {
  test('is created, and read back as it was written, with what the Engine stores beside', async () => {
    const secret = await services.secret('my_secret')
    const Secrets = [secretReference(secret, 'my_secret')]
    const sent = sentSpec('my_test_app', {}, { Secrets })

    const answer = await front.ask('POST', '/v1.41/services/create', sent)

    expect(answer.statusCode).toBe(201)
    const { ID } = answer.json<{ ID: string }>()
    expect(answer.json()).toEqual({ ID: expect.stringMatching(/^[0-9a-z]{25}$/) as string })
    expect(await services.get('my_test_app')).toEqual({
      ID,
      Version: { Index: expect.any(Number) as number },
      CreatedAt: expect.stringMatching(/Z$/) as string,
      UpdatedAt: expect.stringMatching(/Z$/) as string,
      Spec: {
        Name: 'my_test_app',
        Labels: {},
        TaskTemplate: {
          ContainerSpec: {
            Image: 'eon01/infinite:latest',
            Init: false,
            DNSConfig: {},
            Secrets,
            Isolation: 'default',
          },
          Resources: { Limits: {}, Reservations: {} },
          Placement: {},
          ForceUpdate: 0,
          Runtime: 'container',
        },
        Mode: { Replicated: { Replicas: 1 } },
        EndpointSpec: { Mode: 'vip' },
      },
      Endpoint: { Spec: {} },
    })
  })

  test('is shown with the defaults that nobody wrote to whoever asks for them', async () => {
    const id = await services.create(sentSpec('app'))
    const { Spec } = await services.get(id, '?insertDefaults=true')
    const change = {
      Parallelism: 1,
      FailureAction: 'pause',
      Monitor: 5e9,
      MaxFailureRatio: 0,
      Order: 'stop-first',
    }
    expect(Spec).toMatchObject({
      TaskTemplate: {
        ContainerSpec: { StopGracePeriod: 10e9 },
        RestartPolicy: { Condition: 'any', Delay: 5e9, MaxAttempts: 0 },
      },
      UpdateConfig: change,
      RollbackConfig: change,
    })
    expect((await services.get(id, '?insertDefaults=false')).Spec).not.toHaveProperty(
      'UpdateConfig',
    )
  })

  test('is said to have no volumes, once it is written', async () => {
    const Mounts = [
      { Type: 'volume', Source: 'data', Target: '/data' },
      { Type: 'tmpfs', Target: '/tmp' },
    ]
    const answer = await front.ask('POST', '/services/create', sentSpec('app', {}, { Mounts }))
    expect(answer.json()).toEqual({
      ID: expect.any(String) as string,
      Warnings: [expect.stringMatching(/^nothing is mounted at \/data/) as string],
    })
  })

  test('keeps its networks by their ids, whatever they were called by', async () => {
    const network = { Name: 'front', Driver: 'overlay' }
    const { Id } = (await front.ask('POST', '/networks/create', network)).json<{ Id: string }>()
    const task = {
      TaskTemplate: {
        ContainerSpec: { Image: 'busybox' },
        Networks: [{ Target: 'front', Aliases: ['web'] }],
      },
    }
    const id = await services.create(sentSpec('app', task))
    expect(await services.get(id)).toMatchObject({
      Spec: { TaskTemplate: { Networks: [{ Target: Id, Aliases: ['web'] }] } },
    })
    const none = { TaskTemplate: { ...task.TaskTemplate, Networks: [{ Target: 'nosuch' }] } }
    const refused = await front.ask('POST', '/services/create', sentSpec('other', none))
    expect([refused.statusCode, refused.json()]).toEqual([
      404,
      { message: 'network nosuch not found' },
    ])
  })

  test('is found by its id, its name in any case, and how its id begins', async () => {
    const id = await services.create(sentSpec('My_App'))
    for (const asked of [id, 'my_app', id.slice(0, 20)]) {
      expect((await services.get(asked)).ID).toBe(id)
    }
    const nothing = await front.ask('GET', '/services/nosuch')
    expect([nothing.statusCode, nothing.json()]).toEqual([
      404,
      { message: 'service nosuch not found' },
    ])
  })

  test('has a status that counts its tasks', async () => {
    await services.create(sentSpec('app', { Mode: { Replicated: { Replicas: 2 } } }))
    const status = async (): Promise<unknown> =>
      (await front.ask('GET', '/services?status=true')).json<{ ServiceStatus: unknown }[]>()[0]
        ?.ServiceStatus
    expect(await status()).toEqual({ RunningTasks: 0, DesiredTasks: 2, CompletedTasks: 0 })
    await front.master.scene.settle()
    expect(await status()).toEqual({ RunningTasks: 2, DesiredTasks: 2, CompletedTasks: 0 })
    const [plain] = (await front.ask('GET', '/services')).json<object[]>()
    expect(plain).not.toHaveProperty('ServiceStatus')
  })

  test('is removed', async () => {
    const id = await services.create(sentSpec('app'))
    const removed = await front.ask('DELETE', '/services/app')
    expect([removed.statusCode, removed.body]).toEqual([200, ''])
    expect((await front.ask('GET', `/services/${id}`)).statusCode).toBe(404)
    expect((await front.ask('DELETE', '/services/app')).statusCode).toBe(404)
  })
})

describe('DK10: a task', () => {
  test('is shown with its node, its container and the spec that it was made from', async () => {
    const id = await services.create(sentSpec('app'))
    expect(await services.tasks()).toEqual([])
    await front.master.scene.settle()
    const [task] = await services.tasks({ service: { app: true } })
    expect(task).toMatchObject({
      ServiceID: id,
      Slot: 1,
      NodeID: expect.stringMatching(/^[0-9a-z]{25}$/) as string,
      DesiredState: 'running',
      Status: {
        State: 'running',
        Message: 'started',
        ContainerStatus: {
          ContainerID: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
          ExitCode: 0,
        },
        PortStatus: {},
      },
      Spec: { ContainerSpec: { Image: 'eon01/infinite:latest', Isolation: 'default' } },
    })
    expect(task?.Spec).not.toHaveProperty('Runtime')
    expect((await front.ask('GET', `/tasks/${task?.ID}`)).json()).toEqual(task)
  })
})

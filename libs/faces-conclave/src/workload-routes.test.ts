import type { WorkloadView } from '@conclave/actors'
import { eventsOf } from '@conclave/runtime'
import { canary, expectNoLeak } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

const spec = {
  name: 'web',
  template: {
    resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } }],
    command: {
      value: 'sleep 1000',
      environment: {
        variables: [
          {
            name: 'S',
            type: 'SECRET',
            secret: { type: 'REFERENCE', reference: { name: 'dev/db' } },
          },
        ],
      },
    },
  },
}

async function created(front: Front): Promise<WorkloadView> {
  const answer = await front.ask('POST', '/conclave/v1/workloads', { body: spec })
  expect(answer.status).toBe(201)
  return answer.json as WorkloadView
}

describe('workloads', () => {
  test('are created, listed, shown, changed, taken back and removed', async () => {
    const front = new Front()
    const { id, version } = await created(front)
    front.master.scene.putTask(id, { slot: '1' })

    const scaled = await front.ask(
      'POST',
      `/conclave/v1/workloads/web/scale?replicas=2&version=${version}`,
    )
    const forced = { ...spec, forceUpdate: 1 }
    const updated = await front.ask('PUT', `/conclave/v1/workloads/${id}`, { body: forced })
    const back = await front.ask('POST', `/conclave/v1/workloads/${id}/rollback`)
    const tasks = await front.ask('GET', '/conclave/v1/workloads/web/tasks')
    const list = await front.ask('GET', '/conclave/v1/workloads')
    const users = await front.ask('GET', '/conclave/v1/workload-users?secret=dev/db')
    const removed = await front.ask('DELETE', '/conclave/v1/workloads/web')

    expect(scaled.json).toMatchObject({ counts: { desired: 2 } })
    expect(updated.json).toMatchObject({ templateVersion: 2 })
    expect(back.json).toMatchObject({ templateVersion: 1, update: { state: 'rollback-started' } })
    expect(tasks.json).toMatchObject({ tasks: [{ slot: '1', state: 'running' }] })
    expect(list.json).toMatchObject({ workloads: [{ id }] })
    expect(users.json).toEqual({ workloads: ['web'] })
    expect(removed.status).toBe(204)
    expect((await front.ask('GET', `/conclave/v1/workloads/${id}`)).status).toBe(404)
  })

  test('CF12: of very many values, or very deep ones, are refused before anybody looks at them', async () => {
    const front = new Front()
    const labels = Object.fromEntries(Array.from({ length: 20_001 }, (_, at) => [`l${at}`, '']))
    let deep: object = {}
    for (let depth = 0; depth < 100; depth++) deep = { deep }
    const refusals = await Promise.all(
      [{ ...spec, labels }, deep].map((body) =>
        front.ask('POST', '/conclave/v1/workloads', { body }),
      ),
    )

    expect(refusals.map(({ status, json }) => [status, json])).toEqual(
      ['has more than 20000 values', 'is nested deeper than 100'].map((fault) => [
        400,
        { error: { code: 'request.invalid', message: `the body ${fault}: send less at once` } },
      ]),
    )
  })

  test('CF12: are refused by field, version and number', async () => {
    const front = new Front()
    const { version } = await created(front)
    const ask = front.ask.bind(front)
    const late = `/conclave/v1/workloads/web?version=${version + 1}`

    const refusals = [
      await ask('POST', '/conclave/v1/workloads', { body: { ...spec, restart: { delayMs: -1 } } }),
      await ask('POST', '/conclave/v1/workloads', { body: spec }),
      await ask('PUT', late, { body: spec }),
      await ask('POST', '/conclave/v1/workloads/web/rollback'),
      await ask('POST', '/conclave/v1/workloads/web/scale?replicas=many'),
      await ask('POST', '/conclave/v1/workloads/web/scale'),
      await ask('POST', '/conclave/v1/workloads', { body: 'no json' }),
      await ask('GET', '/conclave/v1/workloads/api'),
    ]

    const codes = refusals.map(({ json }) => (json as { error: { code: string } }).error.code)
    expect(refusals.map(({ status }) => status)).toEqual([422, 409, 409, 409, 400, 400, 400, 404])
    expect(codes).toEqual([
      'spec.invalid',
      'workload.exists',
      'workload.version-conflict',
      'workload.no-previous',
      'request.invalid',
      'request.invalid',
      'request.invalid',
      'workload.not-found',
    ])
  })

  test('CF12: that hold a value are refused without a word of it', async () => {
    const front = new Front()
    const value = canary('inline')
    const secret = { type: 'VALUE', value: { data: Buffer.from(value.text).toString('base64') } }
    const environment = { variables: [{ name: 'S', type: 'SECRET', secret }] }
    const template = { ...spec.template, command: { value: 'true', environment } }

    const answer = await front.ask('POST', '/conclave/v1/workloads', {
      body: { ...spec, template },
    })

    expect(answer.status).toBe(422)
    expectNoLeak({ answer, log: front.log.text }, [value])
  })

  test('tell of what changes', async () => {
    const front = new Front()
    const { id } = await created(front)
    const { body } = await front.stream('/conclave/v1/workload-changes')
    const events = eventsOf(body)
    await front.ask('POST', '/conclave/v1/workloads/web/scale?replicas=2')

    const { value } = await events.next()

    expect(JSON.parse(value?.data ?? '')).toMatchObject([
      { kind: 'workload', id, view: { counts: { desired: 2 } } },
    ])
    await front.close()
  })
})

describe('nodes', () => {
  test('are listed, shown and changed by operators', async () => {
    const front = new Front()
    front.master.scene.addNode('agent-1')
    const url = '/conclave/v1/nodes/agent-1'

    const drained = await front.ask('PATCH', url, { body: { availability: 'drain' } })
    const list = await front.ask('GET', '/conclave/v1/nodes')

    expect(drained.json).toMatchObject({ name: 'agent-1', availability: 'drain', role: 'worker' })
    expect(list.json).toMatchObject({ nodes: [{ name: 'agent-1', availability: 'drain' }] })
    expect((await front.ask('GET', url, { as: 'guest' })).status).toBe(403)
    expect((await front.ask('PATCH', url, { body: { hostname: 'x' } })).status).toBe(400)
    expect((await front.ask('PATCH', url, { body: { availability: 'off' } })).status).toBe(422)
    expect((await front.ask('PATCH', `${url}?version=1`, { body: {} })).status).toBe(409)
  })
})

import { beforeEach, describe, expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { secretReference, sentSpec, Services } from '../testing/services.ts'

let front: Front
let services: Services
let first: string
let second: string
let id: string

const withSecret = (secret: string, name: string): object =>
  sentSpec(
    'app',
    { UpdateConfig: { Parallelism: 1, Monitor: 1 } },
    { Secrets: [secretReference(secret, name, 'password')] },
  )

beforeEach(async () => {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  services = new Services(front)
  first = await services.secret('first')
  second = await services.secret('second')
  id = await services.create(withSecret(first, 'first'))
  await front.master.scene.settle()
})

const remove = (name: string) => front.ask('DELETE', `/secrets/${name}`)

describe('DK12: an update', () => {
  test('replaces tasks when the template differs, and keeps the spec from before', async () => {
    const before = await services.get(id)

    const answer = await services.update(id, withSecret(second, 'second'))

    expect([answer.statusCode, answer.json()]).toEqual([200, { Warnings: null }])
    expect(await services.get(id)).toMatchObject({
      Spec: { TaskTemplate: { ContainerSpec: { Secrets: [{ SecretID: second }] } } },
      PreviousSpec: before.Spec,
    })
    expect(await services.get(id)).not.toHaveProperty('UpdateStatus')
    await front.master.scene.settle()
    const tasks = await services.tasks({ service: { app: true } })
    expect(tasks.map(({ DesiredState, Status }) => [DesiredState, Status.State])).toEqual([
      ['running', 'running'],
      ['shutdown', 'shutdown'],
    ])
    const current = await services.tasks({ service: [id], '_up-to-date': { true: true } })
    expect(current.map(({ ID }) => ID)).toEqual([tasks[0]?.ID])
    expect((await services.get(id)).UpdateStatus).toMatchObject({
      State: 'updating',
      Message: 'update in progress',
    })
  })

  test('that leaves the template alone replaces nothing, and is an update all the same', async () => {
    const before = await services.get(id)
    const answer = await services.update(id, before.Spec)
    expect(answer.statusCode).toBe(200)
    await front.master.scene.settle()
    expect(await services.tasks()).toHaveLength(1)
    const after = await services.get(id)
    expect(after.Version.Index).toBeGreaterThan(before.Version.Index)
    expect(after).not.toHaveProperty('UpdateStatus')
  })

  test('scales', async () => {
    const { Spec } = await services.get(id)
    await services.update(id, { ...Spec, Mode: { Replicated: { Replicas: 3 } } })
    await front.master.scene.settle()
    const tasks = await services.tasks({ 'desired-state': { running: true } })
    expect(tasks.map(({ Slot }) => Slot)).toEqual([1, 2, 3])
  })

  test('has to know the version that it changes', async () => {
    const late = await front.ask(
      'POST',
      `/services/${id}/update?version=1`,
      withSecret(first, 'first'),
    )
    expect([late.statusCode, late.json()]).toEqual([
      500,
      { message: 'rpc error: code = Unknown desc = update out of sequence' },
    ])
    const none = await front.ask('POST', `/services/${id}/update`, withSecret(first, 'first'))
    expect([none.statusCode, none.json()]).toEqual([
      400,
      { message: `invalid service version '': strconv.ParseUint: parsing "": invalid syntax` },
    ])
  })

  test.each([
    ['name', { Name: 'other' }, 'renaming services is not supported'],
    ['mode', { Mode: { Global: {} } }, 'service mode change is not allowed'],
  ])('does not change a %s', async (_what, more, text) => {
    const { Spec } = await services.get(id)
    const refused = await services.update(id, { ...Spec, ...more })
    expect([refused.statusCode, refused.json()]).toEqual([
      501,
      { message: `rpc error: code = Unimplemented desc = ${text}` },
    ])
  })

  test.each([
    ['registryAuthFrom=elsewhere', 'unsupported registryAuthFrom value'],
    ['registryAuthFrom=previous-spec', 'service does not have a previous spec'],
    ['rollback=further', 'unrecognized rollback option further'],
  ])('with %s is refused', async (query, message) => {
    const { Spec } = await services.get(id)
    const refused = await services.update(id, Spec, `&${query}`)
    expect([refused.statusCode, refused.json()]).toEqual([400, { message }])
  })

  test('goes back, and says in the Engine’s words that it was asked to', async () => {
    await services.update(id, withSecret(second, 'second'))
    const { Spec } = await services.get(id)
    const back = await services.update(id, Spec, '&rollback=previous')
    expect([back.statusCode, back.json()]).toEqual([200, { Warnings: null }])
    expect(await services.get(id)).toMatchObject({
      Spec: { TaskTemplate: { ContainerSpec: { Secrets: [{ SecretID: first }] } } },
      PreviousSpec: Spec,
      UpdateStatus: { State: 'rollback_started', Message: 'manually requested rollback' },
    })
  })

  test('goes nowhere back from the first spec', async () => {
    const { Spec } = await services.get(id)
    const back = await services.update(id, Spec, '&rollback=previous')
    expect([back.statusCode, back.json()]).toEqual([
      400,
      {
        message: `rpc error: code = FailedPrecondition desc = service ${id} does not have a previous spec`,
      },
    ])
  })
})

describe('DK13: a secret that services use', () => {
  test('stays as long as one of them names it, and no longer', async () => {
    const used = await remove('first')
    expect([used.statusCode, used.json()]).toEqual([
      400,
      {
        message:
          "rpc error: code = InvalidArgument desc = secret 'first' is in use by the following service: app",
      },
    ])
    await services.create(sentSpec('other', {}, { Secrets: [secretReference(first, 'first')] }))
    expect((await remove('first')).json<{ message: string }>().message).toMatch(
      /following services: app, other$/,
    )
    await front.ask('DELETE', '/services/other')
    await services.update(id, withSecret(second, 'second'))
    expect((await remove('first')).statusCode).toBe(204)
  })

  test('that goes while a service is being made of it is not found', async () => {
    const { nodes, secrets } = front.master
    const list = nodes.list.bind(nodes)
    const gone = await services.secret('third')
    // The last thing that is looked at before the service is kept.
    nodes.list = async (caller) => {
      await secrets.delete(caller, 'third', { ifUnused: true })
      nodes.list = list
      return list(caller)
    }
    const spec = sentSpec('late', {}, { Secrets: [secretReference(gone, 'third')] })
    const refused = await front.ask('POST', '/services/create', spec)
    expect([refused.statusCode, refused.json()]).toEqual([
      400,
      { message: 'rpc error: code = InvalidArgument desc = secret not found: third' },
    ])
    expect((await front.ask('GET', '/services/late')).statusCode).toBe(404)
  })

  test('is said to be needed for a way back, when it goes and when the way is taken', async () => {
    await services.update(id, withSecret(second, 'second'))
    const removed = await remove('first')
    expect(removed.headers['warning']).toBe(
      '299 - "service app cannot be rolled back any more: its former spec needs secret first"',
    )
    const { Spec } = await services.get(id)
    const back = await services.update(id, Spec, '&rollback=previous')
    expect([back.statusCode, back.json()]).toEqual([
      200,
      {
        Warnings: [
          'secret first was removed, and the spec that is rolled back to needs it: its tasks will not start',
        ],
      },
    ])
  })

  test('goes without a word when no service could go back to it', async () => {
    await services.secret('third')
    expect((await remove('third')).headers['warning']).toBeUndefined()
  })
})

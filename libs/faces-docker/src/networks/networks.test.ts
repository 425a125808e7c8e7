import { beforeEach, describe, expect, test } from 'vitest'
import { callerOf } from '@conclave/actors/testing'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'
import type { NetworkObject } from './network-object.ts'
import { resolveNetworks } from './resolve-networks.ts'

let front: Front
const caller = callerOf('admin')

beforeEach(async () => {
  front = await new Front().withSwarm()
})

const list = async (filters: object = {}): Promise<readonly string[]> => {
  const query = encodeURIComponent(JSON.stringify(filters))
  const answer = await front.ask('GET', `/networks?filters=${query}`)
  return answer.json<NetworkObject[]>().map(({ Name }) => Name)
}

const create = async (body: object): Promise<string> => {
  const answer = await front.ask('POST', '/networks/create', body)
  expect(answer.statusCode).toBe(201)
  return answer.json<{ Id: string }>().Id
}

const overlay = (name: string, more: object = {}): object => ({
  Name: name,
  Driver: 'overlay',
  Labels: { 'com.docker.stack.namespace': 'st1' },
  CheckDuplicate: true,
  ...more,
})

const builtIn = ['bridge', 'docker_gwbridge', 'host', 'ingress', 'none']

describe('DK28: networks', () => {
  test('are those that every Engine has, and those that were made', async () => {
    expect(await list()).toEqual(builtIn)
    const Id = await create(overlay('st1_default'))
    expect(Id).toMatch(/^[0-9a-z]{25}$/)
    expect(await list({ label: ['com.docker.stack.namespace=st1'] })).toEqual(['st1_default'])
    expect((await front.ask('GET', '/networks/st1_default')).json()).toEqual({
      Name: 'st1_default',
      Id,
      Created: expect.stringMatching(/Z$/) as string,
      Scope: 'swarm',
      Driver: 'overlay',
      EnableIPv6: false,
      IPAM: {
        Driver: 'default',
        Options: null,
        Config: [{ Subnet: '10.0.1.0/24', Gateway: '10.0.1.1' }],
      },
      Internal: false,
      Attachable: false,
      Ingress: false,
      ConfigFrom: { Network: '' },
      ConfigOnly: false,
      Containers: null,
      Options: {},
      Labels: { 'com.docker.stack.namespace': 'st1' },
    })
  })

  test.each([
    [{ type: ['custom'] }, ['apart', 'st1_default']],
    [{ scope: ['swarm'] }, ['ingress', 'st1_default']],
    [{ driver: ['bridge'], type: ['custom'] }, ['apart']],
    [{ name: ['st1'] }, ['st1_default']],
    [{ dangling: ['true'] }, ['apart', 'st1_default']],
  ])('are listed as %j asks', async (filters, expected) => {
    await create(overlay('st1_default'))
    expect(await create({ Name: 'apart' })).toMatch(/^[0-9a-f]{64}$/)
    expect(await list(filters)).toEqual(expected)
  })

  test('have subnets of their own', async () => {
    await create(overlay('one'))
    await create(overlay('two'))
    await create(overlay('own', { IPAM: { Config: [{ Subnet: '10.9.0.0/24' }] } }))
    const all = (await front.ask('GET', '/networks')).json<NetworkObject[]>()
    const subnetOf = (name: string): unknown =>
      all.find(({ Name }) => Name === name)?.IPAM.Config?.[0]?.['Subnet']
    expect(['one', 'two', 'own'].map(subnetOf)).toEqual([
      '10.0.1.0/24',
      '10.0.2.0/24',
      '10.9.0.0/24',
    ])
  })

  test.each([
    [{ Name: 'taken' }, 409, 'network with name taken already exists'],
    [{ Name: 'bridge' }, 403, 'operation is not permitted on predefined bridge network '],
    [
      { Name: '../x' },
      400,
      'invalid network name: ../x: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed',
    ],
    [
      { Name: 'x', Driver: 'overlay', IPAM: { Config: [{ Subnet: '10.1.0.0/33' }] } },
      400,
      'invalid network config:\ninvalid subnet 10.1.0.0/33: invalid CIDR block notation',
    ],
    [{ Name: 'x', Driver: 'weave' }, 404, 'plugin "weave" not found'],
    [
      { Name: 'x', Driver: 'overlay', Ingress: true },
      409,
      'ingress network already exists: it comes with the swarm',
    ],
  ])('%j is refused', async (body, status, message) => {
    await create({ Name: 'taken' })
    const answer = await front.ask('POST', '/networks/create', body)
    expect([answer.statusCode, answer.json()]).toEqual([status, { message }])
  })

  test('of a swarm are not made before there is one', async () => {
    front = new Front()
    const answer = await front.ask('POST', '/networks/create', overlay('x'))
    expect(answer.statusCode).toBe(503)
    expect(await list()).toEqual(['bridge', 'host', 'none'])
  })

  test('are removed, but for those in use and those that are always there', async () => {
    const Id = await create(overlay('st1_default'))
    front.master.scene.addNode('agent-1')
    const services = new Services(front)
    const Networks = [{ Target: 'st1_default', Aliases: ['web'] }]
    const service = await services.create(sentSpec('app', { Networks }))
    const { Spec } = await services.get(service)
    expect(Spec).toMatchObject({ Networks: [{ Target: Id, Aliases: ['web'] }] })
    const refused = await front.ask('DELETE', '/networks/st1_default')
    expect([refused.statusCode, refused.json<{ message: string }>().message]).toEqual([
      400,
      `rpc error: code = FailedPrecondition desc = network ${Id} is in use by service ${service}`,
    ])
    expect(await list({ dangling: ['true'] })).toEqual([])
    await front.ask('DELETE', `/services/${service}`)

    const removed = await front.ask('DELETE', `/networks/${Id}`)
    expect([removed.statusCode, removed.body]).toEqual([204, ''])
    expect(await list()).toEqual(builtIn)
    const predefined = await front.ask('DELETE', '/networks/ingress')
    expect(predefined.statusCode).toBe(403)
    const gone = await front.ask('DELETE', '/networks/st1_default')
    expect([gone.statusCode, gone.json()]).toEqual([
      404,
      { message: 'network st1_default not found' },
    ])
  })

  test('that nobody uses can be swept away', async () => {
    await create(overlay('one'))
    await create(overlay('two', { Labels: { keep: 'me' } }))
    const only = encodeURIComponent(JSON.stringify({ label: ['keep=me'] }))
    const swept = await front.ask('POST', `/networks/prune?filters=${only}`)
    expect(swept.json()).toEqual({ NetworksDeleted: ['two'] })
    expect(await list({ type: ['custom'] })).toEqual(['one'])
  })

  test('have nobody in them', async () => {
    await create(overlay('one'))
    const answer = await front.ask('POST', '/networks/one/connect', { Container: 'x' })
    expect(answer.statusCode).toBe(501)
  })
})

const specOf = (Target: string): object => {
  const ContainerSpec = { Image: 'redis' }
  const TaskTemplate = { ContainerSpec, Networks: [{ Target }] }
  return sentSpec('app', { TaskTemplate })
}

const resolve = (Target: string): Promise<unknown> =>
  resolveNetworks(front.engine, caller, [{ Target }])

describe('DK28: the networks of a service', () => {
  test('are kept by id, and with what else was said of each', async () => {
    const Id = await create(overlay('st1_default'))
    const asked = [
      { Target: 'st1_default', Aliases: ['web'] },
      { Target: Id.slice(0, 8) },
      { Target: 'host' },
    ]
    const resolved = await resolveNetworks(front.engine, caller, asked)
    expect(resolved.slice(0, 2)).toEqual([{ Target: Id, Aliases: ['web'] }, { Target: Id }])
    expect(resolved[2]?.Target).toMatch(/^[0-9a-f]{64}$/)
  })

  test('may be named by its tasks, too, and have to be there', async () => {
    const Id = await create(overlay('st1_default'))
    front.master.scene.addNode('agent-1')
    const refused = await front.ask('POST', '/services/create', specOf('nosuch'))
    expect([refused.statusCode, refused.json()]).toEqual([
      404,
      { message: 'network nosuch not found' },
    ])
    const services = new Services(front)
    const { Spec } = await services.get(await services.create(specOf('st1_default')))
    expect(Spec).toMatchObject({ TaskTemplate: { Networks: [{ Target: Id }] } })
  })

  test('have to be there, and to be of the swarm', async () => {
    await create({ Name: 'apart' })
    await expect(resolve('nosuch')).rejects.toMatchObject({
      status: 404,
      message: 'network nosuch not found',
    })
    await expect(resolve('')).rejects.toMatchObject({ status: 404 })
    await expect(resolve('apart')).rejects.toMatchObject({ status: 403 })
  })
})

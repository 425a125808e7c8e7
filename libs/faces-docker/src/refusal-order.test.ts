import { beforeEach, describe, expect, test } from 'vitest'
import { base64, Front } from './testing/front.ts'
import { secretReference, sentSpec, Services, type ServiceShown } from './testing/services.ts'

/*
 * Where several things are wrong at once, clients are told the one that dockerd and SwarmKit find first. Each was asked
 * of a dockerd 20.10, too.
 */

let front: Front
let services: Services
let secretId: string
let service: ServiceShown
let node: {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: object
}
let swarm: { readonly Version: { readonly Index: number }; readonly Spec: object }

beforeEach(async () => {
  front = await new Front().withSwarm()
  services = new Services(front)
  secretId = await services.secret('known')
  const EndpointSpec = { Ports: [{ TargetPort: 80, PublishedPort: 8080 }] }
  service = await services.get(await services.create(sentSpec('taken', { EndpointSpec })))
  const nodes = (await front.ask('GET', '/nodes')).json<(typeof node)[]>()
  node = nodes[0] ?? { ID: '', Version: { Index: 0 }, Spec: {} }
  swarm = (await front.ask('GET', '/swarm')).json()
})

async function refusalOf(method: 'GET' | 'POST', path: string, body?: unknown): Promise<string> {
  const { statusCode, body: said } = await front.ask(method, path, body)
  return `${statusCode} ${(JSON.parse(said) as { message?: string }).message ?? said}`
}

const invalid = (text: string): string => `400 rpc error: code = InvalidArgument desc = ${text}`
const number = (what: string, text: string): string =>
  `400 invalid ${what} version '${text}': strconv.ParseUint: parsing "${text}": invalid syntax`
const late = '500 rpc error: code = Unknown desc = update out of sequence'

const updateSecret = (query: string, body: unknown, id = secretId): Promise<string> =>
  refusalOf('POST', `/secrets/${id}/update${query}`, body)

const zz = (name: string, target = name): object =>
  secretReference('7sisqcql0f0mvjijda4prje12', name, target)

const ports = (...all: object[]): object => ({
  EndpointSpec: { Ports: all.map((one) => ({ TargetPort: 1, PublishedPort: 8080, ...one })) },
})

const create = (more: object = {}, container: object = {}): Promise<string> =>
  refusalOf('POST', '/services/create', sentSpec('fresh', more, container))

const task = (more: object): object => ({
  TaskTemplate: { ContainerSpec: { Image: '' }, ...more },
})

const updateNode = (query: string, more: object = {}, id = node.ID): Promise<string> =>
  refusalOf('POST', `/nodes/${id}/update${query}`, { ...node.Spec, ...more })

describe('DK5: a secret that is wrong in two ways', () => {
  const tooLarge = base64('a'.repeat(512_000))
  const noSize = invalid('secret data must be larger than 0 and less than 512000 bytes')

  test.each([
    [
      { Name: 'bad name', Data: tooLarge },
      invalid(
        'invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]',
      ),
    ],
    [{ Name: 'known', Data: tooLarge }, noSize],
    [
      { Name: 'known', Driver: { Name: 'nosuch' } },
      '500 rpc error: code = Unknown desc = plugin "nosuch" not found',
    ],
    [{ Name: 'known', Driver: {} }, invalid('secret driver must have a name')],
    [null, invalid('name must be provided')],
  ])('is refused for the first: %#', async (body, message) => {
    expect(await refusalOf('POST', '/secrets/create', JSON.stringify(body))).toBe(message)
  })

  test('is not updated: its body, its version, itself, its name and its sequence, in this order', async () => {
    expect(await updateSecret('?version=x', '{')).toBe('400 unexpected EOF')
    expect(await updateSecret('?version=x', { Name: 'other' }, 'nosuch')).toBe(
      '400 invalid secret version',
    )
    expect(await updateSecret('?version=1', { Name: 'other' }, 'nosuch')).toBe(
      '404 secret nosuch not found',
    )
    expect(await updateSecret('?version=99999', { Name: 'other' })).toBe(
      invalid('only updates to Labels are allowed'),
    )
    expect(await updateSecret('?version=99999', { Name: 'known' })).toBe(late)
  })
})

describe('DK11: a service that is wrong in two ways', () => {
  const portTaken = (id: string): string =>
    invalid(`port '8080' is already in use by service 'taken' (${id}) as an ingress port`)

  test.each([
    [
      { Name: 'bad name' },
      { Mounts: [{ Type: 'foo', Target: '/a' }] },
      '400 invalid MountType: "foo"',
    ],
    [task({ Runtime: 'foo' }), {}, '400 unsupported runtime'],
    [task({ Runtime: 'attachment' }), {}, '400 unsupported runtime'],
    [{ TaskTemplate: { Runtime: 'plugin' } }, {}, '400 mismatched Runtime and *Spec fields'],
    [
      { UpdateConfig: { Order: 'foo' }, EndpointSpec: { Mode: 'bar' } },
      {},
      '400 unrecognized update order foo',
    ],
    [{ Name: 'bad name', EndpointSpec: { Mode: 'bar' } }, {}, '400 invalid resolution mode: "bar"'],
    [
      task({ Resources: { Limits: { NanoCPUs: 1, MemoryBytes: 1 } } }),
      {},
      invalid('invalid cpu value 1e-09: Must be at least 0.001'),
    ],
    [
      task({ RestartPolicy: { Delay: -1 }, Placement: { Constraints: ['foo'] } }),
      {},
      invalid('TaskSpec: restart-delay cannot be negative'),
    ],
    [{}, { Image: '', Secrets: [secretReference('', '')] }, invalid('malformed secret reference')],
    [
      {},
      { StopGracePeriod: -1, Healthcheck: { StartInterval: 1, Retries: -1 } },
      invalid('ContainerSpec: StartInterval in HealthConfig cannot be less than 1ms'),
    ],
    [
      { UpdateConfig: { Delay: -1 } },
      { Image: '' },
      invalid('ContainerSpec: image reference must be provided'),
    ],
    [{ Name: 'taken' }, { Secrets: [zz('zz')] }, invalid('secret not found: zz')],
    [
      {},
      { Secrets: [zz('a', 'x'), zz('b', 'x'), secretReference('', '')] },
      invalid("secret references 'a' and 'b' have a conflicting target: 'x'"),
    ],
    [
      {},
      { Privileges: { CredentialSpec: {} }, Mounts: [{ Type: 'foo' }] },
      '400 invalid CredentialSpec: must either provide "file", "registry", or "config" for credential spec',
    ],
    [
      {},
      { Privileges: { CredentialSpec: { File: 'a', Registry: 'b' } } },
      '400 invalid CredentialSpec: cannot specify both "file" and "registry" credential specs',
    ],
    [
      {},
      { Privileges: { CredentialSpec: { File: 'a', Registry: 'b', Config: 'c' } } },
      '400 invalid CredentialSpec: cannot specify both "config", "file", and "registry" credential specs',
    ],
  ])('is refused for the first: %j %j', async (more, container, message) => {
    expect(await create(more, container)).toBe(message)
  })

  test('is refused a port that another one is found under, before its secrets are looked for', async () => {
    const taken = portTaken(service.ID)
    expect(await create({ ...ports({}) }, { Secrets: [zz('zz')] })).toBe(taken)
    expect(await create({ Name: 'taken', ...ports({}) })).toBe(taken)
    expect(await create(ports({ PublishMode: 'host' }))).toBe(taken)
    expect(await create(ports({ Protocol: 'udp' }))).toMatch(/^201 /)
    // Two at ports of the host are on two hosts; one of them and the swarm's are not.
    const onHost = { PublishedPort: 9090, PublishMode: 'host' }
    expect(await create({ Name: 'one', ...ports(onHost) })).toMatch(/^201 /)
    expect(await create({ Name: 'two', ...ports(onHost) })).toMatch(/^201 /)
    expect(await create({ Name: 'three', ...ports({ PublishedPort: 9090 }) })).toMatch(
      / as a host-published port$/,
    )
  })

  test('is refused what a secret of another name would be, though it has its id', async () => {
    expect(await create({}, { Secrets: [secretReference(secretId, 'other')] })).toBe(
      invalid('secret not found: other'),
    )
  })

  test('is not updated: in this order', async () => {
    const { ID, Spec } = service
    const update = (query: string, more: object = {}, id = ID): Promise<string> =>
      refusalOf('POST', `/services/${id}/update${query}`, { ...Spec, ...more })
    expect(await update('?version=x', {}, 'nosuch')).toBe(number('service', 'x'))
    expect(await update('?version=1', { Name: 'bad name' }, 'nosuch')).toBe(
      '404 service nosuch not found',
    )
    expect(await update('?version=99999&rollback=previous', { Name: 'other' })).toBe(
      '501 rpc error: code = Unimplemented desc = renaming services is not supported',
    )
    expect(await update('?version=99999', { Name: '' })).toBe(
      '501 rpc error: code = Unimplemented desc = renaming services is not supported',
    )
    expect(await update('?version=99999', { Name: 'other', Mode: { Global: {} } })).toBe(
      '501 rpc error: code = Unimplemented desc = service mode change is not allowed',
    )
    expect(await update('?version=99999&rollback=previous')).toBe(
      `400 rpc error: code = FailedPrecondition desc = service ${ID} does not have a previous spec`,
    )
    expect(await update('?version=99999')).toBe(late)
    const other = await services.get(await services.create(sentSpec('other')))
    expect(
      await refusalOf('POST', `/services/${other.ID}/update?version=99999`, {
        ...other.Spec,
        ...ports({}),
      }),
    ).toBe(portTaken(ID))
  })

  test.each([
    [
      '/services/nosuch?insertDefaults=x',
      '400 invalid value for insertDefaults: x: strconv.ParseBool: parsing "x": invalid syntax',
    ],
    [
      '/services?status=x',
      '400 invalid value for status: x: strconv.ParseBool: parsing "x": invalid syntax',
    ],
    ['/services/nosuch/logs', '400 Bad parameters: you must choose at least one stream'],
    ['/services/nosuch/logs?stdout=1&tail=x', '404 service nosuch not found'],
    ['/services/taken/logs?stdout=1&tail=x', '400 tail value must be a positive integer or "all"'],
    ['/services/taken/logs?stdout=1&tail=-5', '400 negative tail values not supported'],
    ['/tasks?filters={"desired-state":["a"],"service":["nosuch"]}', '404 service nosuch not found'],
  ])('is asked for: %s', async (path, message) => {
    expect(await refusalOf('GET', path)).toBe(message)
  })
})

describe('DK8: a node that is wrong in two ways', () => {
  test('is not updated: in this order', async () => {
    expect(await updateNode('', { Role: 'foo' })).toBe(number('node', ''))
    expect(await updateNode('?version=x', {}, 'nosuch')).toBe(number('node', 'x'))
    expect(await updateNode('?version=1', { Role: 'foo', Availability: 'foo' }, 'nosuch')).toBe(
      '400 invalid Role: "foo"',
    )
    expect(await updateNode('?version=1', {}, 'nosuch')).toBe('404 node nosuch not found')
    expect(await updateNode('?version=99999', { Role: 'worker' })).toBe(
      '400 rpc error: code = FailedPrecondition desc = attempting to demote the last manager of the swarm',
    )
    expect(await updateNode('?version=99999')).toBe(late)
  })
})

describe('DK30: a swarm whose spec is wrong in two ways', () => {
  const expiry = { CAConfig: { NodeCertExpiry: 1 } }

  test.each([
    ['?version=x&rotateWorkerToken=x', {}, number('swarm', 'x')],
    [
      '?version=1&rotateManagerUnlockKey=x&rotateManagerToken=y',
      {},
      '400 invalid value for rotateManagerToken: y',
    ],
    ['?version=99999', { Name: 'foo', ...expiry }, '400 swarm spec must be named "default"'],
    [
      '?version=99999',
      { CAConfig: { NodeCertExpiry: 1, ExternalCAs: [{ Protocol: 'foo' }] } },
      '400 invalid protocol: "foo"',
    ],
    [
      '?version=99999',
      { ...expiry, Dispatcher: { HeartbeatPeriod: -1 } },
      invalid('minimum certificate expiry time is: 1h0m0s'),
    ],
    [
      '?version=99999',
      { Dispatcher: { HeartbeatPeriod: -1 } },
      invalid('heartbeat time period cannot be a negative duration'),
    ],
    [
      '?version=99999',
      { CAConfig: { SigningCACert: 'x' } },
      expect.stringMatching(/^501 certificates are issued by the cluster itself/) as string,
    ],
    ['?version=99999', {}, late],
  ])('is not updated: %s %j', async (query, more, message) => {
    expect(await refusalOf('POST', `/swarm/update${query}`, { ...swarm.Spec, ...more })).toEqual(
      message,
    )
  })
})

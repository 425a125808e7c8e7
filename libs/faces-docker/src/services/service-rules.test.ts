import { beforeEach, describe, expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { secretReference, sentSpec, Services } from '../testing/services.ts'

const invalid = (text: string): string => `rpc error: code = InvalidArgument desc = ${text}`
const unknown = (text: string): string => `rpc error: code = Unknown desc = ${text}`
const task = (more: object): object => ({
  TaskTemplate: { ContainerSpec: { Image: 'busybox' }, ...more },
})

let front: Front
let services: Services

beforeEach(async () => {
  front = await new Front().withSwarm()
  services = new Services(front)
})

describe('DK11: a service that makes no sense', () => {
  test.each<[string, object, number, string]>([
    [
      'a bad name',
      sentSpec('bad name'),
      400,
      invalid('name must be valid as a DNS name component'),
    ],
    [
      'a name that ends badly',
      sentSpec('a-'),
      400,
      invalid('name must be valid as a DNS name component'),
    ],
    ['a long name', sentSpec('a'.repeat(64)), 400, invalid('name must be 63 characters or fewer')],
    ['no container', { Name: 'a', TaskTemplate: {} }, 400, 'mismatched Runtime and *Spec fields'],
    [
      'no image',
      sentSpec('a', {}, { Image: '' }),
      400,
      invalid('ContainerSpec: image reference must be provided'),
    ],
    [
      'an image that is none',
      sentSpec('a', {}, { Image: 'UPPER CASE' }),
      400,
      invalid('ContainerSpec: "UPPER CASE" is not a valid repository/tag'),
    ],
    [
      'an image with a repository in capitals',
      sentSpec('a', {}, { Image: 'Bad/UPPER' }),
      400,
      invalid('ContainerSpec: "Bad/UPPER" is not a valid repository/tag'),
    ],
    [
      'a hostname that no task could have',
      sentSpec('a', {}, { Hostname: '{{.Nope}}' }),
      400,
      invalid(
        'expanding hostname failed: template: expansion:1:2: executing "expansion" at <.Nope>: can\'t evaluate field Nope in type *template.Context',
      ),
    ],
    [
      'a variable that no task could have',
      sentSpec('a', {}, { Env: ['A=b', 'B={{secret "x"}}'] }),
      400,
      invalid('expanding env failed: template: expansion:1: function "secret" not defined'),
    ],
    [
      'variables that keep a master busy, each for a while',
      sentSpec(
        'a',
        { Labels: Object.fromEntries(Array.from({ length: 200 }, (_none, at) => [`l${at}`, ''])) },
        {
          Env: Array.from(
            { length: 5 },
            () => 'A={{range .Service.Labels}}{{range $.Service.Labels}}{{end}}{{end}}',
          ),
        },
      ),
      400,
      invalid('expanding env failed: template: expansion:1: it takes more than 100000 steps'),
    ],
    [
      'a way to be found that there is not',
      sentSpec('a', { EndpointSpec: { Mode: 'nope' } }),
      400,
      'invalid resolution mode: "nope"',
    ],
    [
      'a reference without an id',
      sentSpec('a', {}, { Secrets: [secretReference('', 's')] }),
      400,
      invalid('malformed secret reference'),
    ],
    [
      'a reference without a target',
      sentSpec('a', {}, { Secrets: [{ SecretID: 'x', SecretName: 'x' }] }),
      400,
      invalid('malformed secret reference, no target provided'),
    ],
    [
      'two secrets in one place',
      sentSpec(
        'a',
        {},
        { Secrets: [secretReference('x', 'x', 't'), secretReference('y', 'y', 't')] },
      ),
      400,
      invalid("secret references 'x' and 'y' have a conflicting target: 't'"),
    ],
    [
      'a secret that nobody knows',
      sentSpec('a', {}, { Secrets: [secretReference('x', 'zz')] }),
      400,
      invalid('secret not found: zz'),
    ],
    [
      'secrets that nobody knows',
      sentSpec('a', {}, { Secrets: [secretReference('x', 'a'), secretReference('y', 'b')] }),
      400,
      invalid('secrets not found: a, b'),
    ],
    [
      'a constraint without an operator',
      { ...sentSpec('a'), ...task({ Placement: { Constraints: ['node.role'] } }) },
      500,
      unknown('constraint expected one operator from ==, !='),
    ],
    [
      'too little memory',
      { ...sentSpec('a'), ...task({ Resources: { Limits: { MemoryBytes: 1024 } } }) },
      400,
      invalid('invalid memory value 1024: Must be at least 4MiB'),
    ],
    [
      'too little of a CPU',
      { ...sentSpec('a'), ...task({ Resources: { Reservations: { NanoCPUs: 1000 } } }) },
      400,
      invalid('invalid cpu value 0.000001: Must be at least 0.001'),
    ],
    [
      'replicas below none',
      sentSpec('a', { Mode: { Replicated: { Replicas: -1 } } }),
      400,
      invalid('Number of replicas must be non-negative'),
    ],
    [
      'two modes',
      sentSpec('a', { Mode: { Replicated: {}, Global: {} } }),
      400,
      'must specify only one service mode',
    ],
    [
      'two modes of which one is a job',
      sentSpec('a', { Mode: { ReplicatedJob: {}, GlobalJob: {} } }),
      400,
      'must specify only one service mode',
    ],
    ...[{ ReplicatedJob: {} }, { GlobalJob: {} }].map((Mode): [string, object, number, string] => [
      `an update config, though it is a ${Object.keys(Mode).join()}`,
      sentSpec('a', { Mode, UpdateConfig: {} }),
      400,
      invalid('Jobs may not have an update config'),
    ]),
    ...[-1, 2 ** 63].flatMap((count): [string, object, number, string][] => [
      [
        `${count} jobs at once`,
        sentSpec('a', { Mode: { ReplicatedJob: { MaxConcurrent: count } } }),
        400,
        invalid('Maximum concurrent jobs must not be negative'),
      ],
      [
        `a job that ends ${count} times`,
        sentSpec('a', { Mode: { ReplicatedJob: { TotalCompletions: count } } }),
        400,
        invalid('Total completed jobs must not be negative'),
      ],
    ]),
    [
      'more jobs than are kept here',
      sentSpec('a', { Mode: { ReplicatedJob: { TotalCompletions: 10_001 } } }),
      400,
      invalid('mode.completions: Too big: expected number to be <=10000'),
    ],
    [
      'a ratio above all',
      sentSpec('a', { UpdateConfig: { MaxFailureRatio: 2 } }),
      400,
      invalid('TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1'),
    ],
    [
      'one port twice',
      sentSpec('a', { EndpointSpec: { Ports: [{ PublishedPort: 80 }, { PublishedPort: 80 }] } }),
      400,
      invalid('EndpointSpec: duplicate published ports provided'),
    ],
    [
      'a port of the mesh without an address for it',
      sentSpec('a', { EndpointSpec: { Mode: 'dnsrr', Ports: [{ PublishedPort: 80 }] } }),
      400,
      invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode"),
    ],
    [
      'fields of other types',
      '{"Name":"a","TaskTemplate":{"ContainerSpec":{"Image":7}}}' as never,
      400,
      'json: cannot unmarshal TaskTemplate.ContainerSpec.Image: it is of another type',
    ],
  ])(
    'such as one with %s is refused in the words of SwarmKit',
    async (_what, spec, status, message) => {
      const answer = await front.ask('POST', '/services/create', spec)
      expect([answer.statusCode, answer.json()]).toEqual([status, { message }])
      expect((await front.ask('GET', '/services')).json()).toEqual([])
    },
  )

  test('by its name is told of that before all else, and of what it refers to last', async () => {
    const spec = sentSpec('bad name', { Mode: { Replicated: { Replicas: -1 } } }, { Image: '' })
    const named = await front.ask('POST', '/services/create', spec)
    expect(named.json()).toEqual({ message: invalid('name must be valid as a DNS name component') })
    const Secrets = [secretReference('x', 'zz')]
    const mode = await front.ask(
      'POST',
      '/services/create',
      sentSpec('a', { Mode: { Replicated: { Replicas: -1 } } }, { Secrets }),
    )
    expect(mode.json()).toEqual({ message: invalid('Number of replicas must be non-negative') })
  })

  test('because its name is taken, in any case, conflicts', async () => {
    await services.create(sentSpec('a2'))
    const again = await front.ask('POST', '/services/create', sentSpec('A2'))
    expect([again.statusCode, again.json()]).toEqual([
      409,
      {
        message:
          'rpc error: code = AlreadyExists desc = name conflicts with an existing object: service A2 already exists',
      },
    ])
  })

  test('is not one that has no name: it is given one', async () => {
    const { Name: _name, ...nameless } = sentSpec('') as { Name: string }
    const id = await services.create(nameless)
    expect((await services.get(id)).Spec['Name']).toMatch(/^[a-z]+_[a-z]+_\d+$/)
  })

  test('takes no time to be refused, whatever its name is', async () => {
    const spec = sentSpec(`${'a-'.repeat(50_000)}!`)
    const answer = await front.ask('POST', '/services/create', spec)
    expect(answer.statusCode).toBe(400)
  })
})

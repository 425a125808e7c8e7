import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { Services } from '../testing/services.ts'
import { isJobSpec, type ServiceSpec } from './service-spec.ts'

/*
 * Whatever a client writes of a service that can be kept, it reads back, with what the Engine stores beside.
 */

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
const labels = fc.dictionary(word, fc.string({ maxLength: 20 }), { maxKeys: 4 })
const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined> =>
  fc.option(fc.option(of, { nil: undefined }), { nil: null })
const ns = fc.integer({ min: 0, max: 1e11 })
const texts = fc.array(
  fc.string({ maxLength: 12 }).filter((text) => !text.includes('\0')),
  {
    maxLength: 4,
  },
)

const change = fc.record(
  {
    Parallelism: fc.nat(10),
    Delay: ns,
    FailureAction: fc.constantFrom('pause', 'continue', 'rollback'),
    Monitor: ns,
    MaxFailureRatio: fc.double({ min: 0, max: 1, noNaN: true }).map((ratio) => ratio || 0),
    Order: fc.constantFrom('stop-first', 'start-first'),
  },
  { requiredKeys: [] },
)

const container = fc.record(
  {
    Image: word.map((name) => `${name}:latest`),
    Labels: optional(labels),
    Command: optional(texts),
    Args: optional(texts),
    Hostname: optional(word),
    Env: optional(
      fc.array(
        word.map((name) => `${name.toUpperCase()}=1`),
        { maxLength: 3 },
      ),
    ),
    User: optional(word),
    Dir: optional(word.map((name) => `/${name}`)),
    TTY: optional(fc.boolean()),
    StopGracePeriod: optional(ns),
    DNSConfig: fc.constant({}),
    Privileges: fc.constant({ CredentialSpec: null, NoNewPrivileges: false }),
    Healthcheck: optional(
      fc.record(
        {
          Test: fc.constant(['CMD-SHELL', 'true']),
          Interval: ns.map((n) => n + 1e6),
          Retries: fc.nat(9),
        },
        { requiredKeys: ['Test'] },
      ),
    ),
    // What nobody here knows is kept, too.
    Sysctls: optional(labels),
  },
  { requiredKeys: ['Image'] },
)

const amounts = fc.record(
  {
    NanoCPUs: fc.integer({ min: 1e6, max: 4e9 }),
    MemoryBytes: fc.integer({ min: 4 * 1024 * 1024, max: 2 ** 31 }),
  },
  { requiredKeys: [] },
)

const specs = fc.record(
  {
    Name: word,
    Labels: optional(labels),
    TaskTemplate: fc.record(
      {
        ContainerSpec: container,
        Resources: optional(
          fc.record({ Limits: amounts, Reservations: amounts }, { requiredKeys: [] }),
        ),
        RestartPolicy: optional(
          fc.record(
            {
              Condition: fc.constantFrom('none', 'on-failure', 'any'),
              Delay: ns,
              MaxAttempts: fc.nat(9),
              Window: ns,
            },
            { requiredKeys: [] },
          ),
        ),
        Placement: optional(
          fc.record(
            {
              Constraints: fc.array(
                word.map((name) => `node.labels.${name} == ${name}`),
                {
                  maxLength: 3,
                },
              ),
              Preferences: fc.constant([{ Spread: { SpreadDescriptor: 'node.labels.zone' } }]),
              MaxReplicas: fc.nat(9),
            },
            { requiredKeys: [] },
          ),
        ),
        ForceUpdate: fc.nat(9),
        LogDriver: fc.constant({ Name: 'json-file' }),
      },
      { requiredKeys: ['ContainerSpec'] },
    ),
    Mode: fc.oneof(
      fc.constant({ Global: {} }),
      fc.record({ Replicated: fc.record({ Replicas: fc.nat(20) }, { requiredKeys: [] }) }),
      fc.constant({ GlobalJob: {} }),
      fc.record({
        ReplicatedJob: fc.record(
          { MaxConcurrent: fc.nat(20), TotalCompletions: fc.nat(20) },
          { requiredKeys: [] },
        ),
      }),
    ),
    UpdateConfig: optional(change),
    RollbackConfig: optional(change),
    EndpointSpec: optional(
      fc.record(
        {
          Mode: fc.constant('vip'),
          Ports: fc.constant([{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080 }]),
        },
        { requiredKeys: [] },
      ),
    ),
  },
  { requiredKeys: ['Name', 'TaskTemplate', 'Mode'] },
)

/** As JSON has it: what is undefined is not there. A job says nothing of updates. */
function asSent(spec: object): ServiceSpec {
  const sent = JSON.parse(JSON.stringify(spec)) as ServiceSpec
  if (isJobSpec(sent)) delete sent.UpdateConfig
  return sent
}

/** What the Engine stores of what was sent, said once more in other words. */
function expected(sent: ServiceSpec): object {
  const stored = structuredClone(sent)
  const task = (stored.TaskTemplate ??= {})
  task.Runtime = 'container'
  if (task.ContainerSpec) task.ContainerSpec.Isolation = 'default'
  if (stored.Mode?.Replicated) stored.Mode.Replicated.Replicas ??= 1
  const job = stored.Mode?.ReplicatedJob
  if (job) job.MaxConcurrent ??= 1
  if (job) job.TotalCompletions ??= job.MaxConcurrent ?? 1
  return stored
}

test('DK9: a spec is read back as it was written, whatever it says', async () => {
  const front = await new Front().withSwarm()
  const services = new Services(front)

  async function follow(sent: ServiceSpec, next: ServiceSpec): Promise<void> {
    const id = await services.create(sent)
    try {
      const { Spec } = await services.get(id)
      expect(Spec).toEqual(expected(sent))
      // What was read can be written again, and another spec of that name and mode in its place.
      expect((await services.update(id, Spec)).statusCode).toBe(200)
      expect((await services.get(id)).Spec).toEqual(Spec)
      expect((await services.update(id, next)).json()).toEqual({ Warnings: null })
      expect((await services.get(id)).Spec).toEqual(expected(next))
    } finally {
      await front.ask('DELETE', `/services/${id}`)
    }
  }

  await fc.assert(
    fc.asyncProperty(specs, specs, (one, other) =>
      follow(asSent(one), asSent({ ...other, Name: one.Name, Mode: one.Mode })),
    ),
    { numRuns: 50 },
  )
}, 60_000)

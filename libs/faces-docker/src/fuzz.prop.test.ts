import { isDeepStrictEqual } from 'node:util'
import { canary, findCanaries } from '@conclave/testkit'
import * as fc from 'fast-check'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { describe, expect, test } from 'vitest'
import { base64, Front } from './testing/front.ts'

/** How often each property is tried: `CONCLAVE_FUZZ_RUNS=100000` for a long night. */
const runs = Number(process.env['CONCLAVE_FUZZ_RUNS'] ?? 300)
const timeoutMs = 60_000 + runs * 100

/** An answer takes milliseconds; who waits so long waits for one that never comes. */
const patienceSeconds = 20

type Method = NonNullable<InjectOptions['method']>

const secret = canary('fuzz')
const value = secret.text

const json = fc.jsonValue({ maxDepth: 4 })
const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom('my_secret', '', '0', '../x', 'a'.repeat(5000), '{id}', '__proto__', '%', 'a/b'),
)

/** Where a secret of somebody may come in, or what is around it. */
const secretKeys = fc.constantFrom(
  ...'Data Labels Env Args Command Cmd UnlockKey JoinToken'.split(' '),
  ...'Spec TaskTemplate ContainerSpec Secrets Configs File __proto__'.split(' '),
)

/** Names and choices: the Engine quotes what it does not know of these, so a value would be told by whoever wrote it there. */
const quotedKeys = fc.constantFrom(
  ...'Name Driver Image SecretID SecretName UID GID Target Role Availability Mode'.split(' '),
  ...'Templating Replicated Replicas Global RemoteAddrs EndpointSpec Networks Placement'.split(' '),
  ...'Tty Detach AttachStdin UpdateConfig RollbackConfig RestartPolicy Mounts'.split(' '),
)

const pieces = fc.oneof(json, fc.constantFrom(value, base64(value), [value], { Data: value }))

const quoted = fc.oneof(json, fc.dictionary(quotedKeys, json, { maxKeys: 6 }))

/** An object of fields that there are, in which the value stands where a secret may. */
const fields = (other: fc.Arbitrary<unknown>): fc.Arbitrary<object> =>
  fc
    .array(fc.oneof(fc.tuple(quotedKeys, quoted), fc.tuple(secretKeys, other)), { maxLength: 6 })
    .map((entries) => Object.fromEntries(entries))
const shaped = fields(fc.oneof(pieces, fields(pieces)))

const secretSpec = { Name: 'my_secret', Labels: { a: 'b' }, Data: base64(value) }
const serviceSpec = {
  Name: 'web',
  Labels: {},
  TaskTemplate: {
    ContainerSpec: {
      Image: 'eon01/infinite:latest',
      Env: ['A=b'],
      Secrets: [
        {
          File: { Name: 'x', UID: '0', GID: '0', Mode: 292 },
          SecretID: 'icn3blr71cte7l1yjh3o8a18i',
          SecretName: 'my_secret',
        },
      ],
    },
    Placement: { Constraints: ['node.role == worker'] },
    ForceUpdate: 0,
  },
  Mode: { Replicated: { Replicas: 1 } },
}

/** A real body with one piece of its text replaced. */
const dented = fc
  .tuple(
    fc.constantFrom<object>(secretSpec, serviceSpec, {
      Cmd: ['cat', '/run/secrets/x'],
      Tty: true,
      Detach: false,
    }),
    fc.nat(),
    fc.nat(12),
    fc.string({ maxLength: 6 }),
  )
  .map(([whole, at, length, other]) => {
    const whereof = JSON.stringify(whole)
    const from = at % whereof.length
    return `${whereof.slice(0, from)}${other}${whereof.slice(from + length)}`
  })

const body = fc.oneof(
  fc.constant(undefined),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.json(),
  shaped.map((object) => JSON.stringify(object)),
  dented,
  fc.constantFrom(`{"Name":"${value}`, `{"Data":"${value}!"}`, `"${value}"`, `[${value}]`),
  fc.nat(3000).map((depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`),
  fc.nat(3000).map((depth) => `${'{"Labels":'.repeat(depth)}1${'}'.repeat(depth)}`),
)

/** None of the keys that ask for what does not end, such as `follow`. */
const keys = fc.constantFrom(
  ...'filters version force status insertDefaults rollback all limit size tail details since'.split(
    ' ',
  ),
  ...'stdout stderr timestamps rotateWorkerToken signal t h w fromImage tag registryAuthFrom x'.split(
    ' ',
  ),
)
const filters = fc
  .dictionary(
    fc.constantFrom('name', 'id', 'label', 'service', 'node', 'desired-state', 'mode', 'foo'),
    fc.oneof(json, fc.dictionary(text, fc.boolean()), fc.array(text)),
  )
  .map((object) => JSON.stringify(object))
const query = fc.dictionary(keys, fc.oneof(text, filters, fc.nat().map(String)), { maxKeys: 4 })

const version = fc.constantFrom(
  '',
  '/v1.41',
  '/v1.47',
  '/v1.24',
  '/v1.99',
  '/v1.1',
  '/v',
  '/v1.41/',
)

const headers = fc.oneof(
  fc.constant({ 'content-type': 'application/json' }),
  fc.dictionary(
    fc.constantFrom('content-type', 'accept', 'x-registry-auth', 'user-agent'),
    fc.string({ unit: fc.constantFrom(...Array.from(' /*,;=.+aAjnop0')), maxLength: 20 }),
  ),
)

async function routesOf(front: Front): Promise<readonly (readonly [Method, string])[]> {
  const routes: (readonly [Method, string])[] = []
  front.app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat() as Method[]) routes.push([one, url])
  })
  await front.app.ready()
  return routes
}

const withPrefix = (url: string, parts: readonly string[]): string => {
  let at = 0
  return url.replaceAll(/:\w+|\*/g, () => encodeURIComponent(parts[at++ % parts.length] ?? ''))
}

async function answered<T>(what: string, asked: Promise<T>): Promise<T> {
  let patience: NodeJS.Timeout | undefined
  const never = new Promise<never>((_resolve, reject) => {
    let left = patienceSeconds
    // Second by second: one that this process was not let run in counts as one, however long it was.
    patience = setInterval(() => {
      if (--left === 0) reject(new Error(`${what} is never answered`))
    }, 1000)
  })
  try {
    return await Promise.race([asked, never])
  } finally {
    clearInterval(patience)
  }
}

/** What is wrong with an answer: a refusal says why, in the form that clients read, and no value again. */
function faultsOf({ statusCode, headers: head, body: said }: Answer, method: Method): string[] {
  const faults = said.includes('a fault of ours') ? [said] : []
  if (statusCode < 400 || method === 'HEAD') return faults
  for (const { form } of findCanaries(Buffer.from(said), [secret])) faults.push(`a value: ${form}`)
  const isTooOld = head['content-type'] === 'text/plain; charset=utf-8'
  if (isTooOld ? !/^client version \S+ is too old/.test(said) : !isRefusal(head, said))
    faults.push(`no refusal of an Engine's: ${said}`)
  return faults
}

type Answer = Pick<LightMyRequestResponse, 'statusCode' | 'headers' | 'body'>

function isRefusal(head: Answer['headers'], said: string): boolean {
  const refusal = JSON.parse(said) as { message?: unknown }
  const isAlone = isDeepStrictEqual(Object.keys(refusal), ['message'])
  const { message } = refusal
  return (
    head['content-type'] === 'application/json' &&
    isAlone &&
    typeof message === 'string' &&
    message !== ''
  )
}

describe('whatever is asked', () => {
  test.each([
    ['outside of a swarm', false],
    ['in a swarm', true],
  ])(
    'DK1: %s is answered in the form of the Engine, and says no value again',
    async (_where, isInSwarm) => {
      const front = new Front()
      const routes = await routesOf(front)
      const route = fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom(...routes) },
        {
          weight: 1,
          arbitrary: fc.tuple(fc.constantFrom<Method>('GET', 'POST', 'PUT'), fc.webPath()),
        },
      )
      const parts = fc.array(text, { minLength: 1, maxLength: 2 })
      await fc.assert(
        fc.asyncProperty(
          fc.record({ route, parts, version, query, body, headers }),
          async ({ route: [method, url], parts: given, ...sent }) => {
            if (isInSwarm) {
              // A request before may have ended the swarm, and removed the secret.
              await front.ask('POST', '/swarm/init', { ListenAddr: '0.0.0.0:2377' })
              await front.ask('POST', '/secrets/create', secretSpec)
            }
            const path = `${sent.version}${withPrefix(url, given)}`
            // An event stream ends where its time does.
            const search = new URLSearchParams({ ...sent.query, until: '1' })
            const answer = await answered(
              `${method} ${path}`,
              front.app.inject({
                method,
                url: `${path}?${search.toString()}`,
                headers: sent.headers,
                ...(sent.body !== undefined && method !== 'GET' && { payload: sent.body }),
              }),
            )
            expect(faultsOf(answer, method)).toEqual([])
          },
        ),
        { numRuns: runs },
      )
      expect(findCanaries(Buffer.from(front.log.text), [secret])).toEqual([])
      await front.app.close()
    },
    timeoutMs,
  )
})

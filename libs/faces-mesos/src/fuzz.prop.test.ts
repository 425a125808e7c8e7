import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Front, launchWith, operatorUrl, schedulerUrl, subscribe } from './testing/front.ts'

const types = fc.constantFrom(
  ...'SUBSCRIBE ACCEPT DECLINE KILL ACKNOWLEDGE RECONCILE MESSAGE REQUEST'.split(' '),
  ...'UPDATE_FRAMEWORK GET_STATE GET_METRICS TEARDOWN UNKNOWN sealed'.split(' '),
)
const value = fc.jsonValue({ maxDepth: 4 })
const names = fc.constantFrom(
  ...'type framework_id subscribe accept kill acknowledge reconcile request'.split(' '),
  ...'value framework_info operations launch task_infos uuid __proto__'.split(' '),
)
const shaped = fc.record(
  { type: fc.oneof(types, value), framework_id: fc.oneof(value, fc.constant({ value: 'a' })) },
  { requiredKeys: [] },
)
const parts = fc.dictionary(names, fc.oneof(value, fc.dictionary(names, value)))

/** A real call with one piece of its text replaced. */
const dented = fc
  .tuple(
    fc.constantFrom(launchWith('c2VjcmV0'), subscribe()),
    fc.nat(),
    fc.nat(12),
    fc.string({ maxLength: 6 }),
  )
  .map(([whole, at, length, text]) => {
    const json = JSON.stringify(whole)
    const from = at % json.length
    return `${json.slice(0, from)}${text}${json.slice(from + length)}`
  })

const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.json(),
  fc.tuple(shaped, parts).map((objects) => JSON.stringify(Object.assign({}, ...objects))),
  dented,
  fc.nat(3000).map((depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`),
  fc.nat(3000).map((depth) => `${'{"accept":'.repeat(depth)}1${'}'.repeat(depth)}`),
)

describe('any call at all', () => {
  test('MF9: is answered, and never with a failure of ours', async () => {
    const front = new Front()
    // A subscription would stay open, as it should.
    front.master.frameworks.refusal = { status: 400, body: 'not today' }
    front.master.operators.refusal = { status: 400, body: 'not today' }
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(schedulerUrl, operatorUrl), body, async (url, sent) => {
        const { status } = await front.ask(url, sent)

        expect([200, 202, 400, 501]).toContain(status)
      }),
      { numRuns: 2000 },
    )
  })

  test('MF9: and so is any head', async () => {
    const front = new Front()
    const text = fc.string({
      unit: fc.constantFrom(...Array.from(' /*,;=.+aAjnop0')),
      maxLength: 20,
    })
    const headers = fc.dictionary(
      fc.constantFrom('content-type', 'accept', 'mesos-stream-id', 'authorization'),
      text,
    )
    const methods = fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE')
    await fc.assert(
      fc.asyncProperty(methods, headers, fc.boolean(), async (method, sent, isLeader) => {
        if (isLeader) front.master.lead()
        else front.master.follow()
        const { status } = await front.ask(schedulerUrl, '{}', sent, method)

        expect([400, 401, 405, 415, 503]).toContain(status)
      }),
      { numRuns: 300 },
    )
  })
})

import { isDeepStrictEqual } from 'node:util'
import {
  fromProtobuf,
  MasterCall,
  parseCall,
  parseMasterCall,
  SchedulerCall,
  toProtobuf,
} from '@conclave/model'
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

/** How often each property is tried: `CONCLAVE_FUZZ_RUNS=100000` for a long night. */
const runs = Number(process.env['CONCLAVE_FUZZ_RUNS'] ?? 500)
const timeoutMs = 30_000 + runs * 40

const schedulerTypes = (
  'SUBSCRIBE TEARDOWN ACCEPT DECLINE ACCEPT_INVERSE_OFFERS DECLINE_INVERSE_OFFERS REVIVE KILL ' +
  'SHUTDOWN ACKNOWLEDGE ACKNOWLEDGE_OPERATION_STATUS RECONCILE RECONCILE_OPERATIONS MESSAGE REQUEST ' +
  'SUPPRESS UPDATE_FRAMEWORK UNKNOWN'
).split(' ')
const operatorTypes = (
  'GET_HEALTH GET_FLAGS GET_VERSION GET_METRICS GET_LOGGING_LEVEL SET_LOGGING_LEVEL LIST_FILES ' +
  'READ_FILE GET_STATE GET_AGENTS GET_FRAMEWORKS GET_EXECUTORS GET_OPERATIONS GET_TASKS GET_ROLES ' +
  'GET_WEIGHTS UPDATE_WEIGHTS GET_MASTER SUBSCRIBE RESERVE_RESOURCES UNRESERVE_RESOURCES ' +
  'CREATE_VOLUMES DESTROY_VOLUMES GROW_VOLUME SHRINK_VOLUME GET_MAINTENANCE_STATUS ' +
  'GET_MAINTENANCE_SCHEDULE UPDATE_MAINTENANCE_SCHEDULE START_MAINTENANCE STOP_MAINTENANCE ' +
  'DRAIN_AGENT DEACTIVATE_AGENT REACTIVATE_AGENT GET_QUOTA UPDATE_QUOTA SET_QUOTA REMOVE_QUOTA ' +
  'TEARDOWN MARK_AGENT_GONE UNKNOWN'
).split(' ')

/** A call of each type with its part: nothing, anything, or an object with names that mean something. */
const typed = (ofApi: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(...ofApi), fc.oneof(value, fc.dictionary(names, value), parts))
    .map(([type, part]) =>
      JSON.stringify({ type, framework_id: { value: 'f' }, [type.toLowerCase()]: part }),
    )

/** Protobuf of a real call, with a piece of it replaced; or any bytes. */
const wire = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(
      fc.constantFrom(
        toProtobuf(SchedulerCall, 'scheduler.Call', parseCall(launchWith('c2VjcmV0'))),
        toProtobuf(SchedulerCall, 'scheduler.Call', parseCall(subscribe())),
        toProtobuf(
          MasterCall,
          'master.Call',
          parseMasterCall({ type: 'TEARDOWN', teardown: { framework_id: { value: 'f' } } }),
        ),
      ),
      fc.nat(),
      fc.nat(6),
      fc.uint8Array({ maxLength: 6 }),
    )
    .map(([whole, at, length, more]) => {
      const from = at % whole.length
      return Buffer.concat([whole.subarray(0, from), more, whole.subarray(from + length)])
    }),
)

function quietFront(): Front {
  const front = new Front()
  // A subscription would stay open, as it should.
  front.master.frameworks.refusal = { status: 400, body: 'not today' }
  front.master.operators.refusal = { status: 400, body: 'not today' }
  return front
}

/** Whether it is an answer as there may be: a refusal says what is wrong, and is no failure of ours. */
const isAnswer = (answer: { readonly status: number; readonly body: string }): boolean =>
  [200, 202, 501].includes(answer.status) || (answer.status === 400 && answer.body !== '')

describe('any call at all', () => {
  test(
    'MF9: is answered, and never with a failure of ours',
    async () => {
      const front = quietFront()
      const calls = fc.oneof(
        fc.tuple(fc.constantFrom(schedulerUrl, operatorUrl), body),
        fc.tuple(fc.constant(schedulerUrl), typed(schedulerTypes)),
        fc.tuple(fc.constant(operatorUrl), typed(operatorTypes)),
      )
      await fc.assert(
        fc.asyncProperty(calls, async ([url, sent]) => {
          expect(await front.ask(url, sent)).toSatisfy(isAnswer)
        }),
        { numRuns: runs },
      )
    },
    timeoutMs,
  )

  test(
    'MF9: and so is any protobuf, which is read again as it was written',
    async () => {
      const front = quietFront()
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(schedulerUrl, operatorUrl), wire, async (url, bytes) => {
          const copy = Buffer.from(bytes)
          const headers = { 'content-type': 'application/x-protobuf' }
          expect(await front.ask(url, bytes, headers)).toSatisfy(isAnswer)
          expect(copy).toSatisfy(isReadTwice)
        }),
        { numRuns: runs },
      )
    },
    timeoutMs,
  )

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

/** What can be read is the same after it was written and read again. */
function isReadTwice(bytes: Buffer): boolean {
  let read: SchedulerCall
  try {
    read = fromProtobuf(SchedulerCall, 'scheduler.Call', bytes)
  } catch {
    return true
  }
  const written = toProtobuf(SchedulerCall, 'scheduler.Call', read, { withHidden: true })
  return isDeepStrictEqual(fromProtobuf(SchedulerCall, 'scheduler.Call', written), read)
}

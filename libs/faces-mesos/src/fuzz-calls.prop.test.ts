import { MasterCall, SchedulerCall, type AnyMessage } from '@conclave/model'
import { dice, nearly } from '@conclave/model/testing'
import * as fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { CoreFront } from './testing/core-front.ts'
import { operatorUrl, schedulerUrl } from './testing/front.ts'

/*
 * Bodies that are nearly a call, of each kind by itself, against the core that decides for real.
 * `CONCLAVE_FUZZ_RUNS=100000 npx vitest run src/fuzz-calls.prop.test.ts` tries as many of each.
 */

const runs = Number(process.env['CONCLAVE_FUZZ_RUNS'] ?? 60)
const timeoutMs = 30_000 + runs * 40

const front = new CoreFront()
afterAll(() => front.app.close())

/** Names of fields, as refusals write them: quoted, dotted, or in Mesos' own upper-case letters. */
const namesField =
  /field '[^']+'|Missing required fields: \S|'[A-Za-z_.]+'|`[A-Za-z_.]+`|\b[a-z]+_[a-z_]+\b/

/** Mesos' own words where it names none. */
const nameless = [
  /^Failed to convert JSON into Call protobuf: (Failed to find enum for '|Expecting a JSON object|Nested deeper)/,
  /^Failed to validate scheduler::Call: (Not a valid UUID$|Authenticated principal )/,
  /^Framework cannot be found$/,
  /^Framework is not subscribed$/,
  /^The stream ID '/,
  /^FrameworkInfo update is not valid: Changing framework's principal is not allowed\.$/,
  /^No framework found with specified ID$/,
  /^Agent '/,
  /^Failed to validate update weights request JSON/,
  /^Machine '/,
  /^List of machines in the maintenance window is empty$/,
  /^Failed to parse the IP '/,
]

function isAnswer({ status, body }: { readonly status: number; readonly body: string }): boolean {
  if ([200, 202, 409, 501].includes(status)) return true
  if (![400, 403, 404].includes(status)) return false
  return namesField.test(body) || nameless.some((text) => text.test(body))
}

const typesOf = (kind: AnyMessage): readonly string[] => {
  const type = kind.fields()['type']?.kind
  return type?.is === 'enumeration' ? type.names : []
}

function bodyOf(kind: AnyMessage, type: string, seed: number): unknown {
  const draw = dice(seed)
  const part = type.toLowerCase()
  const field = kind.fields()[part]?.kind
  const options = { texts: front.texts(), wrongPercent: draw(5) }
  const wanted = field?.is === 'message' && draw(20) > 0
  return {
    ...(draw(20) > 0 && { framework_id: { value: front.frameworkId } }),
    ...(wanted && { [part]: nearly(field, draw, options) }),
    ...(draw(10) === 0 && nearly(kind, draw, options)),
    type,
  }
}

describe.each([
  { url: schedulerUrl, kind: SchedulerCall },
  { url: operatorUrl, kind: MasterCall },
])('MF9: on $url', ({ url, kind }) => {
  test.each(typesOf(kind))(
    'a %s with whatever is in it is answered, and a refusal names the field',
    async (type) => {
      await fc.assert(
        fc.asyncProperty(fc.integer(), async (seed) => {
          const body = bodyOf(kind, type, seed)
          const answer = await front.ask(
            url,
            Buffer.from(JSON.stringify(body)),
            type === 'SUBSCRIBE',
          )

          expect(answer).toSatisfy(isAnswer)
        }),
        { numRuns: runs },
      )
    },
    timeoutMs,
  )
})

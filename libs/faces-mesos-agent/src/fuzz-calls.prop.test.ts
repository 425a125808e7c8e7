import { AgentCall, ExecutorCall, type AnyMessage } from '@conclave/model'
import { dice, nearly } from '@conclave/model/testing'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

/*
 * Bodies that are nearly a call, of each kind by itself, against an agent that decides for real.
 * `CONCLAVE_FUZZ_RUNS=100000 npx vitest run src/fuzz-calls.prop.test.ts` tries as many of each.
 */

const runs = Number(process.env['CONCLAVE_FUZZ_RUNS'] ?? 60)
const timeoutMs = 30_000 + runs * 40

let front: Front
beforeEach(() => {
  // One for each kind: whoever waits for a container that another kind has launched would wait for ever.
  front = new Front({ authenticateExecutors: false }, { isQuiet: true })
  front.launch()
})
afterEach(() => front.app.close())

/** Of what runs there only the framework: a stream that was let in would stay open, as it should. */
const texts = ['f1', 'x', 'nowhere', '/etc/passwd', 'dev/db', 'A', 'true']

const namesField =
  /field '[^']+'|Missing required fields: \S|'[A-Za-z_.]+'|`[A-Za-z_.]+`|\b[a-z]+[._][a-z_]+\b/

/** Mesos' own words where it names none, or names what was meant. */
const nameless = [
  /Failed to find enum for '|Expecting a JSON object|Nested deeper/,
  /Not a valid UUID$/,
  /^(Framework|Executor|Container) .*(cannot be found|not running|has not terminated yet)/s,
  /^404 Not Found\.$/,
  /(is|are) not supported\.?$/,
  /^Expecting 'Content-Type' /,
  /^Failed to validate Executor::Call: (ExecutorID in Call|Received )/,
  /^Executor is not subscribed$/,
  /^Parent container .* does not exist/,
]

function isAnswer({ status, body }: { readonly status: number; readonly body: string }): boolean {
  if ([200, 202, 501].includes(status)) return true
  if (![400, 403, 404, 415].includes(status)) return false
  return namesField.test(body) || nameless.some((text) => text.test(body))
}

const typesOf = (kind: AnyMessage): readonly string[] => {
  const type = kind.fields()['type']?.kind
  return type?.is === 'enumeration' ? type.names : []
}

function bodyOf(kind: AnyMessage, type: string, seed: number): object {
  const draw = dice(seed)
  const part = type.toLowerCase()
  const field = kind.fields()[part]?.kind
  const options = { texts, wrongPercent: draw(5) }
  return {
    ...(draw(20) > 0 && { framework_id: { value: 'f1' }, executor_id: { value: 'x' } }),
    ...(field?.is === 'message' && draw(20) > 0 && { [part]: nearly(field, draw, options) }),
    ...(draw(10) === 0 && nearly(kind, draw, options)),
    type,
  }
}

describe.each([
  { url: '/api/v1', kind: AgentCall },
  { url: '/api/v1/executor', kind: ExecutorCall },
])('FA9: on $url', ({ url, kind }) => {
  test.each(typesOf(kind))(
    'a %s with whatever is in it is answered, and a refusal names the field',
    async (type) => {
      await fc.assert(
        fc.asyncProperty(fc.integer(), async (seed) => {
          const { status, body } = await front.ask(url, bodyOf(kind, type, seed))

          expect({ status, body }).toSatisfy(isAnswer)
        }),
        { numRuns: runs },
      )
    },
    timeoutMs,
  )
})

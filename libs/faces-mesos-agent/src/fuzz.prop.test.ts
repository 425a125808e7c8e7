import { signExecutorToken } from '@conclave/crypto'
import * as fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

const front = new Front()
front.launch()
afterAll(() => front.app.close())
const token = signExecutorToken(front.key, { fid: 'f1', eid: 'e1', cid: 'c-t1' })

const calls = [
  'READ_FILE',
  'LIST_FILES',
  'GET_METRICS',
  'SET_LOGGING_LEVEL',
  'LAUNCH_NESTED_CONTAINER',
  'KILL_NESTED_CONTAINER',
  'REMOVE_NESTED_CONTAINER',
  'LAUNCH_NESTED_CONTAINER_SESSION',
  'ATTACH_CONTAINER_INPUT',
  'ATTACH_CONTAINER_OUTPUT',
  'LAUNCH_CONTAINER',
  'KILL_CONTAINER',
  'REMOVE_CONTAINER',
  'UPDATE',
  'MESSAGE',
  'HEARTBEAT',
  'SUBSCRIBE',
] as const

const runs = Number(process.env['CONCLAVE_FUZZ_RUNS'] ?? 2000)

/** The shape of a call with something wrong somewhere in it. */
const body = fc.oneof(
  fc.json().map((text) => text),
  fc
    .record({ type: fc.constantFrom(...calls), part: fc.jsonValue(), id: fc.jsonValue() })
    .map(({ type, part, id }) =>
      JSON.stringify({
        type,
        framework_id: { value: 'f1' },
        executor_id: id,
        [type.toLowerCase()]:
          typeof part === 'object' && part !== null && !Array.isArray(part)
            ? { container_id: { value: id, parent: { value: 'nowhere' } }, ...part }
            : part,
      }),
    ),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
)

test(
  'FA9: whatever comes is answered, and is no failure of ours',
  { timeout: 120_000 + runs * 40 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        body,
        fc.constantFrom('/api/v1', '/api/v1/executor'),
        fc.boolean(),
        fc.constantFrom('application/json', 'application/recordio', 'application/x-protobuf'),
        async (text, url, isExecutor, type) => {
          const { status } = await front.ask(url, text, {
            'content-type': type,
            ...(type === 'application/recordio' && { 'message-content-type': 'application/json' }),
            ...(isExecutor && { authorization: `Bearer ${token}` }),
          })
          expect(status).toBeLessThan(502)
          expect(status).not.toBe(500)
        },
      ),
      { numRuns: runs },
    )
  },
)

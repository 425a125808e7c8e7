import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

const methods = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS')
const roots = fc.constantFrom(
  ...'/conclave/v1/runs /conclave/v1/tasks /conclave/v1/secrets /conclave/v1/versions'.split(' '),
  ...'/conclave/v1/metadata /conclave/v1/agents /conclave/v1/masters /health /metrics /'.split(' '),
)
const piece = fc.oneof(
  fc.constantFrom('..', '', '%2F', '%00', '%zz', 'exec', 'logs', 'watch', 'kill', 'x'.repeat(2000)),
  fc
    .string({ unit: 'grapheme', maxLength: 8 })
    .map((text) => encodeURIComponent(text.toWellFormed())),
)
const query = fc
  .array(fc.tuple(fc.constantFrom('path', 'folder', 'follow', 'after', '__proto__'), piece), {
    maxLength: 3,
  })
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join('&'))
const url = fc
  .tuple(roots, fc.array(piece, { maxLength: 3 }), query)
  .map(([root, pieces, text]) => `${[root, ...pieces].join('/')}?${text}`)
const line = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.constant('{"argv":["ls"]}'),
  fc.constant('{"eof":true}'),
  fc.string(),
)
const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.json(),
  fc.array(line, { maxLength: 5 }).map((lines) => lines.join('\n')),
)

describe('any request at all', () => {
  test('CF9: is answered, and never with a failure of ours', async () => {
    const front = new Front()
    // The task runs and its sessions end by themselves; the streams that stay open are not asked for.
    await fc.assert(
      fc.asyncProperty(methods, url, body, async (method, target, sent) => {
        const { status } = await front.ask(method, target, { body: sent })

        expect(status).toBeGreaterThanOrEqual(200)
        expect(status).toBeLessThan(500)
      }),
      { numRuns: 1500 },
    )
  })

  test('CF9: an exec takes any lines, and answers', async () => {
    const front = new Front()
    front.master.tasks.add('task-1')
    const { tasks } = front.master
    const open = tasks.exec.bind(tasks)
    tasks.exec = async (...asked) => {
      const session = await open(...asked)
      tasks.sessions.at(-1)?.end(0)
      return session
    }
    const lines = fc.array(line, { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(lines, async (texts) => {
        const sent = ['{"argv":["ls"]}', ...texts].join('\n')
        const { status, text } = await front.ask('POST', '/conclave/v1/tasks/task-1/exec', {
          body: sent,
        })

        expect([status, text]).toEqual([200, '{"end":{"exitCode":0,"error":null}}\n'])
      }),
      { numRuns: 200 },
    )
  })
})

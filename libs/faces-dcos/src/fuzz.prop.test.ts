import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

const methods = fc.constantFrom('GET', 'PUT', 'PATCH', 'DELETE', 'POST', 'HEAD', 'OPTIONS')
const piece = fc.oneof(
  fc.constantFrom(
    '..',
    '.',
    '',
    '%2e',
    '%2F',
    '%00',
    '%',
    '%zz',
    '%25',
    '?list=true',
    '#',
    ';',
    ' ',
  ),
  fc
    .string({ unit: 'grapheme', maxLength: 12 })
    .map((text) => encodeURIComponent(text.toWellFormed())),
)
const roots = fc.constantFrom(
  '/secrets/v1/secret/default',
  '/secrets/v1/secret',
  '/secrets/v1/store',
  '/acs/api/v1/auth/login',
  '',
)
const url = fc
  .tuple(roots, fc.array(piece, { maxLength: 5 }))
  .map(([root, pieces]) => `${root}/${pieces.join('/')}`.replaceAll(' ', '+'))
const body = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)),
  fc
    .record({ value: fc.jsonValue(), uid: fc.jsonValue(), password: fc.jsonValue() })
    .map((object) => Buffer.from(JSON.stringify(object))),
)
const header = fc.string({
  unit: fc.constantFrom(...Array.from(' "#%*,./0;=Aabcgijlmnopqrstx+-')),
  maxLength: 30,
})
const type = fc.oneof(
  header,
  fc.constantFrom('application/json', 'application/octet-stream', 'text/plain; charset=x', ''),
)

describe('any request at all', () => {
  test('DC10: is answered, and never with a failure of ours', async () => {
    const front = new Front()
    await fc.assert(
      fc.asyncProperty(
        methods,
        url,
        body,
        type,
        header,
        async (method, target, sent, kind, accept) => {
          const answer = await front.ask(method, target, {
            body: sent,
            headers: { 'content-type': kind, accept },
          })

          expect(answer.statusCode).toBeGreaterThanOrEqual(200)
          expect(answer.statusCode).toBeLessThan(500)
        },
      ),
      { numRuns: 1500 },
    )
  })

  test('DC2: with any credentials but good ones reads nothing', async () => {
    const front = new Front()
    await fc.assert(
      fc.asyncProperty(header, url, async (authorization, target) => {
        await front.ask('GET', target, { headers: { authorization } })

        expect(front.master.secrets.audit).toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})

import { ConclaveError } from '@conclave/kernel'
import { expect, test } from 'vitest'
import { unreadableOf } from './unreadable.ts'

const error = (statusCode: unknown): Error => Object.assign(new Error('canary'), { statusCode })
const sent = (type?: string) => ({ headers: type === undefined ? {} : { 'content-type': type } })

test.each([
  ['canary', '"aaaaaa"'],
  ['application/', '"aaaaaaaaaaa/"'],
  ['a/b c; D=12-é"\u0000', '"a/a a; a=00-???"'],
  ['x'.repeat(41), `"${'a'.repeat(40)}..."`],
  ['', '""'],
])('RT23: the Content-Type %j is shown by its shape alone', (type, shape) => {
  const { status, message = '' } = unreadableOf(error(415), sent(type)) ?? {}

  expect(status).toBe(415)
  expect(message).toContain(`the Content-Type has the shape ${shape}, which is no type/subtype`)
  expect(message).toContain('application/octet-stream')
})

test('RT23: what else the framework refuses is not said in its words', () => {
  expect(unreadableOf(error(400), sent('canary'))).toEqual({
    status: 400,
    message: 'the request could not be read',
  })
})

test.each([
  ['a failure of ours', error(500)],
  ['an error without a status', error(undefined)],
  [
    'an error of ours',
    new (class extends ConclaveError {
      readonly code = 'x'
      readonly statusCode = 400
    })('x'),
  ],
])('RT23: %s is no refusal of the framework', (_what, thrown) => {
  expect(unreadableOf(thrown, sent())).toBeUndefined()
})

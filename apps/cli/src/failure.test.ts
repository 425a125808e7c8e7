import { ConclaveError } from '@conclave/kernel'
import { HttpFailed } from '@conclave/runtime'
import { expect, test } from 'vitest'
import { CommandFailed, exitCode, failureIn, failureOf } from './failure.ts'

test.each([
  [400, 2],
  [401, 4],
  [403, 4],
  [404, 3],
  [409, 6],
  [413, 2],
  [422, 2],
  [429, 5],
  [500, 5],
  [503, 5],
])('CC2: a refusal with status %i ends with %i', (status, expected) => {
  expect(exitCode[failureOf(status)]).toBe(expected)
})

test('an error that nobody put into other words still ends with the code of its kind', () => {
  class Strange extends ConclaveError {
    readonly code = 'strange'
  }

  expect(failureIn(new CommandFailed('conflict', 'x'))).toBe('conflict')
  expect(failureIn(new HttpFailed('GET', new URL('http://localhost'), 'x'))).toBe('unavailable')
  expect(failureIn(new Strange('x'))).toBe('failed')
})

import { open } from 'node:fs/promises'
import { ConclaveError } from '@conclave/kernel'
import { expect, test } from 'vitest'
import { reasonOf } from './reason.ts'

class Ours extends ConclaveError {
  readonly code = 'ours'
}

test('RT26: what is no fault of the program is told in a sentence, and anything else is not', async () => {
  const missing = await open('/nowhere/at/all').catch((error: unknown) => error)
  const said = "ENOENT: no such file or directory, open '/nowhere/at/all'"
  expect(reasonOf(missing)).toBe(said)
  expect(reasonOf(new Ours('it is not right'))).toBe('it is not right')
  expect(reasonOf(new Ours('it was not kept', { cause: missing }))).toBe(`it was not kept: ${said}`)
  const twice = new Ours('it was not kept', { cause: new Ours('x', { cause: missing }) })
  expect(reasonOf(twice)).toBe(`it was not kept: ${said}`)
  expect(reasonOf(new Ours('not there (ENOENT)', { cause: missing }))).toBe('not there (ENOENT)')
  expect(reasonOf(new TypeError('x is not a function'))).toBeUndefined()
  expect(reasonOf('nothing')).toBeUndefined()
})

import { format, inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { ConclaveError, invariant, InvariantViolated } from './errors.ts'
import { Redacted, wipe } from './redacted.ts'

describe('KE1: a redacted value', () => {
  const secret = 'cnry0000s3cr3t'
  const redacted = new Redacted(secret)

  test.each<[string, () => string]>([
    ['a template', () => `about ${redacted as unknown as string}`],
    ['a concatenation', () => 'about ' + (redacted as unknown as string)],
    ['JSON', () => JSON.stringify({ redacted, list: [redacted] })],
    ['inspect', () => inspect({ redacted }, { depth: 10, showHidden: true, getters: true })],
    ['console formatting', () => format('%s %o %O %j', redacted, redacted, redacted, redacted)],
    ['String', () => String(redacted)],
    [
      'its properties',
      () => JSON.stringify(Object.entries(Object.getOwnPropertyDescriptors(redacted))),
    ],
    ['an error', () => String(new Error('about', { cause: redacted }).cause)],
    ['a copy', () => JSON.stringify(structuredClone(redacted))],
  ])('does not show itself in %s', (_where, show) => {
    expect(show()).not.toContain('s3cr3t')
  })

  test('is told to whoever asks by name', () => {
    expect(redacted.reveal()).toBe(secret)
  })
})

test('KE2: wiping overwrites the very bytes, boxed in Redacted or not', () => {
  const [a, b] = [Uint8Array.of(1, 2), Uint8Array.of(3, 4)]
  wipe(a)
  wipe(new Redacted(b))
  expect([...a, ...b]).toEqual([0, 0, 0, 0])
})

test('an error is named after its class and keeps its cause', () => {
  class CupMissing extends ConclaveError {
    readonly code = 'cup.missing'
  }
  const cause = new Error('dropped')
  const error = new CupMissing('no cup', { cause })
  expect(error).toMatchObject({ name: 'CupMissing', message: 'no cup', cause, code: 'cup.missing' })
})

test('an invariant that does not hold is a bug of ours', () => {
  expect(() => invariant(false, 'one leader per term')).toThrow(InvariantViolated)
  expect(() => invariant(1, 'holds')).not.toThrow()
})

import { assert, property, stringMatching } from 'fast-check'
import { expect, test } from 'vitest'
import { matchesGlob } from './glob.ts'

test.each([
  ['redis', 'redis', true],
  ['redis', 'redis:7', false],
  ['red*', 'redis:7', true],
  ['r?dis:*', 'redis:7', true],
  ['*', 'eon01/infinite', false],
  ['*/*', 'eon01/infinite', true],
  ['*in*te', 'infinite', true],
  ['', '', true],
  ['a.c', 'abc', false],
])('DK25: %s and %s: %s', (pattern, text, isMatch) => {
  expect(matchesGlob(pattern, text)).toBe(isMatch)
})

const short = (of: string) => stringMatching(new RegExp(`^[${of}]{0,8}$`))

test('DK25: a pattern means what the same regular expression means', () => {
  assert(
    property(short('ab*?/'), short('ab/'), (pattern, text) => {
      const same = pattern.replaceAll('*', '[^/]*').replaceAll('?', '[^/]')
      expect(matchesGlob(pattern, text)).toBe(new RegExp(`^${same}$`).test(text))
    }),
    { numRuns: 5000 },
  )
})

test('DK25: no pattern takes long', () => {
  expect(matchesGlob('*a'.repeat(400), `${'a'.repeat(50_000)}b`)).toBe(false)
})

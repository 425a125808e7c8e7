import { expect, test } from 'vitest'
import { trimEndOf, trimOf } from './text.ts'

test.each([
  ['', '', ''],
  ['/', '', ''],
  ['///', '', ''],
  ['a', 'a', 'a'],
  ['/a//b/', '/a//b', 'a//b'],
  ['//a///', '//a', 'a'],
])('KE5: of %j the end goes, and both ends', (text, withoutEnd, withoutEnds) => {
  expect(trimEndOf(text, '/')).toBe(withoutEnd)
  expect(trimOf(text, '/')).toBe(withoutEnds)
})

test('KE5: any of several characters goes', () => {
  expect(trimEndOf('sleep 1 & \n', ' \n&')).toBe('sleep 1')
})

test('KE5 threat:NT-10: a million of them in the middle are passed over once', () => {
  const text = `a${'/'.repeat(1_000_000)}b`

  expect(trimOf(text, '/')).toBe(text)
})

import { expect, test } from 'vitest'
import { idOf, idRandomBytes, isId } from './id.ts'

test('an id has 25 characters, whatever the dice say', () => {
  const lowest = new Uint8Array(idRandomBytes)
  const highest = lowest.map(() => 255)
  for (const bytes of [lowest, highest]) expect(isId(idOf(bytes))).toBe(true)
  expect(isId('0123456789abcdef')).toBe(false)
  expect(idOf(lowest)).not.toBe(idOf(highest))
})

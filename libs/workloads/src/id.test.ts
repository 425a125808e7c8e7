import { expect, test } from 'vitest'
import { idOf, idRandomBytes } from './id.ts'

test('an id has 25 characters, whatever the dice say', () => {
  const lowest = new Uint8Array(idRandomBytes)
  const highest = lowest.map(() => 255)
  for (const bytes of [lowest, highest]) expect(idOf(bytes)).toMatch(/^[0-9a-z]{25}$/)
  expect(idOf(lowest)).not.toBe(idOf(highest))
})

import { expect, test } from 'vitest'
import { RightsMemory } from './rights-memory.ts'

test('what was found is not looked for again while nobody’s rights change', () => {
  const memory = new RightsMemory<boolean>(() => 7)

  expect(memory.get('dev read a', () => true)).toBe(true)
  expect(memory.get('dev read a', () => false)).toBe(true)
  expect(memory.get('dev read b', () => false)).toBe(false)
})

test('MA16: nothing is remembered beyond a change of anybody’s rights', () => {
  let revision = 7
  const memory = new RightsMemory<boolean>(() => revision)
  memory.get('dev read a', () => true)

  revision = 8
  expect(memory.get('dev read a', () => false)).toBe(false)
  // A state that was restored may be an older one.
  revision = 7
  expect(memory.get('dev read a', () => true)).toBe(true)
})

test('a bounded number of answers is kept', () => {
  const memory = new RightsMemory<boolean>(() => 7)
  memory.get('first', () => true)
  for (let n = 0; n < 5000; n++) memory.get(`${n}`, () => true)

  expect(memory.get('first', () => false)).toBe(false)
})

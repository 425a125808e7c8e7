import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { OrderedKeys } from './ordered-keys.ts'

const keyOf = (number: number): string => `k${String(number).padStart(5, '0')}`

/** Ranges, so that whole chunks fill, split, empty and merge. */
const range = fc
  .tuple(fc.boolean(), fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 1, max: 900 }))
  .map(([isInsert, from, length]) => ({ isInsert, from, length }))

test('ST1: whatever is inserted and deleted, keys come in order from wherever one begins', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 14 }), fc.nat(4000), (ranges, start) => {
      const keys = new OrderedKeys<{ readonly key: string }>()
      const model = new Set<string>()
      for (const { isInsert, from, length } of ranges) {
        for (let number = from; number < from + length; number++) {
          const key = keyOf(number)
          if (isInsert && !model.has(key)) keys.insert({ key })
          if (isInsert) model.add(key)
          else {
            model.delete(key)
            keys.delete(key)
          }
        }
      }
      const seen: string[] = []
      keys.scan(keyOf(start), ({ key }) => {
        seen.push(key)
        return true
      })
      expect(seen).toEqual([...model].filter((key) => key >= keyOf(start)).sort())
    }),
    { numRuns: 60 },
  )
})

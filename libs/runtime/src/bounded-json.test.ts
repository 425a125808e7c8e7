import { utf8 } from '@conclave/kernel'
import { assert, json as anyJson, property } from 'fast-check'
import { expect, test } from 'vitest'
import { jsonFault } from './bounded-json.ts'

const anyNumber = { depthMax: Infinity }

/** Names with their values, items, and the whole. */
function valuesIn(json: unknown): number {
  if (typeof json !== 'object' || json === null) return 1
  return 1 + Object.values(json).reduce((sum: number, value) => sum + valuesIn(value), 0)
}

test('RT24: as many values as there are in any JSON are taken, whatever stands in its texts', () => {
  assert(
    property(anyJson({ maxDepth: 5 }), (text) => {
      const values = valuesIn(JSON.parse(text))

      // One at most is counted too much for each empty object or array.
      const empty = text.split(/\{\}|\[\]/).length - 1
      expect(jsonFault(utf8(text), { ...anyNumber, valuesMax: values + empty })).toBeUndefined()
      const fewer = { ...anyNumber, valuesMax: values - 1 }
      expect(jsonFault(utf8(text), fewer)).toBe(`has more than ${values - 1} values`)
    }),
  )
})

test.each([
  ['["a,b", "[{"]', 3, 1],
  [String.raw`["\"", "\\", "\\\",[", ","]`, 5, 1],
  ['[[1],[2,[3]]]', 7, 3],
  ['{"a":{"b":[]}}', 4, 3],
])('RT24: %s has %i values, %i deep', (text, values, depth) => {
  const of = (valuesMax: number, depthMax: number) => jsonFault(utf8(text), { valuesMax, depthMax })

  expect(of(values, depth)).toBeUndefined()
  expect(of(values - 1, depth)).toBe(`has more than ${values - 1} values`)
  expect(of(values, depth - 1)).toBe(`is nested deeper than ${depth - 1}`)
})

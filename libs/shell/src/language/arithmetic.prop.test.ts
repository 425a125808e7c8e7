import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { evaluate, parseArithmetic } from './arithmetic.ts'

const none = { getVariable: () => undefined, setVariable: () => {} }

const shellValue = (text: string): bigint => BigInt(evaluate(parseArithmetic(text), none))

interface Sum {
  readonly text: string
  readonly value: bigint
}

const wrap = (value: bigint): bigint => BigInt.asIntN(64, value)

const operators: Readonly<Record<string, (left: bigint, right: bigint) => bigint>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '&': (left, right) => left & right,
  '|': (left, right) => left | right,
  '^': (left, right) => left ^ right,
  '<': (left, right) => (left < right ? 1n : 0n),
  '>=': (left, right) => (left >= right ? 1n : 0n),
  '==': (left, right) => (left === right ? 1n : 0n),
}

const { sum } = fc.letrec<{ sum: Sum; leaf: Sum; node: Sum }>((tie) => ({
  sum: fc.oneof({ maxDepth: 5 }, tie('leaf'), tie('node')),
  leaf: fc
    .bigInt({ min: 0n, max: 2n ** 63n - 1n })
    .map((value) => ({ text: String(value), value })),
  node: fc
    .tuple(fc.constantFrom(...Object.keys(operators)), tie('sum'), tie('sum'))
    .map(([operator, left, right]) => ({
      text: `(${left.text} ${operator} ${right.text})`,
      value: wrap(operators[operator]?.(left.value, right.value) ?? 0n),
    })),
}))

test('arithmetic is that of signed 64-bit integers', () => {
  fc.assert(
    fc.property(sum, ({ text, value }) => {
      expect(shellValue(text)).toBe(value)
    }),
  )
})

test('division cuts towards zero, and the remainder has the sign of the dividend', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n }),
      fc.integer({ min: 1 }),
      (left, right) => {
        const divisor = BigInt(right)
        expect(shellValue(`${left} / ${right}`)).toBe(left / divisor)
        expect(shellValue(`${left} % ${right}`)).toBe(left % divisor)
      },
    ),
  )
})

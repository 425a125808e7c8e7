import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Glob } from './glob.ts'

const run = <Result>(task: Generator<unknown, Result, void>): Result => {
  let step = task.next()
  while (step.done !== true) step = task.next()
  return step.value
}

const pieces: readonly (readonly [glob: string, regex: string])[] = [
  ['a', 'a'],
  ['b', 'b'],
  ['*', '[^]*'],
  ['?', '[^]'],
  ['[ab]', '[ab]'],
  ['[!a]', '[^a]'],
  [String.raw`\*`, String.raw`\*`],
]

const pattern = fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((chosen) => ({
  glob: chosen.map(([glob]) => glob).join(''),
  regex: chosen.map(([, regex]) => regex).join(''),
}))

const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', 'c'), maxLength: 8 })

test('a pattern matches what the same regular expression matches', () => {
  fc.assert(
    fc.property(pattern, text, ({ glob, regex }, subject) => {
      const expected = new RegExp(`^${regex}$`).test(subject)
      expect(run(new Glob(glob).matches(subject))).toBe(expected)
    }),
    { numRuns: 1000 },
  )
})

test('the longest and shortest prefix and suffix are those of all that match', () => {
  fc.assert(
    fc.property(pattern, text, ({ glob, regex }, subject) => {
      const whole = new RegExp(`^${regex}$`)
      const lengths = Array.from({ length: subject.length + 1 }, (_, length) => length)
      const prefixes = lengths.filter((length) => whole.test(subject.slice(0, length)))
      const suffixes = lengths.filter((length) =>
        whole.test(subject.slice(subject.length - length)),
      )
      const made = new Glob(glob)
      expect(run(made.measure(subject, 'prefix', true))).toBe(prefixes.at(-1) ?? -1)
      expect(run(made.measure(subject, 'prefix', false))).toBe(prefixes[0] ?? -1)
      expect(run(made.measure(subject, 'suffix', true))).toBe(suffixes.at(-1) ?? -1)
      expect(run(made.measure(subject, 'suffix', false))).toBe(suffixes[0] ?? -1)
    }),
    { numRuns: 1000 },
  )
})

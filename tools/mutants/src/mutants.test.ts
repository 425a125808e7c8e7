import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Copy } from './copy.ts'
import { cast, failureIn } from './nets.ts'
import { describeResults } from './report.ts'
import { mutants, type Mutant } from './table.ts'

const root = join(import.meta.dirname, '../../..')
const named = (name: string): Mutant => {
  const mutant = mutants.find((one) => one.name === name)
  if (mutant === undefined) throw new Error(`there is no mutant ${name}`)
  return mutant
}

describe('the table of mutants', () => {
  test('MU1: has forty at least, each with a name of its own', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(40)
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length)
  })

  test.each(mutants)('MU1: finds what $name changes, once', ({ file, find, replace }) => {
    expect(readFileSync(join(root, file), 'utf8').split(find)).toHaveLength(2)
    expect(replace).not.toBe(find)
  })
})

test('MU2: a mutant is caught in a copy, which is whole again afterwards, and then gone', async () => {
  const mutant = named('record-not-synced')
  const copy = new Copy(root)
  try {
    const options = { root: copy.root, corpus: undefined, simulationSeconds: 60 }
    const caught = await copy.with(mutant, () => cast('simulation', mutant, options))

    expect(caught).toMatchObject({ isCaught: true, by: expect.stringMatching(/^SI5, /) })
    const text = readFileSync(join(copy.root, mutant.file), 'utf8')
    expect(text).toBe(readFileSync(join(root, mutant.file), 'utf8'))
  } finally {
    copy.remove()
  }
  expect(existsSync(copy.root)).toBe(false)
}, 120_000)

test.each([
  [
    ' FAIL  src/a.test.ts > stops\nInvariantViolated: the term never falls\n ❯ src/a.ts:1\n',
    'src/a.test.ts > stops: the term never falls',
  ],
  [' FAIL  src/a.test.ts > stops\nAssertionError: expected 1 to be 2\n', 'src/a.test.ts > stops'],
  ['no test files', undefined],
])('MU3: what caught a mutant is the test, and the invariant that it met: %j', (output, by) => {
  expect(failureIn(output)).toBe(by)
})

test('MU3: the report counts what each net caught, and says what is alive', () => {
  const seen = { isCaught: true, seconds: 1.26, by: 'SI1, crashes 3' }
  const missed = { isCaught: false, seconds: 20, by: '51 seeds' }

  const text = describeResults([
    { mutant: named('vote-twice'), catches: { corpus: missed, simulation: seen } },
    { mutant: named('aba'), catches: { simulation: missed } },
  ])

  expect(text).toContain(
    '2 mutants, 1 alive. Caught: corpus 0 of 1, simulation 1 of 2, unit 0 of 0.',
  )
  expect(text).toMatch(
    /^\| `vote-twice` .* \| no \(51 seeds\) \| \*\*1\.3 s\*\* SI1, crashes 3 \|/m,
  )
})

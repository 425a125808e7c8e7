import { Redacted, utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { gather } from './gather.ts'
import type { Resolved, WantedSecret } from './resolver.ts'

const wanted: readonly WantedSecret[] = ['a', 'b'].map((name) => ({
  secret: { type: 'REFERENCE', reference: { name } },
  purpose: `env ${name}`,
}))

/** Two parts of one secret each, answered when the test says so. */
function halves() {
  const bytes = [utf8('first'), utf8('second')]
  const answers: (readonly Resolved[])[] = []
  const arrive: (() => void)[] = []
  const abandon = gather(
    wanted,
    wanted.map((one, index) => ({
      wanted: [one],
      ask: (answer) => {
        const value = new Redacted(bytes[index] ?? utf8(''))
        arrive.push(() => answer([{ outcome: 'value', bytes: value, path: 'p', version: 1 }]))
        return () => undefined
      },
    })),
    (resolved) => answers.push(resolved),
  )
  return { bytes, answers, arrive, abandon }
}

const isWiped = (bytes: Uint8Array | undefined): boolean =>
  bytes?.every((byte) => byte === 0) === true

describe('two questions for one container', () => {
  test('RS9: abandoned half-way, what came is wiped', () => {
    const { bytes, answers, arrive, abandon } = halves()

    arrive[0]?.()
    expect(isWiped(bytes[0])).toBe(false)
    abandon()

    expect(isWiped(bytes[0])).toBe(true)
    expect(answers).toEqual([])
  })

  test('RS9: what comes after is wiped, and answers nobody', () => {
    const { bytes, answers, arrive, abandon } = halves()

    abandon()
    for (const come of arrive) come()

    expect(bytes.every(isWiped)).toBe(true)
    expect(answers).toEqual([])
  })

  test('RS9: what was answered is whole, and its asker wipes it', () => {
    const { bytes, answers, arrive, abandon } = halves()

    for (const come of arrive.toReversed()) come()
    abandon()

    expect(answers.flat().map((one) => one.outcome)).toEqual(['value', 'value'])
    expect(bytes.some(isWiped)).toBe(false)
  })
})

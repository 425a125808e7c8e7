import { inspect } from 'node:util'
import { Redacted } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { canary, Canary, expectNoLeak, findCanary, LeakFound } from './index.ts'

describe('expectNoLeak', () => {
  const planted = canary('password')

  test.each<[string, unknown]>([
    ['a text', `log line with ${planted.text}`],
    ['bytes', planted.bytes],
    ['a deep field', { a: [{ b: new Map([['c', planted.text]]) }] }],
    ['a cause', new Error('outer', { cause: new Error(`not ${planted.text}`) })],
    ['a hidden field', Object.defineProperty({}, 'hidden', { value: planted.text })],
    ['what JSON makes of it', { toJSON: () => planted.text }],
    ['a buffer in a list', [Buffer.from(planted.text)]],
  ])('TK5: finds a canary in %s', (_name, place) => {
    expect(() => expectNoLeak({ place }, [canary(), planted])).toThrow(LeakFound)
  })

  test('TK5: passes what holds none', () => {
    const shown = new Redacted(planted.text)

    expect(() =>
      expectNoLeak({ shown, list: [1, 'two', null, undefined] }, [planted]),
    ).not.toThrow()
  })

  test('TK5: does not pass a search of nothing, or for nothing', () => {
    expect(() => expectNoLeak({}, [planted])).toThrow(LeakFound)
    expect(() => expectNoLeak({ log: '' }, [])).toThrow(LeakFound)
  })

  test('TK4: says where, as what and whose, and never what', () => {
    const leak = leakOf({ 'the log': `x${planted.text}` })

    expect(leak.message).toBe('the log: canary password as raw at 1')
    expect(findCanary(Buffer.from(inspect(leak)), planted)).toEqual([])
  })

  function leakOf(places: Readonly<Record<string, unknown>>): LeakFound {
    try {
      expectNoLeak(places, [planted])
    } catch (error) {
      if (error instanceof LeakFound) return error
    }
    throw new Error('nothing was found')
  }
})

describe('a canary', () => {
  test('TK6: is 32 characters, and no two are alike', () => {
    const texts = Array.from({ length: 100 }, () => canary('Some Label').text)

    for (const text of texts) expect(text).toMatch(/^cnry[a-z0-9]{8}some[a-z0-9]{16}$/)
    expect(new Set(texts).size).toBe(100)
  })

  test('TK6: shows its label, not its text', () => {
    const shown = canary('api')

    expect([String(shown), JSON.stringify(shown), inspect([shown])].join()).not.toContain(
      shown.text,
    )
    expect(inspect(shown)).toBe('canary api')
  })

  test('TK6: of another shape is refused, because forms would be missed', () => {
    expect(() => new Canary('CNRY', 'short')).toThrow(TypeError)
  })
})

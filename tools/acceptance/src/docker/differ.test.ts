import { describe, expect, test } from 'vitest'
import { differencesOf } from './differ.ts'
import { Identities } from './identities.ts'

const idA = 'icn3blr71cte7l1yjh3o8a18i'
const idB = 'ovhzgjevvf2xv70m2opoa2uxn'
const idC = '06n7itpjawb7d2rixqvqogyzg'
const container = (first: string): string => first.repeat(64)

const pathsOf = (expected: unknown, got: unknown, identities = new Identities()): string[] =>
  differencesOf(expected, got, identities).map(({ path }) => path)

describe('another swarm agrees', () => {
  test.each([
    ['another id', { ID: idA }, { ID: idB }],
    ['another time', '2026-11-22T04:30:27.266212021Z', '2027-01-01T00:00:00.5Z'],
    ['another version', { Index: 11 }, { Index: 70 }],
    ['another address', '192.168.99.100:2377', '10.0.0.1:4000'],
    ['another name of a container', `/web.1.${idA}`, `/web.1.${idB}`],
    ['another order', [{ Name: 'a' }, { Name: 'b' }], [{ Name: 'b' }, { Name: 'a' }]],
    [
      'another day in ls',
      '-r-------- 1 root root 33 Nov 22 04:32 x',
      '-r-------- 1 root root 33 Jan  1 10:00 x',
    ],
  ])('with %s', (_what, expected, got) => {
    expect(pathsOf(expected, got)).toEqual([])
  })
})

describe('a difference is', () => {
  test.each([
    ['a field that is missing', { a: { b: 1 } }, { a: {} }, ['.a.b']],
    ['a field too many', { a: 1 }, { a: 1, b: null }, ['.b']],
    ['null instead of an empty list', { a: [] }, { a: null }, ['.a']],
    ['an element too many', ['x'], ['y', 'x'], ['[1]']],
    ['an element that is missing', ['x', 'y'], ['y'], ['[0]']],
    ['another text', { a: 'running' }, { a: 'pending' }, ['.a']],
    ['another number', { Mode: 292 }, { Mode: 256 }, ['.Mode']],
    ['a process that is none', { PID: 24401 }, { PID: 0 }, ['.PID']],
    ['a time that is none', '2026-11-22T04:30:27Z', '0001-01-01T00:00:00Z', ['']],
    ['an id of another kind', { ID: idA }, { ID: container('a') }, ['.ID']],
    ['a number as text', { a: 1 }, { a: '1' }, ['.a']],
    ['an id that was another before', [{ a: idA, b: idA }], [{ a: idB, b: idC }], ['[0].b']],
    ['an id that stood for another before', [{ a: idA, b: idB }], [{ a: idC, b: idC }], ['[0].b']],
  ])('%s', (_what, expected, got, paths) => {
    expect(pathsOf(expected, got)).toEqual(paths)
  })

  test('shown with what was expected and what came', () => {
    expect(differencesOf({ a: [1] }, { a: [2] }, new Identities())).toEqual([
      { path: '.a[0]', expected: '1', got: '2' },
    ])
  })

  test('no field that the recording left out, where it did', () => {
    const trimmed = { isTrimmed: true }
    expect(differencesOf({ a: 1 }, { a: 1, b: 2 }, new Identities(), trimmed)).toEqual([])
    expect(differencesOf({ a: 1, b: 2 }, { a: 1 }, new Identities(), trimmed)).toHaveLength(1)
  })
})

describe('what was recorded is asked for with our ids', () => {
  test('and versions, and the beginnings of container ids', () => {
    const identities = new Identities()
    const ours = `${'0a'.repeat(6)}${'f'.repeat(52)}`
    differencesOf(
      { ID: idA, Version: { Index: 12 }, Id: `8fcf47a98194${'d'.repeat(52)}` },
      { ID: idB, Version: { Index: 99 }, Id: ours },
      identities,
    )
    expect(identities.translate(`POST /services/${idA}/update?a=b&version=12`)).toBe(
      `POST /services/${idB}/update?a=b&version=99`,
    )
    expect(identities.translate('GET /containers/8fcf47a98194/json')).toBe(
      'GET /containers/0a0a0a0a0a0a/json',
    )
    expect(identities.translate(`"${idC}"`)).toBe(`"${idC}"`)
  })
})

import { describe, expect, test } from 'vitest'
import { speaks, splitVersion } from './versions.ts'

describe('DK2: the version in a path', () => {
  test.each([
    ['/v1.41/secrets?filters={}', [1, 41], '/secrets?filters={}'],
    ['/v1.24/_ping', [1, 24], '/_ping'],
    ['/v1.47', [1, 47], '/'],
    ['/secrets', [1, 47], '/secrets'],
    ['/volumes', [1, 47], '/volumes'],
    ['/v1.41x/secrets', [1, 47], '/v1.41x/secrets'],
    ['/v1.410000/secrets', [1, 47], '/v1.410000/secrets'],
  ])('%s', (url, version, rest) => {
    expect(splitVersion(url)).toEqual({ version, url: rest })
  })

  test('is refused in the words of dockerd when nobody here speaks it', () => {
    expect(splitVersion('/v1.99/info')).toEqual({
      refused: 'too-new',
      message: 'client version 1.99 is too new. Maximum supported API version is 1.47',
    })
    expect(splitVersion('/v1.11/info')).toEqual({
      refused: 'too-old',
      message:
        'client version 1.11 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
    })
    expect(splitVersion('/v0.99/info')).toMatchObject({ refused: 'too-old' })
    expect(splitVersion('/v2.0/info')).toMatchObject({ refused: 'too-new' })
  })

  test('says what the client knows', () => {
    expect(speaks([1, 41], '1.42')).toBe(false)
    expect(speaks([1, 42], '1.42')).toBe(true)
    expect(speaks([2, 0], '1.42')).toBe(true)
  })
})

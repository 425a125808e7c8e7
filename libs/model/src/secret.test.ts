import { describe, expect, test } from 'vitest'
import { parseSecretFolder, parseSecretPath, PathInvalid, SecretPath } from './secret.ts'

describe('MO1: a secret path', () => {
  test.each([
    ['a', 'a'],
    ['/a/b', 'a/b'],
    ['//instance-profile-app/aws-config', 'instance-profile-app/aws-config'],
    ['dev/db/pass word', 'dev/db/pass word'],
    ['Ärger/größe', 'Ärger/größe'],
    ['a/...', 'a/...'],
    ['a/.hidden', 'a/.hidden'],
    ['mail/bob@example.com', 'mail/bob@example.com'],
  ])('%j names the secret %j', (text, path) => {
    expect(parseSecretPath(text)).toBe(path)
    expect(SecretPath.parse(path)).toBe(path)
  })

  test.each([
    ['', 'is empty'],
    ['///', 'is empty'],
    ['a//b', 'empty segment (number 2)'],
    ['a/b/', 'empty segment (number 3)'],
    ['.', 'segment "."'],
    ['a/../b', 'segment ".."'],
    ['a\u0000b', 'control character'],
    ['a\nb', 'control character'],
    ['a\u0085b', 'control character'],
    ['a/\u202Etxt', 'invisible'],
    ['a\ud800', 'not valid Unicode'],
    ['what?', '? # % *'],
    ['a#b', '? # % *'],
    ['100%', '? # % *'],
    ['dev/*', '? # % *'],
    ['dev\\x', '? # % *'],
    ['a'.repeat(1025), 'longer than 1024 bytes'],
    ['é'.repeat(513), 'longer than 1024 bytes'],
  ])('%j is refused, and the message says why', (text, why) => {
    const parse = () => parseSecretPath(text, 'secrets.db.source')

    expect(parse).toThrow(PathInvalid)
    expect(parse).toThrow(`secrets.db.source `)
    expect(parse).toThrow(why)
  })

  test('has one canonical form, so a leading slash is no part of the schema', () => {
    expect(SecretPath.safeParse('/a').success).toBe(false)
    expect(SecretPath.parse('a'.repeat(1024))).toHaveLength(1024)
  })

  test('of a folder may be empty, which is the root', () => {
    expect(['', '/', '/dev', 'dev/', '//dev/db//'].map((text) => parseSecretFolder(text))).toEqual([
      '',
      '',
      'dev',
      'dev',
      'dev/db',
    ])
    expect(() => parseSecretFolder('a//b')).toThrow(PathInvalid)
    // threat:NT-10: looked at once, not from each of its slashes anew.
    expect(() => parseSecretFolder(`a${'/'.repeat(1_000_000)}b`)).toThrow(PathInvalid)
  })
})

import { createHmac } from 'node:crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { readExecutorToken, signExecutorToken } from './index.ts'

const key = new Redacted(utf8('conclave-test-key'))
const claims = {
  fid: '9aaa9d0d-e00d-444f-bfbd-23dd197939a0-0000',
  eid: 'web.1',
  cid: '11111111-2222-4333-8444-555555555555',
}
// Source: reference/mesos.md §18, verified there.
const vector =
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjaWQiOiIxMTExMTExMS0yMjIyLTQzMzMtODQ0NC01NTU1NTU1NTU1NTUiLCJlaWQiOiJ3ZWIuMSIsImZpZCI6IjlhYWE5ZDBkLWUwMGQtNDQ0Zi1iZmJkLTIzZGQxOTc5MzlhMC0wMDAwIn0.KYkgiYp4hhBw1l6ytuGdJE78dmBbYEUjA2spCtg9JG8'
const withExp =
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjk5OTk5OTk5OTksInN1YiI6ImZvbyJ9.7dwSK1mIRKqJTPQT8-AGnI-r8nnefw2hhai3kgBg7bs'
const encode = (text: string): string => Buffer.from(text).toString('base64url')
const head = encode('{"alg":"HS256","typ":"JWT"}')

function signed(header: string, payload: string): string {
  const text = `${encode(header)}.${encode(payload)}`
  const mac = createHmac('sha256', key.reveal()).update(text).digest('base64url')
  return `${text}.${mac}`
}

const why = (token: string, nowMs = 0): string => {
  const verdict = readExecutorToken(key, token, nowMs)
  return verdict.outcome === 'invalid' ? verdict.why : 'valid'
}

describe('an executor token', () => {
  test('CR14: is byte for byte the one that Mesos makes, whatever the order of its claims', () => {
    expect(signExecutorToken(key, claims)).toBe(vector)
    expect(readExecutorToken(key, vector, 0)).toEqual({ outcome: 'valid', claims })
  })

  test('CR14: of another maker is read, its numbers as texts', () => {
    const verdict = readExecutorToken(new Redacted(utf8('secret')), withExp, 9_999_999_999_000)
    expect(verdict).toEqual({ outcome: 'valid', claims: { exp: '9999999999', sub: 'foo' } })
  })

  test.each([
    ['two parts', `${head}.e30`, 'Expected 3 components in token, got 2'],
    [
      'no base64url in front',
      `!.e30.x`,
      'Failed to decode token header: Failed to base64url-decode: Invalid character',
    ],
    [
      'no JSON in front',
      `${encode('x')}.e30.x`,
      'Failed to decode token header: Failed to parse into JSON: syntax error',
    ],
    ['no alg', signed('{"typ":"JWT"}', '{}'), "Failed to locate 'alg' in token JSON header"],
    ['a numeric alg', signed('{"alg":1}', '{}'), "Token 'alg' field is not a string"],
    ['RS512', signed('{"alg":"RS512"}', '{}'), 'Unsupported token algorithm: RS512'],
    [
      'an alg that would break a header',
      signed('{"alg":"a\\"\\r\\nx"}', '{}'),
      'Unsupported token algorithm: a???x',
    ],
    ['a numeric typ', signed('{"alg":"HS256","typ":1}', '{}'), "Token 'typ' is not a string"],
    ['crit', signed('{"alg":"HS256","crit":[]}', '{}'), "Token 'crit' field is unsupported"],
    [
      'none',
      signed('{"alg":"none"}', '{}'),
      'Token \'alg\' value "none" does not match, expected "HS256"',
    ],
    [
      'RS256',
      signed('{"alg":"RS256"}', '{}'),
      'Token \'alg\' value "RS256" does not match, expected "HS256"',
    ],
    [
      'a payload that is no object',
      signed('{"alg":"HS256"}', '[]'),
      'Failed to decode token payload: Failed to parse into JSON: syntax error',
    ],
    [
      'an exp that is no number',
      signed('{"alg":"HS256"}', '{"exp":"1"}'),
      "JSON payload 'exp' field is not a number",
    ],
    [
      'a signature that is no base64url',
      `${head}.e30.=`,
      'Failed to base64url-decode token signature: Failed to base64url-decode: Invalid character',
    ],
    ['no signature', `${head}.e30.`, 'Token signature does not match'],
  ])('CR14: with %s is refused in the words of Mesos', (_, token, words) => {
    expect(why(token)).toBe(words)
  })

  test('CR14: ends after the second that it names, and not in it', () => {
    const token = signed('{"alg":"HS256"}', '{"exp":5,"a":"b"}')
    expect(why(token, 5999)).toBe('valid')
    expect(why(token, 6000)).toBe('Token has expired: exp(5) < now(6)')
  })

  test('CR2: with any one digit changed, or under another key, is refused', () => {
    for (let at = 0; at < vector.length; at++) {
      const other = vector[at] === 'A' ? 'B' : 'A'
      expect(why(vector.slice(0, at) + other + vector.slice(at + 1))).not.toBe('valid')
    }
    const stranger = readExecutorToken(new Redacted(utf8('another key')), vector, 0)
    expect(stranger).toEqual({ outcome: 'invalid', why: 'Token signature does not match' })
  })
})

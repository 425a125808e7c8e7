import { ManualClock } from '@conclave/testkit'
import { beforeEach, expect, test } from 'vitest'
import { TokenMemory } from './token-memory.ts'

const token = 'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1aWQiOiJkZXYifQ.c2lnbmF0dXJl'
const stamp = { kid: 'key-1', userRevision: 7 }
const always = (): number => 7

let clock: ManualClock
let memory: TokenMemory

const inSeconds = (seconds: number): { uid: string; exp: number } => ({
  uid: 'dev',
  exp: clock.nowMs() / 1000 + seconds,
})

beforeEach(() => {
  clock = new ManualClock()
  memory = new TokenMemory(clock, 3)
})

test('MA16: a token that was never right is nobody’s', () => {
  expect(memory.claimsOf(token, 'key-1', always)?.uid).toBeUndefined()
})

test('MA16: a token is remembered for a minute', () => {
  memory.remember(token, inSeconds(3600), stamp)
  clock.advance(59_999)
  expect(memory.claimsOf(token, 'key-1', always)?.uid).toBe('dev')
  clock.advance(1)
  expect(memory.claimsOf(token, 'key-1', always)?.uid).toBeUndefined()
})

test('MA16: a token is not remembered beyond its own end', () => {
  memory.remember(token, inSeconds(10), stamp)
  clock.advance(9_999)
  expect(memory.claimsOf(token, 'key-1', always)?.uid).toBe('dev')
  clock.advance(1)
  expect(memory.claimsOf(token, 'key-1', always)?.uid).toBeUndefined()
})

test('MA16: a token with any one character changed is another token', () => {
  memory.remember(token, inSeconds(3600), stamp)
  for (let at = 0; at < token.length; at++) {
    const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
    expect(memory.claimsOf(changed, 'key-1', always)).toBeUndefined()
  }
})

test.each([
  ['key', 'key-2', 7],
  ['user', 'key-1', 8],
])(
  'MA16: a token is forgotten once its %s is another, and stays forgotten',
  (_what, kid, revision) => {
    memory.remember(token, inSeconds(3600), stamp)
    expect(memory.claimsOf(token, kid, () => revision)).toBeUndefined()
    expect(memory.claimsOf(token, 'key-1', always)?.uid).toBeUndefined()
  },
)

test('MA16: of more tokens than there is room for, the newest are remembered', () => {
  const tokens = Array.from({ length: 5 }, (_, index) => `${token}${index}`)
  for (const one of tokens) memory.remember(one, inSeconds(3600), stamp)
  expect(tokens.map((one) => memory.claimsOf(one, 'key-1', always) !== undefined)).toEqual([
    false,
    false,
    true,
    true,
    true,
  ])
})

import { readFileSync } from 'node:fs'

import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'

import {
  authorityDigest,
  createJoinToken,
  formatJoinToken,
  isSameJoinToken,
  JoinTokenInvalid,
  parseJoinToken,
  pinsAuthority,
} from './join-token.ts'

interface Vector {
  readonly rootCaPem: string
  readonly digestBase36: string
  readonly workerToken: string
  readonly managerToken: string
}

const vector = JSON.parse(
  readFileSync(new URL('../vectors/join-token.json', import.meta.url), 'utf8'),
) as Vector

const tokenOf = (text: string): Redacted<Uint8Array> => new Redacted(utf8(text))

describe('a join token', () => {
  test('CR13: pins the authority by the digest that Docker computes', () => {
    expect(authorityDigest(vector.rootCaPem)).toBe(vector.digestBase36)
    expect(pinsAuthority(parseJoinToken(tokenOf(vector.workerToken)), vector.rootCaPem)).toBe(true)
    expect(
      pinsAuthority(parseJoinToken(tokenOf(vector.workerToken)), `${vector.rootCaPem}\n`),
    ).toBe(false)
  })

  test.each([vector.workerToken, vector.managerToken])(
    'CR13: survives parsing and formatting: %#',
    (text) => {
      const { secret } = parseJoinToken(tokenOf(text))

      expect(utf8Text(formatJoinToken(vector.rootCaPem, secret).reveal())).toBe(text)
    },
  )

  test('CR13: is the same only as itself', () => {
    const random = new SeededRandom(7)
    const worker = createJoinToken(vector.rootCaPem, random)
    const manager = createJoinToken(vector.rootCaPem, random)

    expect(isSameJoinToken(worker, tokenOf(utf8Text(worker.reveal())))).toBe(true)
    expect(isSameJoinToken(worker, manager)).toBe(false)
    expect(isSameJoinToken(worker, tokenOf('SWMTKN-1-'))).toBe(false)
  })

  test.each([
    '',
    'SWMTKN-1-',
    vector.workerToken.slice(0, -1),
    `${vector.workerToken}a`,
    vector.workerToken.toUpperCase(),
    vector.workerToken.replace('SWMTKN-1', 'SWMTKN-2'),
    vector.workerToken.replace(/.$/, '\n'),
    // One more than 32 and 16 bytes can hold.
    `SWMTKN-1-${'z'.repeat(50)}-${'0'.repeat(25)}`,
    `SWMTKN-1-${'0'.repeat(50)}-${'z'.repeat(25)}`,
  ])('CR13: is refused in one way, whatever is wrong: %#', (text) => {
    expect(() => parseJoinToken(tokenOf(text))).toThrow(JoinTokenInvalid)
    expect(() => parseJoinToken(tokenOf(text))).toThrow(/^invalid join token$/)
  })
})

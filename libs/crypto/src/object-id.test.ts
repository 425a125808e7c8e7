import { describe, expect, test } from 'vitest'
import { derivedObjectId, objectIdOf } from './object-id.ts'

describe('an object id', () => {
  test.each([
    ['zeros', new Uint8Array(17)],
    ['ones', new Uint8Array(17).fill(255)],
    ['a count', Uint8Array.from({ length: 17 }, (_, at) => at)],
  ])('of %s has 25 characters', (_what, bytes) => {
    expect(objectIdOf(bytes)).toMatch(/^[0-9a-z]{25}$/)
  })

  test.each([
    ['zeros', new Uint8Array(17), 'hvy0lj3x0b883f8e30fyp2172'],
    ['ones', new Uint8Array(17).fill(255), 'zrw1727u0mgg6ugs60vxe42e4'],
    ['a count', Uint8Array.from({ length: 17 }, (_, at) => at * 15), 'hwu8jcjgfj8b7ytlh0ubkfbv8'],
  ])('of %s is what big integers say', (_what, bytes, id) => {
    let number = 0n
    for (const [at, byte] of bytes.entries()) {
      number = (number << 8n) | BigInt(at === 0 ? byte | 0x80 : byte)
    }
    expect(number.toString(36).slice(1, 26)).toBe(id)
    expect(objectIdOf(bytes)).toBe(id)
  })

  test('is made of 17 bytes', () => {
    expect(() => objectIdOf(new Uint8Array(16))).toThrow(RangeError)
  })

  test('follows from its parts, and from how they are parted', () => {
    expect(derivedObjectId('a', 'bc')).toBe(derivedObjectId('a', 'bc'))
    const others = [
      derivedObjectId('ab', 'c'),
      derivedObjectId('abc'),
      derivedObjectId('a', 'bc', ''),
    ]
    expect(new Set([derivedObjectId('a', 'bc'), ...others]).size).toBe(4)
  })
})

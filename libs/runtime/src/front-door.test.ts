import { describe, expect, test } from 'vitest'
import { BodyTooLarge, gatherBody } from './front-door.ts'

async function* arriving(pieces: readonly Buffer[], failure?: Error): AsyncGenerator<Buffer> {
  yield* pieces
  if (failure !== undefined) throw failure
}

const isWiped = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)

const sizeBytesMax = 16

describe('a body', () => {
  test('RT15: is gathered, and wiped in the pieces it came in', async () => {
    const pieces = [Buffer.from('{"value":'), Buffer.from('"x"}')]

    expect((await gatherBody(arriving(pieces), sizeBytesMax)).toString()).toBe('{"value":"x"}')
    expect(pieces.every(isWiped)).toBe(true)
  })

  test('RT15: that breaks off, or is too large, is wiped as well', async () => {
    const half = [Buffer.from('half')]
    const large = [Buffer.alloc(sizeBytesMax, 'x'), Buffer.from('x')]

    await expect(gatherBody(arriving(half, new Error('hung up')), sizeBytesMax)).rejects.toThrow(
      'hung up',
    )
    await expect(gatherBody(arriving(large), sizeBytesMax)).rejects.toThrow(BodyTooLarge)

    expect([...half, ...large].every(isWiped)).toBe(true)
  })
})

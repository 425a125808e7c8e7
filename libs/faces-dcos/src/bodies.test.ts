import { describe, expect, test } from 'vitest'
import { bodyBytesMax, BodyTooLarge, gatherBody } from './bodies.ts'
import { Front, secretUrl } from './testing/front.ts'

async function* arriving(pieces: readonly Buffer[], failure?: Error): AsyncGenerator<Buffer> {
  yield* pieces
  if (failure !== undefined) throw failure
}

const isWiped = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)

describe('a body', () => {
  test('DC9: is gathered, and wiped in the pieces it came in', async () => {
    const pieces = [Buffer.from('{"value":'), Buffer.from('"x"}')]

    expect((await gatherBody(arriving(pieces))).toString()).toBe('{"value":"x"}')
    expect(pieces.every(isWiped)).toBe(true)
  })

  test('DC9: that breaks off, or is too large, is wiped as well', async () => {
    const half = [Buffer.from('half')]
    const large = [Buffer.alloc(bodyBytesMax, 'x'), Buffer.from('x')]

    await expect(gatherBody(arriving(half, new Error('hung up')))).rejects.toThrow('hung up')
    await expect(gatherBody(arriving(large))).rejects.toThrow(BodyTooLarge)

    expect([...half, ...large].every(isWiped)).toBe(true)
  })

  test.each([secretUrl('a'), secretUrl('..'), '/acs/api/v1/auth/login', '/secrets/v1/secret/no/a'])(
    'DC9: sent to %s is wiped when that is answered',
    async (url) => {
      const front = new Front()
      const bodies: Buffer[] = []
      front.app.addHook('preHandler', async ({ body }) => void bodies.push(body as Buffer))

      await front.ask(url.startsWith('/acs') ? 'POST' : 'PUT', url, { body: { value: 'x' } })

      expect(bodies).toHaveLength(1)
      expect(bodies[0]).toHaveLength(13)
      expect(bodies.every(isWiped)).toBe(true)
    },
  )
})

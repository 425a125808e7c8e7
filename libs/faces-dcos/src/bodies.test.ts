import { expect, test } from 'vitest'
import { Front, secretUrl } from './testing/front.ts'

test.each([secretUrl('a'), secretUrl('..'), '/acs/api/v1/auth/login', '/secrets/v1/secret/no/a'])(
  'DC9: a body sent to %s is wiped when that is answered',
  async (url) => {
    const front = new Front()
    const bodies: Buffer[] = []
    front.app.addHook('preHandler', async ({ body }) => void bodies.push(body as Buffer))

    await front.ask(url.startsWith('/acs') ? 'POST' : 'PUT', url, { body: { value: 'x' } })

    expect(bodies).toHaveLength(1)
    expect(bodies[0]).toHaveLength(13)
    expect(bodies.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true)
  },
)

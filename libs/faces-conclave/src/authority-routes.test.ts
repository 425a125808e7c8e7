import { canary, expectNoLeak } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

describe('the authority, asked for by an operator', () => {
  test('CF10: tells a token as bytes that nobody keeps, and draws another', async () => {
    const front = new Front()
    const shown = await front.ask('GET', '/conclave/v1/authority/tokens/agent')
    const rotated = await front.ask('POST', '/conclave/v1/authority/tokens/agent/rotate')

    expect(shown).toMatchObject({ status: 200, text: `SWMTKN-1-${'1'.repeat(75)}` })
    expect(shown.headers['cache-control']).toBe('no-store')
    expect(rotated.text).toBe(`SWMTKN-1-${'1'.repeat(74)}z`)
    expect(front.master.authority.asked).toEqual(['token agent', 'rotate token agent'])
  })

  test('CF10: shows the root, replaces it, and says how long certificates count', async () => {
    const front = new Front()

    expect((await front.ask('GET', '/conclave/v1/authority')).json).toMatchObject({
      root: 'sha256:1',
    })
    expect((await front.ask('POST', '/conclave/v1/authority/rotate')).status).toBe(200)
    const body = { validityMs: 3_600_000 }
    expect(
      (await front.ask('PUT', '/conclave/v1/authority/validity', { body })).json,
    ).toMatchObject(body)
    expect((await front.ask('DELETE', '/conclave/v1/authority/holders/agent/agent-1')).status).toBe(
      204,
    )
    expect(front.master.authority.asked).toEqual([
      'status',
      'rotate',
      'validity 3600000',
      'forget agent agent-1',
    ])
  })

  test.each([
    ['GET', '/conclave/v1/authority/tokens/scheduler', undefined],
    ['POST', '/conclave/v1/authority/tokens/x/rotate', undefined],
    ['DELETE', '/conclave/v1/authority/holders/x/agent-1', undefined],
    ['PUT', '/conclave/v1/authority/validity', { validityMs: 'soon' }],
    ['PUT', '/conclave/v1/authority/validity', undefined],
  ] as const)('CF10: %s %s is refused with the mend', async (method, url, body) => {
    const front = new Front()
    const answer = await front.ask(method, url, body && { body })

    expect(answer).toMatchObject({ status: 400, json: { error: { code: 'request.invalid' } } })
    expect(front.master.authority.asked).toEqual([])
  })

  test('CF10: is for nobody else, and no refusal or line of the log has a token', async () => {
    const front = new Front()
    const secret = canary('token')
    front.master.authority.tokens.agent = secret.text
    const urls = ['/conclave/v1/authority', '/conclave/v1/authority/tokens/agent']

    for (const url of urls) expect((await front.ask('GET', url, { as: 'guest' })).status).toBe(403)
    const strange = { authorization: 'token=a.b.c' }
    for (const url of urls) {
      expect((await front.ask('GET', url, { headers: strange })).status).toBe(401)
    }
    await front.ask('GET', '/conclave/v1/authority/tokens/agent')
    expectNoLeak({ log: front.log.text }, [secret])
  })
})

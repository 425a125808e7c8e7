import { canary, expectNoLeak } from '@conclave/testkit'
import { partsIn, SchedulerCall, Secret } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { Front, launchWith, operatorUrl, schedulerUrl } from './testing/front.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

/** The bytes of the inline secrets of all calls that the master got. */
const inlineBytes = (front: Front): Uint8Array[] =>
  front.master.frameworks.calls.flatMap(({ call: got }) =>
    partsIn(SchedulerCall, got, Secret).flatMap(({ value }) => value?.data?.reveal() ?? []),
  )

describe('an inline secret', () => {
  test('MF8: reaches the master as it was sent', async () => {
    const front = new Front()

    expect((await front.ask(schedulerUrl, launchWith(base64('value')))).status).toBe(202)

    expect(inlineBytes(front).map((bytes) => Buffer.from(bytes).toString())).toEqual(['value'])
  })

  test('MF8: of a call that the master refuses is wiped', async () => {
    const front = new Front()
    front.master.frameworks.answer = { status: 400, body: 'Framework cannot be found' }

    await front.ask(schedulerUrl, launchWith(base64('value')))

    expect(inlineBytes(front)).toEqual([new Uint8Array(5)])
  })

  test('MF8: of a call on which the master fails is wiped', async () => {
    const front = new Front()
    const { frameworks } = front.master
    const pass = frameworks.call.bind(frameworks)
    frameworks.call = (...asked) => {
      pass(...asked)
      throw new Error('a bug')
    }

    const answer = await front.ask(schedulerUrl, launchWith(base64('value')))

    expect([answer.status, answer.body]).toEqual([500, '500 Internal Server Error.'])
    expect(inlineBytes(front)).toEqual([new Uint8Array(5)])
  })

  test.each([schedulerUrl, operatorUrl, '/nowhere'])(
    'MF8: is wiped in the body of a call to %s, whatever becomes of it',
    async (url) => {
      const front = new Front()
      const bodies: Buffer[] = []
      front.app.addHook('preHandler', async ({ body }) => void bodies.push(body as Buffer))

      await front.ask(url, launchWith(base64('value')))

      expect(bodies).toHaveLength(1)
      expect(bodies[0]?.length).toBeGreaterThan(100)
      expect(bodies[0]?.every((byte) => byte === 0)).toBe(true)
    },
  )

  test('MF8: appears in no log line and no refusal', async () => {
    const front = new Front()
    const secret = canary('inline')
    const good = JSON.stringify(launchWith(base64(secret.text)))
    front.master.frameworks.answer = { status: 400, body: 'Framework cannot be found' }
    const refusals = [
      await front.ask(schedulerUrl, good),
      await front.ask(schedulerUrl, good.slice(0, -1)),
      await front.ask(schedulerUrl, launchWith(secret.text.slice(1))),
      await front.ask(schedulerUrl, launchWith(`${secret.text}*`)),
      await front.ask(schedulerUrl, good.replace('"framework_id"', '"other"')),
      await front.ask(schedulerUrl, good.replace('"name":"task"', '"name":{}')),
      await front.ask(schedulerUrl, good, { authorization: `token=${secret.text}` }),
      await front.ask(schedulerUrl, good, { 'content-type': 'text/plain' }),
      await front.ask(operatorUrl, good),
    ]
    front.master.failNext(new Error('a bug'))
    refusals.push(await front.ask(schedulerUrl, good))
    front.master.follow()
    refusals.push(await front.ask(schedulerUrl, good))

    for (const { status } of refusals) expect(status).toBeGreaterThanOrEqual(400)
    expect(front.log.text).toContain('a request failed')
    expectNoLeak({ log: front.log.text, refusals }, [secret])
  })

  test('MF8: that a scheduler calls sealed is not heard', async () => {
    const front = new Front()
    const forged = JSON.stringify(launchWith('')).replace(
      '"data":""',
      '"data":"","sealed":{"id":"another","envelope":"AAAA"}',
    )

    await front.ask(schedulerUrl, forged)

    expect(front.master.frameworks.calls).toHaveLength(1)
    expect(JSON.stringify(front.master.frameworks.calls)).not.toContain('another')
  })
})

import { AccessDenied } from '@conclave/actors'
import { Compacted } from '@conclave/store'
import { expect, test } from 'vitest'
import { Front } from './testing/front.ts'

const url = '/conclave/v1/state/export'
const publicKey = Buffer.alloc(32, 7).toString('base64')

test('CF11: the state comes as lines, from its head to its end', async () => {
  const front = new Front()

  const { status, text, headers } = await front.ask('POST', url, { body: { publicKey, at: 4 } })

  expect(status).toBe(200)
  expect(headers['content-type']).toBe('application/x-ndjson')
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string })
  expect(lines.map(({ kind }) => kind)).toEqual(['head', 'record', 'end'])
  expect(front.master.state.asked).toEqual({ publicKey: Buffer.alloc(32, 7), at: 4 })
})

test.each([{}, { publicKey: 'AA==' }, { publicKey, at: 0 }, 'no json'])(
  'CF11: %j is no request for it',
  async (body) => {
    const answer = await new Front().ask('POST', url, { body })

    expect(answer).toMatchObject({ status: 400, json: { error: { code: 'request.invalid' } } })
  },
)

test('CF11: what is refused before it begins is refused with a status', async () => {
  const front = new Front()

  const denied = await front.ask('POST', url, { as: 'guest', body: { publicKey } })
  front.master.failNext(new Compacted(1, 5))
  const gone = await front.ask('POST', url, { body: { publicKey, at: 1 } })
  front.master.failNext(new AccessDenied('admin', 'full', 'x'))
  const later = await front.ask('POST', url, { body: { publicKey } })

  expect(denied.status).toBe(403)
  expect(gone).toMatchObject({ status: 410, json: { error: { code: 'store.compacted' } } })
  expect(later.status).toBe(403)
})

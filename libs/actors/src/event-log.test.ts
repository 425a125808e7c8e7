import { ManualClock } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { EventLog } from './event-log.ts'

const draft = { type: 'keyring.created', dekId: 1 } as const
const newLog = (capacity: number): EventLog =>
  new EventLog('master-1', 'boot', new ManualClock(), capacity)
const never = new AbortController().signal

test('an event is made once for all who follow closely, and says the same to who comes late', async () => {
  const log = newLog(1024)
  const [one, other] = [log.follow(undefined, never), log.follow(undefined, never)]
  const heard = [one.next(), other.next()]
  log.append(draft)

  const [first, second] = await Promise.all(heard)
  for (let count = 0; count < 600; count++) log.append(draft)
  const late = await log.follow('master-1:boot:0', never).next()

  expect(first?.value).toBe(second?.value)
  expect(late.value).toEqual(first?.value)
})

test('what was told since is never hidden by what was read before', async () => {
  const log = newLog(8)
  const ids: (string | undefined)[] = []
  const events = log.follow('master-1:boot:0', never)
  for (let count = 0; count < 600; count++) {
    log.append(draft)
    ids.push((await events.next()).value?.id)
  }

  expect(ids).toEqual(Array.from({ length: 600 }, (_, at) => `master-1:boot:${at + 1}`))
})

test('who follows is let go while they wait, and leaves nothing behind', async () => {
  const stop = new AbortController()
  const log = newLog(8)
  const events = log.follow(undefined, stop.signal)
  const next = events.next()

  stop.abort()

  expect(await next).toEqual({ done: true, value: undefined })
})

import { array, assert, nat, property } from 'fast-check'
import { expect, test } from 'vitest'
import { EventQueue } from './event-queue.ts'
import { eventsPerSecondMax, World } from './world.ts'

test('events come by time, and of one time in the order in which they were put in', () => {
  assert(
    property(array(nat(20)), (times) => {
      const queue = new EventQueue()
      const order: [number, number][] = []
      for (const [at, time] of times.entries()) queue.push(time, () => order.push([time, at]))
      for (let event = queue.pop(20); event !== undefined; event = queue.pop(20)) event.act()

      const sorted = times
        .map((time, at) => [time, at])
        .sort(([a = 0, m = 0], [b = 0, n = 0]) => a - b || m - n)
      expect(order).toEqual(sorted)
    }),
  )
})

test('what an event sets going is done before the next one', async () => {
  const world = new World()
  const order: string[] = []
  world.after(1, () => {
    void (async () => {
      for (let turn = 0; turn < 50; turn++) await Promise.resolve()
      setImmediate(() => order.push('immediate'))
      order.push('promises')
    })()
  })
  world.after(2, () => order.push('next'))

  await world.run(10)

  expect(order.indexOf('promises')).toBeLessThan(order.indexOf('next'))
  expect(world.nowUs).toBe(10)
})

test('SI9: an event that throws ends the run', async () => {
  const world = new World()
  world.after(1, () => {
    throw new Error('oh')
  })
  world.after(2, () => world.violate('SI1', 'too late'))

  await world.run(10)

  expect(world.violation).toMatchObject({ rule: 'SI9', atMs: 0 })
})

test('SI16: two that answer each other without end break the run, and busy seconds do not', async () => {
  const world = new World()
  for (let at = 0; at < 2 * eventsPerSecondMax; at += 50) world.after(at * 20, () => undefined)
  await world.run(2_000_000)
  expect(world.violation).toBeUndefined()

  const answer = (): void => world.after(1, answer)
  answer()
  await world.run(3_000_000)

  expect(world.violation).toMatchObject({ rule: 'SI16' })
})

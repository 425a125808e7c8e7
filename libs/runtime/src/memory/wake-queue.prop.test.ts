import { array, assert, constantFrom, nat, property, record } from 'fast-check'
import { expect, test } from 'vitest'
import { WakeQueue } from './wake-queue.ts'

const operation = record({
  what: constantFrom('set', 'set', 'delete', 'take'),
  item: nat(12),
  atMs: nat(50),
})

function earliestDue(model: ReadonlyMap<number, number>, atMs: number): number | undefined {
  const due = [...model.values()].filter((time) => time <= atMs)
  return due.length === 0 ? undefined : Math.min(...due)
}

test('MR6: sleepers wake in the order of their times, whatever was deleted or changed between', () => {
  assert(
    property(array(operation, { maxLength: 400 }), (operations) => {
      const queue = new WakeQueue<number>()
      const model = new Map<number, number>()
      for (const { what, item, atMs } of operations) {
        const expected = what === 'take' ? earliestDue(model, atMs) : undefined
        const taken = what === 'take' ? queue.takeDue(atMs) : undefined
        expect(taken === undefined ? undefined : model.get(taken)).toBe(expected)
        if (taken !== undefined) model.delete(taken)
        if (what === 'set') {
          queue.set(item, atMs)
          model.set(item, atMs)
        }
        if (what === 'delete') {
          queue.delete(item)
          model.delete(item)
        }
        const times = [...model.values()]
        expect(queue.nextMs).toBe(times.length === 0 ? undefined : Math.min(...times))
      }
    }),
  )
})

import { expect, test } from 'vitest'
import { Slices } from './slices.ts'

/** Time that passes because work takes it, and turns that come because a test lets them. */
function standing() {
  const world = { nowMs: 0, turns: [] as (() => void)[], did: [] as string[] }
  const slices = new Slices({
    nowMs: () => world.nowMs,
    nextTurn: (run) => void world.turns.push(run),
  })
  const work = (name: string, takesMs: number) => (): void => {
    world.nowMs += takesMs
    world.did.push(name)
  }
  const turn = (): void => {
    world.did.push('turn')
    for (const run of world.turns.splice(0)) run()
  }
  return { world, slices, work, turn }
}

test('RT18: what fits into a slice is done at once', () => {
  const { world, slices, work } = standing()

  slices.do(work('a', 4))
  slices.do(work('b', 4))

  expect(world.did).toEqual(['a', 'b'])
})

test('RT18: what came at once is done in turns, in its order', () => {
  const { world, slices, work, turn } = standing()

  for (const name of ['a', 'b', 'c', 'd', 'e']) slices.do(work(name, 6))
  for (let turns = 0; turns < 3; turns++) turn()

  expect(world.did).toEqual(['a', 'b', 'turn', 'c', 'd', 'turn', 'e', 'turn'])
})

test('RT18: nobody who comes later is done earlier', () => {
  const { world, slices, work, turn } = standing()
  slices.do(work('long', 50))
  slices.do(work('waits', 1))
  world.nowMs += 1000

  slices.do(work('late', 1))
  turn()

  expect(world.did).toEqual(['long', 'turn', 'waits', 'late'])
})

test('RT18: what does a part of its work leaves the rest for later', () => {
  const { world, slices, work, turn } = standing()
  let left = 5
  const read = (): void => {
    while (left > 0) {
      work(`piece ${left--}`, 8)()
      if (slices.isSpent) return slices.later(read)
    }
  }

  slices.do(read)
  slices.do(work('other', 1))
  for (let turns = 0; turns < 3; turns++) turn()

  const did = world.did.filter((one) => one !== 'turn')
  expect(did.join(', ')).toBe('piece 5, piece 4, piece 3, other, piece 2, piece 1')
})

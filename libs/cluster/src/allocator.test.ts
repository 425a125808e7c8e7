import { parse, Resource } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { Allocator, type Contender } from './allocator.ts'
import { bagOf, emptyBag, plus, type Bag } from './resources.ts'
import { scalar } from './testing/driven-cluster.ts'

const bag = (cpus: number, mem: number): Bag =>
  bagOf([scalar('cpus', cpus), scalar('mem', mem)].map((one) => parse(Resource, one)))

const contender = (frameworkId: string, more: Partial<Contender> = {}): Contender => ({
  frameworkId,
  role: '*',
  held: emptyBag,
  weight: 1,
  isEager: true,
  ...more,
})
const supplies = (...free: readonly Bag[]): { agentId: string; free: Bag }[] =>
  free.map((one, index) => ({ agentId: `a-${index}`, free: one }))
const total = bag(10, 1000)

const shares = (
  allocator: Allocator,
  contenders: readonly Contender[],
  ...free: readonly Bag[]
): readonly string[] =>
  allocator
    .allocate(supplies(...free), contenders, total)
    .map(({ agentId, frameworkId, role }) => `${agentId}: ${frameworkId} as ${role}`)

describe('dominant resource fairness', () => {
  test('goes to whoever has the smallest dominant share', () => {
    const contenders = [
      contender('hungry', { held: bag(1, 10) }),
      contender('memory-fed', { held: bag(0.1, 500) }),
    ]

    expect(shares(new Allocator(), contenders, bag(1, 100))).toEqual(['a-0: hungry as *'])
  })

  test('counts what it has just dealt out, so that two machines go to two frameworks', () => {
    expect(
      shares(new Allocator(), [contender('a'), contender('b')], bag(1, 100), bag(1, 100)),
    ).toEqual(['a-0: a as *', 'a-1: b as *'])
  })

  test('is fair among roles first, however many frameworks a role has', () => {
    const contenders = [
      contender('a', { role: 'big', held: bag(1, 0) }),
      contender('b', { role: 'big', held: bag(1, 0) }),
      contender('c', { role: 'small', held: bag(1.5, 0) }),
    ]

    expect(shares(new Allocator(), contenders, bag(0.5, 100))).toEqual(['a-0: c as small'])
  })

  test('counts a suppressed framework for its role, and offers it nothing', () => {
    const contenders = [
      contender('quiet', { role: 'x', held: bag(5, 0), isEager: false }),
      contender('a', { role: 'x' }),
      contender('b', { role: 'y', held: bag(1, 0) }),
    ]

    expect(shares(new Allocator(), contenders, bag(1, 100))).toEqual(['a-0: b as y'])
    expect(shares(new Allocator(), contenders.slice(0, 1), bag(1, 100))).toEqual([])
  })

  test('crumbs are not offered', () => {
    expect(shares(new Allocator(), [contender('a')], bag(0.009, 31))).toEqual([])
    expect(shares(new Allocator(), [contender('a')], bag(0.01, 0))).toEqual(['a-0: a as *'])
  })
})

function refused(): Allocator {
  const allocator = new Allocator()
  allocator.refuse('a', { role: '*', agentId: 'a-0', refused: bag(1, 100), untilTick: 5 })
  return allocator
}

describe('a filter', () => {
  test('keeps the same resources, or less, from being offered again', () => {
    expect(shares(refused(), [contender('a')], bag(1, 100))).toEqual([])
    expect(shares(refused(), [contender('a')], bag(0.5, 50))).toEqual([])
    expect(shares(refused(), [contender('a'), contender('b')], bag(1, 100))).toEqual([
      'a-0: b as *',
    ])
  })

  test('does not hold for more, for another role, or for another agent', () => {
    expect(shares(refused(), [contender('a')], plus(bag(1, 100), bag(0, 1)))).toHaveLength(1)
    expect(shares(refused(), [contender('a', { role: 'x' })], bag(1, 100))).toHaveLength(1)
    expect(shares(refused(), [contender('a')], bag(0, 0), bag(1, 100))).toEqual(['a-1: a as *'])
  })

  test('ends with its time, with a revival of its role, and with its agent', () => {
    const expired = refused()
    expect(expired.expire(4)).toBe(false)
    expect(expired.expire(5)).toBe(true)
    const revived = refused()
    revived.revive('a', ['x'])
    expect(shares(revived, [contender('a')], bag(1, 100))).toEqual([])
    revived.revive('a', ['*'])
    const gone = refused()
    gone.forgetAgent('a-0')

    for (const allocator of [expired, revived, gone]) {
      expect(shares(allocator, [contender('a')], bag(1, 100))).toHaveLength(1)
    }
  })
})

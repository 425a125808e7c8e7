import { Resource, parse } from '@conclave/model'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bagOf,
  bagText,
  contains,
  dominantShare,
  emptyBag,
  isEmpty,
  minus,
  plus,
  resourcesOf,
  resourcesProblem,
  type Bag,
} from './resources.ts'
import { ports, scalar } from './testing/driven-cluster.ts'

const read = (...json: readonly object[]): readonly Resource[] =>
  json.map((one) => parse(Resource, one))
const bag = (...json: readonly object[]): Bag => bagOf(read(...json))
const gpus = (...item: readonly string[]): object => ({ name: 'gpus', type: 'SET', set: { item } })

test('scalars are counted in thousandths: 0.3 - 0.1 - 0.1 leaves 0.1', () => {
  const tenth = bag(scalar('cpus', 0.1))

  expect(minus(minus(bag(scalar('cpus', 0.3)), tenth), tenth)).toEqual(tenth)
})

test('two ports of a range leave the ports around them', () => {
  const left = minus(bag(ports(31_000, 31_009)), bag(ports(31_003, 31_004)))

  expect(bagText(left, '*')).toBe('ports(allocated: *):[31000-31002, 31005-31009]')
  expect(contains(left, bag(ports(31_002, 31_003)))).toBe(false)
  expect(plus(left, bag(ports(31_003, 31_004)))).toEqual(bag(ports(31_000, 31_009)))
})

test('a bag prints as Mesos prints it (mesos.md §3)', () => {
  expect(bagText(bag(scalar('cpus', 0.5), scalar('mem', 32), gpus('a', 'b')), '*')).toBe(
    'cpus(allocated: *):0.5; mem(allocated: *):32; gpus(allocated: *):{a, b}',
  )
})

test('the dominant share is the largest of all', () => {
  const total = bag(scalar('cpus', 10), scalar('mem', 100))

  expect(dominantShare(bag(scalar('cpus', 1), scalar('mem', 50)), total)).toBe(0.5)
  expect(dominantShare(emptyBag, total)).toBe(0)
})

describe('what is no amount is refused by name', () => {
  test.each([
    [{ name: '', type: 'SCALAR', scalar: { value: 1 } }, 'Empty resource name'],
    [{ name: 'cpus', type: 'SCALAR' }, 'Invalid scalar resource: expected scalar'],
    [{ name: 'cpus', type: 'SCALAR', scalar: { value: 'Infinity' } }, 'Invalid scalar resource'],
    [{ name: 'p', type: 'RANGES', ranges: { range: [{ begin: 2, end: 1 }] } }, 'begin is past end'],
    [
      {
        name: 'p',
        type: 'RANGES',
        ranges: {
          range: [
            { begin: 1, end: 3 },
            { begin: 2, end: 4 },
          ],
        },
      },
      'overlapping ranges',
    ],
    [{ name: 's', type: 'SET', set: { item: ['a', 'a'] } }, 'duplicated elements'],
    [{ name: 't', type: 'TEXT' }, 'Unsupported resource type'],
    [{ ...scalar('cpus', 1), role: 'web' }, 'reserved resources are not supported'],
    [{ ...scalar('cpus', 1), revocable: {} }, 'revocable and shared resources are not supported'],
  ])('%j: %s', (json, why) => {
    expect(resourcesProblem(read(json))).toContain(why)
  })

  test('one port may not be asked for twice in one list', () => {
    expect(resourcesProblem(read(ports(1, 5), ports(5, 6)))).toContain('given twice')
    expect(resourcesProblem(read(ports(1, 5), ports(6, 6), scalar('a', 1), scalar('a', 1)))).toBe(
      undefined,
    )
  })
})

const anyBag = fc
  .record({
    cpus: fc.nat({ max: 5000 }),
    mem: fc.nat({ max: 5000 }),
    ports: fc.uniqueArray(fc.nat({ max: 20 }), { maxLength: 10 }),
    gpus: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 }),
  })
  .map(({ cpus, mem, ports: each, gpus: items }) =>
    bag(
      scalar('cpus', cpus / 1000),
      scalar('mem', mem / 1000),
      ...each.map((port) => ports(port, port)),
      gpus(...items),
    ),
  )

const asData = ({ scalars, ranges, sets }: Bag): unknown => ({
  scalars: Object.fromEntries(scalars),
  ranges: Object.fromEntries(ranges),
  sets: Object.fromEntries(Array.from(sets, ([name, items]) => [name, [...items].toSorted()])),
})

test('CL1: what is taken away and given back is what there was', () => {
  fc.assert(
    fc.property(anyBag, anyBag, (whole, part) => {
      const left = minus(whole, part)
      expect(contains(whole, left)).toBe(true)
      fc.pre(contains(whole, part))
      expect(asData(plus(left, part))).toEqual(asData(whole))
      expect(isEmpty(minus(left, whole))).toBe(true)
    }),
  )
})

test('CL1: a bag written as resources is read as the same bag', () => {
  fc.assert(
    fc.property(anyBag, (any) => {
      expect(asData(bagOf(resourcesOf(any)))).toEqual(asData(any))
    }),
  )
})

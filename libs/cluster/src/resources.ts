import type { Resource } from '@conclave/model'

/*
 * Arithmetic on resources. Scalars are counted in thousandths, as Mesos does, so that 0.3 - 0.1 - 0.1
 * leaves room for another 0.1.
 */

type Span = readonly [begin: number, end: number]

/** An amount of each resource. What is zero or empty is not in it, so two equal bags look alike. */
export interface Bag {
  readonly scalars: ReadonlyMap<string, number>
  /** Sorted, apart, inclusive. */
  readonly ranges: ReadonlyMap<string, readonly Span[]>
  readonly sets: ReadonlyMap<string, ReadonlySet<string>>
}

export const emptyBag: Bag = { scalars: new Map(), ranges: new Map(), sets: new Map() }

const scalarMax = 2 ** 40
const spanMax = 2 ** 32

/** What keeps `resources` from being an amount of anything, or undefined. Names the resource. */
export function resourcesProblem(resources: readonly Resource[]): string | undefined {
  for (const resource of resources) {
    const why = resourceProblem(resource)
    if (why !== undefined) return `Resource '${resource.name}' is invalid: ${why}`
  }
  const twice = givenTwice(resources)
  return twice && `Resource '${twice}' is invalid: its ranges or items are given twice`
}

/** The name of a resource of which two parts have the same range or item. */
function givenTwice(resources: readonly Resource[]): string | undefined {
  for (const [name, spans] of grouped(resources, spansOf)) {
    const sorted = spans.toSorted((a, b) => a[0] - b[0])
    if (sorted.some(([begin], index) => begin <= (sorted[index - 1]?.[1] ?? -1))) return name
  }
  for (const [name, items] of grouped(resources, itemsOf)) {
    if (new Set(items).size < items.length) return name
  }
  return undefined
}

const spansOf = ({ ranges }: Resource): readonly Span[] =>
  (ranges?.range ?? []).map(({ begin, end }): Span => [begin, end])

const itemsOf = ({ set }: Resource): readonly string[] => set?.item ?? []

/** What all resources of a name have, by the name; names that have nothing are not there. */
function grouped<T>(
  resources: readonly Resource[],
  partsOf: (resource: Resource) => readonly T[],
): ReadonlyMap<string, T[]> {
  const result = new Map<string, T[]>()
  for (const resource of resources) {
    const { name } = resource
    for (const part of partsOf(resource)) {
      const parts = result.get(name)
      if (parts === undefined) result.set(name, [part])
      else parts.push(part)
    }
  }
  return result
}

function resourceProblem(resource: Resource): string | undefined {
  if (resource.name === '') return 'Empty resource name'
  const { reservation, reservations, disk, revocable, shared, provider_id: provider } = resource
  if (reservation !== undefined || reservations.length > 0 || (resource.role ?? '*') !== '*') {
    return 'reserved resources are not supported'
  }
  if (disk !== undefined || provider !== undefined) return 'persistent volumes are not supported'
  if (revocable !== undefined || shared !== undefined) {
    return 'revocable and shared resources are not supported'
  }
  switch (resource.type) {
    case 'SCALAR':
      return scalarProblem(resource)
    case 'RANGES':
      return rangesProblem(resource)
    case 'SET':
      return setProblem(resource)
    case 'TEXT':
      break
  }
  return 'Unsupported resource type'
}

function scalarProblem({ scalar, ranges, set }: Resource): string | undefined {
  if (scalar === undefined || ranges !== undefined || set !== undefined) {
    return 'Invalid scalar resource: expected scalar, and neither ranges nor set'
  }
  const { value } = scalar
  if (Number.isFinite(value) && value >= 0 && value <= scalarMax) return undefined
  return `Invalid scalar resource: expected a value from 0 to ${scalarMax}`
}

function rangesProblem({ scalar, ranges, set }: Resource): string | undefined {
  if (ranges === undefined || scalar !== undefined || set !== undefined) {
    return 'Invalid ranges resource: expected ranges, and neither scalar nor set'
  }
  const spans = ranges.range.toSorted((a, b) => a.begin - b.begin)
  for (const [index, { begin, end }] of spans.entries()) {
    if (begin > end || end >= spanMax) {
      return `Invalid ranges resource: begin is past end, or end past ${spanMax - 1}`
    }
    const next = spans[index + 1]
    if (next !== undefined && next.begin <= end)
      return 'Invalid ranges resource: overlapping ranges'
  }
  return undefined
}

function setProblem({ scalar, ranges, set }: Resource): string | undefined {
  if (set === undefined || scalar !== undefined || ranges !== undefined) {
    return 'Invalid set resource: expected set, and neither scalar nor ranges'
  }
  if (new Set(set.item).size < set.item.length) return 'Invalid set resource: duplicated elements'
  return undefined
}

/** The sum of valid resources. A task may have thousands, so none is added by copying those before it. */
export function bagOf(resources: readonly Resource[]): Bag {
  const scalars = new Map<string, number>()
  for (const { name, scalar } of resources) {
    const thousandths = Math.round((scalar?.value ?? 0) * 1000)
    if (thousandths !== 0) scalars.set(name, (scalars.get(name) ?? 0) + thousandths)
  }
  const ranges = Array.from(grouped(resources, spansOf), ([name, spans]) => {
    return [name, joined(spans)] as const
  })
  const sets = Array.from(grouped(resources, itemsOf), ([name, items]) => {
    return [name, new Set(items)] as const
  })
  return { scalars, ranges: new Map(ranges), sets: new Map(sets) }
}

export const plus = (a: Bag, b: Bag): Bag => ({
  scalars: combined(a.scalars, b.scalars, (x = 0, y = 0) => x + y || undefined),
  ranges: combined(a.ranges, b.ranges, (x = [], y = []) => someOf(joined([...x, ...y]))),
  sets: combined(a.sets, b.sets, (x, y) => (x === undefined ? y : y && x.union(y))),
})

/** What is left of `a` without `b`; never less than nothing. */
export const minus = (a: Bag, b: Bag): Bag => ({
  scalars: combined(a.scalars, b.scalars, (x = 0, y = 0) => Math.max(0, x - y) || undefined),
  ranges: combined(a.ranges, b.ranges, (x = [], y = []) => someOf(without(x, y))),
  sets: combined(a.sets, b.sets, (x, y) => {
    if (x === undefined || y === undefined) return x
    const rest = x.difference(y)
    return rest.size === 0 ? undefined : rest
  }),
})

/** Whether all of `part` is in `whole`. */
export const contains = (whole: Bag, part: Bag): boolean => isEmpty(minus(part, whole))

export const isEmpty = ({ scalars, ranges, sets }: Bag): boolean =>
  scalars.size + ranges.size + sets.size === 0

/** Keeps a running sum by name; what has come to nothing is forgotten. */
export function tally(sums: Map<string, Bag>, name: string, sum: Bag): void {
  if (isEmpty(sum)) sums.delete(name)
  else sums.set(name, sum)
}

function combined<T>(
  a: ReadonlyMap<string, T>,
  b: ReadonlyMap<string, T>,
  combine: (x: T | undefined, y: T | undefined) => T | undefined,
): ReadonlyMap<string, T> {
  if (b.size === 0) return a
  const result = new Map<string, T>()
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const value = combine(a.get(name), b.get(name))
    if (value !== undefined) result.set(name, value)
  }
  return result
}

const someOf = <T>(items: readonly T[]): readonly T[] | undefined =>
  items.length === 0 ? undefined : items

function joined(spans: readonly Span[]): readonly Span[] {
  const result: [number, number][] = []
  for (const [begin, end] of spans.toSorted((a, b) => a[0] - b[0])) {
    const last = result.at(-1)
    if (last !== undefined && begin <= last[1] + 1) last[1] = Math.max(last[1], end)
    else result.push([begin, end])
  }
  return result
}

function without(spans: readonly Span[], taken: readonly Span[]): readonly Span[] {
  let left = spans
  for (const [begin, end] of taken) {
    left = left.flatMap((span): Span[] => {
      if (end < span[0] || begin > span[1]) return [span]
      const below: Span[] = begin > span[0] ? [[span[0], begin - 1]] : []
      const above: Span[] = end < span[1] ? [[end + 1, span[1]]] : []
      return [...below, ...above]
    })
  }
  return left
}

/** How resources are dressed for one framework. Source: mesos.md §3. */
export type Dress = Pick<Resource, 'role' | 'allocation_info'>

export function resourcesOf(bag: Bag, dress: Dress = {}): readonly Resource[] {
  const base = { reservations: [], ...dress }
  return [
    ...Array.from(bag.scalars, ([name, thousandths]): Resource => {
      return { ...base, name, type: 'SCALAR', scalar: { value: thousandths / 1000 } }
    }),
    ...Array.from(bag.ranges, ([name, spans]): Resource => {
      const range = spans.map(([begin, end]) => ({ begin, end }))
      return { ...base, name, type: 'RANGES', ranges: { range } }
    }),
    ...Array.from(bag.sets, ([name, items]): Resource => {
      return { ...base, name, type: 'SET', set: { item: [...items] } }
    }),
  ]
}

/** As Mesos prints them: `cpus(allocated: *):0.5; mem(allocated: *):32`. */
export function bagText(bag: Bag, role: string): string {
  const one = (name: string, amount: string): string => `${name}(allocated: ${role}):${amount}`
  return [
    ...Array.from(bag.scalars, ([name, thousandths]) => one(name, String(thousandths / 1000))),
    ...Array.from(bag.ranges, ([name, spans]) =>
      one(name, `[${spans.map(([begin, end]) => `${begin}-${end}`).join(', ')}]`),
    ),
    ...Array.from(bag.sets, ([name, items]) => one(name, `{${[...items].join(', ')}}`)),
  ].join('; ')
}

export const scalarOf = (bag: Bag, name: string): number => (bag.scalars.get(name) ?? 0) / 1000

/** The largest part of any one resource of `total` that `held` takes: DRF's dominant share. */
export function dominantShare(held: Bag, total: Bag): number {
  let share = 0
  for (const [name, thousandths] of held.scalars) {
    const all = total.scalars.get(name) ?? 0
    if (all > 0) share = Math.max(share, thousandths / all)
  }
  return share
}

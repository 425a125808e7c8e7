import { compareKeys } from './key-order.ts'

const chunkLengthMax = 512
const chunkLengthMin = 64
/** Few enough that nobody who asks for their order waits for long. */
const waitingMax = 1024

interface Keyed {
  readonly key: string
}

/**
 * Items in the order of their keys: sorted chunks in a sorted array, which is a B-tree of two levels.
 * A chunk is small enough for an insert to move few items, and at a million keys the array of
 * chunks still has only a few thousand places.
 *
 * What is inserted waits until somebody asks for the order, or there is much of it: to find the places of many
 * at once, in their order, costs a fraction of finding each among keys that nobody has looked at since.
 *
 * Invariants: 1. no chunk is empty; 2. keys rise strictly within and across chunks; 3. what waits is in no chunk.
 */
export class OrderedKeys<Item extends Keyed> {
  readonly #chunks: Item[][] = []
  #waiting: Item[] = []

  /** Adds an item whose key is above all that are there. */
  append(item: Item): void {
    this.#settle()
    const last = this.#chunks.at(-1)
    // Half full, so that inserts need not split every chunk at once.
    if (last === undefined || last.length >= chunkLengthMax / 2) this.#chunks.push([item])
    else last.push(item)
  }

  /** Adds an item whose key is not among them yet. */
  insert(item: Item): void {
    this.#waiting.push(item)
    if (this.#waiting.length >= waitingMax) this.#settle()
  }

  delete(key: string): void {
    this.#settle()
    const chunkIndex = this.#chunkIndex(key)
    const chunk = this.#chunks[chunkIndex]
    const at = chunk === undefined ? 0 : lowerBound(chunk, key)
    if (chunk?.[at]?.key !== key) return

    chunk.splice(at, 1)
    if (chunk.length === 0) {
      this.#chunks.splice(chunkIndex, 1)
      return
    }
    const next = this.#chunks[chunkIndex + 1]
    if (chunk.length < chunkLengthMin && next !== undefined && next.length < chunkLengthMax / 2) {
      chunk.push(...next)
      this.#chunks.splice(chunkIndex + 1, 1)
    }
  }

  /** Visits the items from the first key that is not below `start`, until `visit` answers false. */
  scan(start: string, visit: (item: Item) => boolean): void {
    this.#settle()
    let chunkIndex = this.#chunkIndex(start)
    const first = this.#chunks[chunkIndex]
    let at = first === undefined ? 0 : lowerBound(first, start)
    for (; chunkIndex < this.#chunks.length; chunkIndex++, at = 0) {
      const chunk = this.#chunks[chunkIndex] ?? []
      for (; at < chunk.length; at++) {
        const item = chunk[at]
        if (item !== undefined && !visit(item)) return
      }
    }
  }

  /**
   * Of the keys that begin with `prefix`, and are behind `after` if that is given, those that `show` has
   * something of: `limit` of them, and whether there are more.
   */
  page<Shown>(
    prefix: string,
    { limit = Infinity, after }: { readonly limit?: number; readonly after?: string },
    show: (item: Item) => Shown | undefined,
  ): { readonly shown: Shown[]; readonly more: boolean } {
    const shown: Shown[] = []
    let more = false
    this.scan(after !== undefined && compareKeys(after, prefix) > 0 ? after : prefix, (item) => {
      if (item.key === after) return true
      if (!item.key.startsWith(prefix)) return false
      const one = show(item)
      if (one === undefined) return true
      more = shown.length >= limit
      if (!more) shown.push(one)
      return !more
    })
    return { shown, more }
  }

  #settle(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting.sort((a, b) => compareKeys(a.key, b.key))
    this.#waiting = []
    for (let at = 0; at < waiting.length;) at = this.#placeFrom(waiting, at)
  }

  /**
   * Places what comes from `from` on into the chunk that the first of it belongs to, each item behind the one
   * before, until the next one belongs elsewhere or the chunk was split. Answers with the place of that one.
   */
  #placeFrom(sorted: readonly Item[], from: number): number {
    const chunkIndex = this.#chunkIndex(sorted[from]?.key ?? '')
    if (this.#chunks.length === 0) this.#chunks.push([])
    const chunk = this.#chunks[chunkIndex] ?? []
    const next = this.#chunks[chunkIndex + 1]?.[0]
    let place = 0
    for (let at = from; at < sorted.length; at++) {
      const item = sorted[at]
      if (item === undefined || (next && compareKeys(item.key, next.key) > 0)) return at
      place = lowerBound(chunk, item.key, place)
      chunk.splice(place, 0, item)
      if (chunk.length <= chunkLengthMax) continue
      this.#chunks.splice(chunkIndex + 1, 0, chunk.splice(chunkLengthMax / 2))
      return at + 1
    }
    return sorted.length
  }

  /** The chunk that holds `key`, or would: the last one that does not begin above it. */
  #chunkIndex(key: string): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const first = this.#chunks[middle]?.[0]
      if (first !== undefined && compareKeys(first.key, key) <= 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
}

/** The first place in `chunk`, from `from` on, whose key is not below `key`. */
function lowerBound(chunk: readonly Keyed[], key: string, from = 0): number {
  let low = from
  let high = chunk.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = chunk[middle]
    if (item !== undefined && compareKeys(item.key, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}

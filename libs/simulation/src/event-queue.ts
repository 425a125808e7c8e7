/** Something that will happen. */
export interface Event {
  readonly atUs: number
  readonly act: () => void
}

interface Queued extends Event {
  /** Of two at one time, the one that was put in first comes first. */
  readonly order: number
}

/** A binary heap by time. */
export class EventQueue {
  readonly #heap: Queued[] = []
  #order = 0

  push(atUs: number, act: () => void): void {
    const heap = this.#heap
    heap.push({ atUs, act, order: this.#order++ })
    let at = heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  /** The next event, unless it comes after `untilUs`. */
  pop(untilUs: number): Event | undefined {
    const heap = this.#heap
    const [first] = heap
    if (first === undefined || first.atUs > untilUs) return undefined
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    heap[0] = last
    for (let at = 0; ;) {
      const left = 2 * at + 1
      if (left >= heap.length) return first
      const right = left + 1
      const least = right < heap.length && this.#isBefore(right, left) ? right : left
      if (!this.#isBefore(least, at)) return first
      this.#swap(least, at)
      at = least
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]]
    if (one === undefined || other === undefined) return false
    return one.atUs < other.atUs || (one.atUs === other.atUs && one.order < other.order)
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]]
    if (one === undefined || other === undefined) return
    this.#heap[a] = other
    this.#heap[b] = one
  }
}

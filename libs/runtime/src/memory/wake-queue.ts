interface Waiting<T> {
  readonly item: T
  readonly atMs: number
}

/**
 * Items by the time at which each has to wake: a binary heap. An item that was deleted or given another
 * time stays in it until its old time comes up, and is then passed over.
 */
export class WakeQueue<T> {
  #heap: Waiting<T>[] = []
  readonly #current = new Map<T, Waiting<T>>()

  set(item: T, atMs: number): void {
    const waiting = { item, atMs }
    this.#current.set(item, waiting)
    this.#heap.push(waiting)
    this.#rise(this.#heap.length - 1)
    // Sleepers that are woken early again and again would fill it with what is passed over.
    if (this.#heap.length > 2 * this.#current.size + 64) this.#rebuild()
  }

  delete(item: T): void {
    this.#current.delete(item)
  }

  get nextMs(): number | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined) return undefined
      if (this.#current.get(first.item) === first) return first.atMs
      this.#pop()
    }
  }

  /** The item that has been due longest, if any is. It is deleted. */
  takeDue(nowMs: number): T | undefined {
    const atMs = this.nextMs
    if (atMs === undefined || atMs > nowMs) return undefined
    const item = this.#pop()?.item
    if (item !== undefined) this.#current.delete(item)
    return item
  }

  #rebuild(): void {
    const waiting = [...this.#current.values()]
    this.#heap = waiting.toSorted((a, b) => a.atMs - b.atMs)
  }

  #pop(): Waiting<T> | undefined {
    const first = this.#heap[0]
    const last = this.#heap.pop()
    if (first === undefined || last === undefined || this.#heap.length === 0) return first
    this.#heap[0] = last
    this.#sink(0)
    return first
  }

  #rise(from: number): void {
    let index = from
    while (index > 0) {
      const above = (index - 1) >> 1
      if (this.#timeAt(above) <= this.#timeAt(index)) return
      this.#swap(index, above)
      index = above
    }
  }

  #sink(from: number): void {
    let index = from
    for (;;) {
      const left = 2 * index + 1
      const smaller = this.#timeAt(left + 1) < this.#timeAt(left) ? left + 1 : left
      if (this.#timeAt(smaller) >= this.#timeAt(index)) return
      this.#swap(index, smaller)
      index = smaller
    }
  }

  #timeAt(index: number): number {
    return this.#heap[index]?.atMs ?? Infinity
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#heap[a], this.#heap[b]]
    if (first === undefined || second === undefined) return
    this.#heap[a] = second
    this.#heap[b] = first
  }
}

import { performance } from 'node:perf_hooks'

const lookEveryMs = 2_000
/** A master that nobody asks anything works for some hundredth of its time. */
const restingShareMax = 0.1
/** Less is not worth to look through all that lives. */
const garbageBytesMin = 16 * 1024 * 1024
/** To look through a larger one might take so long that others take a leader for dead. */
const heapBytesMax = 192 * 1024 * 1024

/**
 * Tells when a heap should be looked through: when its process rests, and when there is more in the heap than there was
 * after the last time. What a burst of requests leaves is otherwise there until the next burst.
 */
export class RestWatch {
  #keptBytes = 0
  #isResting = false

  /** Whether to look through a heap that has `usedBytes` in use, of a process that worked for this share of its time. */
  isDue(usedBytes: number, workedShare: number): boolean {
    const wasResting = this.#isResting
    this.#isResting = workedShare <= restingShareMax
    const isWorthIt = usedBytes >= this.#keptBytes + garbageBytesMin && usedBytes <= heapBytesMax
    return wasResting && this.#isResting && isWorthIt
  }

  /** It was, and so much is still in use. */
  collected(keptBytes: number): void {
    this.#keptBytes = keptBytes
  }
}

/**
 * From here on the heap of this process is looked through when it has come to rest, and what is free goes back to the
 * system. It stands still meanwhile, for a tenth of a second with 100,000 secrets. Without `--expose-gc` nothing happens.
 */
export function collectAtRest(): void {
  const collect = globalThis.gc
  if (collect === undefined) return
  const watch = new RestWatch()
  let before = performance.eventLoopUtilization()
  setInterval(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, before)
    before = now
    if (!watch.isDue(process.memoryUsage().heapUsed, utilization)) return
    // The other flavour keeps the pages it has freed.
    collect({ type: 'major', flavor: 'last-resort' })
    watch.collected(process.memoryUsage().heapUsed)
  }, lookEveryMs).unref()
}

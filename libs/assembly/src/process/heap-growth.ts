import { getHeapStatistics, setFlagsFromString } from 'node:v8'

const mebibyte = 2 ** 20
/** Up to here a heap may be twice what lives in it. */
const roomyBytes = 104 * mebibyte
const percentMin = 25
const percentMax = 100

const lookEveryMs = 1_000
/** What lives is what is in use after a collection: the least of so many looks. */
const looksKept = 10

/**
 * By how many percent of what lives in it a heap may grow before the whole of it is looked through for
 * garbage. That costs time for all that lives, so a small heap may double; a large one would take as much
 * memory for garbage as for the state.
 */
export function heapGrowthPercent(livingBytes: number): number {
  const percent = Math.floor((100 * (roomyBytes - livingBytes)) / livingBytes)
  return Math.min(percentMax, Math.max(percentMin, percent))
}

/**
 * From here on the heap of this process grows by as much as {@link heapGrowthPercent} says of it. V8
 * looks at that number after each collection, and at no other size of its heap once it runs.
 */
export function keepHeapSmall(): void {
  const looks: number[] = []
  let percent = percentMax
  setInterval(() => {
    looks.push(getHeapStatistics().used_heap_size)
    if (looks.length > looksKept) looks.shift()
    const wanted = heapGrowthPercent(Math.min(...looks))
    if (wanted === percent) return
    percent = wanted
    setFlagsFromString(`--heap-growing-percent=${percent}`)
  }, lookEveryMs).unref()
}

import { wipeResolved, type Resolved, type WantedSecret } from './resolver.ts'

/** Some of the wanted secrets, and who is asked for them. */
export interface Part {
  readonly wanted: readonly WantedSecret[]
  readonly ask: (answer: (resolved: readonly Resolved[]) => void) => () => void
}

/**
 * Asks all parts, and answers once when each has: with one entry for each of `wanted`, in order. The
 * function returned abandons all of them, and wipes what came so far.
 */
export function gather(
  wanted: readonly WantedSecret[],
  parts: readonly Part[],
  answer: (resolved: readonly Resolved[]) => void,
): () => void {
  const found = new Map<WantedSecret, Resolved>()
  let waiting = parts.length
  let isAbandoned = false
  if (waiting === 0) answer([])

  const abandons = parts.map((part) =>
    part.ask((resolved) => {
      if (isAbandoned) return wipeResolved(resolved)
      for (const [index, one] of part.wanted.entries()) {
        found.set(one, resolved[index] ?? { outcome: 'invalid', why: 'a resolver left it out' })
      }
      if (--waiting === 0) answer(wanted.flatMap((one) => found.get(one) ?? []))
    }),
  )
  return () => {
    isAbandoned = true
    for (const abandon of abandons) abandon()
    if (waiting > 0) wipeResolved([...found.values()])
  }
}

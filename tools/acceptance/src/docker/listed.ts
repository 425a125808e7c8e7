import type { Replayed } from './replay-walkthrough.ts'

/** A difference that there may be, and why. */
export interface Listed {
  /** The exchanges that it is in, by their names. */
  readonly exchange: RegExp
  /** The paths in the answer, each whole. */
  readonly path: RegExp
  readonly reason: string
}

export interface Verdict {
  readonly agreeing: number
  readonly total: number
  /** What nobody has listed, as lines. */
  readonly unlisted: readonly string[]
  /** Which entries of the list no exchange needs any more. */
  readonly unused: readonly string[]
  /** The exchanges that differ as listed, with the reason. */
  readonly excused: readonly string[]
}

const isFor = (listed: Listed, exchange: string, path: string): boolean =>
  listed.exchange.test(exchange) && listed.path.test(path)

export const isExcused = ({ exchange, differences }: Replayed, list: readonly Listed[]): boolean =>
  differences.every(({ path }) => list.some((listed) => isFor(listed, exchange, path)))

/** Holds what was replayed against the list: neither may have anything that the other does not. */
export function verdictOf(replayed: readonly Replayed[], list: readonly Listed[]): Verdict {
  const used = new Set<Listed>()
  const unlisted: string[] = []
  const excused: string[] = []
  for (const { exchange, differences } of replayed) {
    const reasons = new Set<string>()
    for (const { path, expected, got } of differences) {
      const listed = list.find((one) => isFor(one, exchange, path))
      if (listed === undefined)
        unlisted.push(`${exchange} at ${path || 'the whole'}: expected ${expected}, got ${got}`)
      else {
        used.add(listed)
        reasons.add(listed.reason)
      }
    }
    if (reasons.size > 0) excused.push(`${exchange}: ${[...reasons].join('; ')}`)
  }
  return {
    agreeing: replayed.filter(({ differences }) => differences.length === 0).length,
    total: replayed.length,
    unlisted,
    unused: list
      .filter((one) => !used.has(one))
      .map(({ exchange, path, reason }) => `${exchange} at ${path}: ${reason}`),
    excused,
  }
}

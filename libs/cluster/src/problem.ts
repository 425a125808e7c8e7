/** `problem`, said of what `prefix` names; nothing when there is none. */
export const prefixed = (prefix: string, problem: string | undefined): string | undefined =>
  problem === undefined ? undefined : prefix + problem

/** The first problem that any of `items` has. */
export function firstOf<T>(
  items: readonly T[],
  problemOf: (item: T, index: number) => string | undefined,
): string | undefined {
  for (const [index, item] of items.entries()) {
    const problem = problemOf(item, index)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** The first of `items` that was there before: a body may have millions of them. */
export function firstTwice(items: readonly string[]): string | undefined {
  const known = new Set<string>()
  return items.find((item) => known.size === known.add(item).size)
}

import { setTimeout as sleep } from 'node:timers/promises'

/** Far more than a slow machine needs: whoever waits so long waits for what never comes. */
const patienceMs = 90_000
const pauseMs = 40

/**
 * Asks again until there is an answer, and gives it. An attempt that throws counts as none: the
 * cluster may be between two leaders.
 *
 * @param what the condition in words, for the failure
 */
export async function until<T>(
  what: string,
  attempt: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const end = performance.now() + patienceMs
  let last: unknown
  while (performance.now() < end) {
    try {
      const answer = await attempt()
      if (answer !== undefined && answer !== false) return answer
      last = undefined
    } catch (error) {
      last = error
    }
    await sleep(pauseMs)
  }
  throw new Error(`in vain waited ${patienceMs / 1000} s until ${what}`, { cause: last })
}

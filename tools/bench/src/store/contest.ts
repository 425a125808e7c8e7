import type { Contender, Measured, Rounds } from '../rounds.ts'
import { alternate, noteOf } from '../rounds.ts'
import type { Result } from '../result.ts'
import type { StoreWish } from './store-row.ts'

/** Measures ours beside a peer, if there is one, in alternating rounds: the rate, both latencies, and the processor time. */
export async function contest(
  name: string,
  wish: StoreWish,
  ours: Contender,
  peer: (Contender & { readonly name: string }) | undefined,
): Promise<readonly Result[]> {
  const rounds = await alternate(peer === undefined ? [ours] : [ours, peer], wish)
  return resultsOf(name, rounds, peer?.name)
}

function resultsOf(name: string, rounds: Rounds, peer: string | undefined): readonly Result[] {
  const [own, other] = rounds.measured
  if (own === undefined) return []
  const said = noteOf(rounds)
  const line = (
    what: string,
    unit: string,
    pick: (one: Measured) => number | undefined,
    note = said,
  ): readonly Result[] => {
    const value = pick(own)
    if (value === undefined) return []
    const peerValue = other === undefined ? undefined : pick(other)
    const beside =
      peer === undefined || peerValue === undefined
        ? {}
        : { peer, peerValue, ratio: value / peerValue }
    return [{ name: `${name}${what}`, value, unit, ...beside, ...(note !== undefined && { note }) }]
  }
  return [
    ...line('', '/s', ({ perSecond }) => perSecond),
    ...line(': median', 'ms', ({ p50Ms }) => p50Ms),
    ...line(': 99 of 100 within', 'ms', ({ p99Ms }) => p99Ms),
    ...line(': processor time', 'us', ({ processorUs }) => processorUs),
  ]
}

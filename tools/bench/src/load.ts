import { HttpConnections, type HttpAsked } from './http-connections.ts'

export interface Load {
  /** Answered as wanted, per second. */
  readonly perSecond: number
  /** How long each took, in milliseconds. */
  readonly latenciesMs: readonly number[]
  /** All that were answered as wanted, those before and after the counting too. */
  readonly answered: number
}

/**
 * Keeps `inFlight` operations going for `seconds`, after a quarter of that to warm up. One that fails
 * ends the measurement: a fast refusal is no throughput.
 */
export async function keepGoing(
  inFlight: number,
  seconds: number,
  operation: (n: number) => Promise<unknown>,
): Promise<Load> {
  const latenciesMs: number[] = []
  let next = 0
  let answered = 0
  const startedAt = performance.now()
  const countFrom = startedAt + seconds * 250
  const until = countFrom + seconds * 1000
  const worker = async (): Promise<void> => {
    while (performance.now() < until) {
      const askedAt = performance.now()
      await operation(next++)
      answered++
      const answeredAt = performance.now()
      if (askedAt >= countFrom && answeredAt <= until) latenciesMs.push(answeredAt - askedAt)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return { perSecond: latenciesMs.length / seconds, latenciesMs, answered }
}

/**
 * The same over as many kept HTTP connections.
 *
 * @throws when any answer has another status
 */
export async function load(
  inFlight: number,
  seconds: number,
  wantedStatus: number,
  call: (n: number) => HttpAsked,
): Promise<Load> {
  const connections = new HttpConnections()
  try {
    return await keepGoing(inFlight, seconds, async (n) => {
      const { status } = await connections.request(call(n))
      if (status !== wantedStatus) throw new Error(`answered ${status}, not ${wantedStatus}`)
    })
  } finally {
    connections.close()
  }
}

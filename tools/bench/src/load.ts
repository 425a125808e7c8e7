import { Agent, request } from 'node:http'

export interface Load {
  /** Answered as wanted, per second. */
  readonly perSecond: number
  /** How long each took, in milliseconds. */
  readonly latenciesMs: readonly number[]
  /** All that were answered as wanted, those before and after the counting too. */
  readonly answered: number
}

interface Call {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

/**
 * Keeps `inFlight` requests going over as many kept connections for `seconds`, after a quarter of
 * that to warm up, and counts those with the status that was wanted.
 *
 * @throws when any answer has another status: a fast refusal is no throughput
 */
export async function load(
  inFlight: number,
  seconds: number,
  wantedStatus: number,
  call: (n: number) => Call,
): Promise<Load> {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight, scheduling: 'fifo' })
  const latenciesMs: number[] = []
  let next = 0
  let answered = 0
  const startedAt = performance.now()
  const countFrom = startedAt + seconds * 250
  const until = countFrom + seconds * 1000
  const worker = async (): Promise<void> => {
    while (performance.now() < until) {
      const askedAt = performance.now()
      const status = await statusOf(agent, call(next++))
      if (status !== wantedStatus) throw new Error(`answered ${status}, not ${wantedStatus}`)
      answered++
      const answeredAt = performance.now()
      if (askedAt >= countFrom && answeredAt <= until) latenciesMs.push(answeredAt - askedAt)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  agent.destroy()
  return { perSecond: latenciesMs.length / seconds, latenciesMs, answered }
}

const statusOf = (agent: Agent, { method, url, headers, body }: Call): Promise<number> =>
  new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const sent = request(url, { method, agent, headers: { ...headers, ...length } }, (answer) => {
      answer.resume()
      answer.once('end', () => resolve(answer.statusCode ?? 0))
      answer.once('error', reject)
    })
    sent.once('error', reject)
    sent.end(body)
  })

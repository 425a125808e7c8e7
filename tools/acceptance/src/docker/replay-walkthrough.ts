import { setTimeout as sleep } from 'node:timers/promises'
import { differencesOf, type Difference } from './differ.ts'
import { streamsIn, type EngineAnswer, type EngineClient } from './engine-client.ts'
import type { Identities } from './identities.ts'
import { expectedOf } from './recorded-answers.ts'
import { walkthrough, type Exchange } from './recordings.ts'

/** One recorded exchange, and where ours was otherwise. */
export interface Replayed {
  /** Such as `4.5 GET /v1.41/nodes`. */
  readonly exchange: string
  readonly differences: readonly Difference[]
}

/** How long what was polled may differ from how it was recorded in the end. */
const patienceMs = 60_000
const pauseMs = 200

/**
 * Sends all that the docker CLI sent in the tutorial, one command after the other, with our ids in the
 * place of the recorded ones, and compares what comes back.
 *
 * @param isSettled whether what was polled is as it is going to stay
 */
export async function replayWalkthrough(
  engine: EngineClient,
  identities: Identities,
  isSettled: (replayed: Replayed) => boolean,
): Promise<readonly Replayed[]> {
  const all: Replayed[] = []
  for (const [step, { http }] of walkthrough.entries()) {
    const named = http.map((exchange, at) => ({
      exchange,
      name: `${step}.${at} ${exchange.request}`,
    }))
    for (const { exchange, name } of named) {
      const replayed = await replay(engine, identities, exchange, step, name)
      if (exchange.polled === undefined) all.push(replayed)
    }
    // The CLI asked these again and again, until what the command began had come about.
    for (const { exchange, name } of named.filter((one) => one.exchange.polled !== undefined)) {
      const end = performance.now() + patienceMs
      let replayed = await replay(engine, identities, exchange, step, name)
      while (!isSettled(replayed) && performance.now() < end) {
        await sleep(pauseMs)
        replayed = await replay(engine, identities, exchange, step, name)
      }
      all.push(replayed)
    }
  }
  return all
}

async function replay(
  engine: EngineClient,
  identities: Identities,
  exchange: Exchange,
  step: number,
  name: string,
): Promise<Replayed> {
  const [method = '', url = ''] = identities
    .translate(decodeURIComponent(exchange.request))
    .split(' ')
  const path = encodeURI(url)
  const body: unknown =
    exchange.body === undefined
      ? undefined
      : JSON.parse(identities.translate(JSON.stringify(exchange.body)))
  if (exchange.stream !== undefined) {
    const answer = await engine.hijack(path, body)
    return { exchange: name, differences: streamDifferences(exchange, answer, identities) }
  }
  const answer = await engine.ask(method, path, body === undefined ? {} : { body })
  const differences = [...headDifferences(method, exchange.status, answer)]
  const { value, isTrimmed } = expectedOf(exchange, step)
  if (value !== undefined && differences.length === 0)
    differences.push(...differencesOf(value, jsonIn(answer), identities, { isTrimmed }))
  return { exchange: name, differences }
}

const shown = (value: unknown): string => JSON.stringify(value) ?? 'nothing'

/** Every client reads the status and these headers. Source: docker-swarm.md A2, A3. */
export function headDifferences(
  method: string,
  status: number,
  answer: EngineAnswer,
  isRouted = true,
): readonly Difference[] {
  if (answer.status !== status) {
    const got = `${answer.status} ${answer.body.toString().trim().slice(0, 150)}`
    return [{ path: 'status', expected: String(status), got }]
  }
  const isText = method === 'HEAD' || /^\s*OK/.test(answer.body.toString())
  const expected: Record<string, unknown> = {
    'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json',
    ...(isRouted && { ostype: 'linux', 'docker-experimental': 'false' }),
  }
  if (answer.body.length === 0 && !isText) delete expected['content-type']
  const got: Record<string, unknown> = { ...answer.headers }
  const differences = Object.entries(expected)
    .filter(([name, value]) => got[name] !== value)
    .map(([name, value]) => ({ path: name, expected: shown(value), got: shown(got[name]) }))
  const version = String(got['api-version'])
  if (isRouted && !/^1\.4[4-7]$/.test(version))
    differences.push({ path: 'api-version', expected: '1.44 to 1.47', got: version })
  if (answer.body.length > 0 && !answer.body.toString().endsWith('\n') && !isText)
    differences.push({ path: 'body', expected: 'a newline at its end', got: 'none' })
  return differences
}

function streamDifferences(
  { status, stream }: Exchange,
  answer: EngineAnswer,
  identities: Identities,
): readonly Difference[] {
  if (answer.status !== status) return headDifferences('POST', status, answer)
  // The recorder wrote down how its own terminal ended, too.
  const text = stream?.serverText?.replace('^@', '')
  if (text !== undefined) return differencesOf(text, answer.body.toString(), identities)
  const frames = stream?.serverFrames ?? []
  const streams = Object.fromEntries(streamsIn(answer.body))
  const expected = Object.fromEntries(frames.map((frame) => [String(frame.stream), frame.data]))
  return differencesOf(expected, streams, identities)
}

export function jsonIn({ body }: EngineAnswer): unknown {
  const text = body.toString()
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

import { isQuiet, watchDisturbance, type Disturbance } from './quiet.ts'
import { processorTimeUs } from './processor-time.ts'
import type { Load } from './load.ts'
import { median, quantile } from './result.ts'

/** Somebody who is put under the same load as the others, in turn. */
export interface Contender {
  readonly pids: readonly number[]
  run(seconds: number): Promise<Load>
}

/** What the rounds came to: medians over those that counted. */
export interface Measured {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of all its processes for one request, where the system tells it. */
  readonly processorUs: number | undefined
}

export interface Rounds {
  /** In the order of the contenders. */
  readonly measured: readonly Measured[]
  /** How many rounds were thrown away, because others used the machine. */
  readonly discarded: number
  /** What was too loud about those that counted, because there were not enough quiet ones. */
  readonly disturbance: Disturbance | undefined
}

export interface RoundsWanted {
  readonly seconds: number
  /** How many rounds count. */
  readonly rounds: number
  /** After so many the quiet ones are taken, and the others too if they are not enough. */
  readonly roundsMax: number
}

interface Turn extends Measured {
  readonly disturbance: Disturbance
}

/**
 * Puts each contender under load for a while, one after the other, and again, so that a minute in which
 * the machine is slower is slower for all of them.
 */
export async function alternate(
  contenders: readonly Contender[],
  { seconds, rounds, roundsMax }: RoundsWanted,
): Promise<Rounds> {
  const quiet: (readonly Turn[])[] = []
  const loud: (readonly Turn[])[] = []
  while (quiet.length < rounds && quiet.length + loud.length < roundsMax) {
    const turns: Turn[] = []
    for (const contender of contenders) turns.push(await turn(contender, seconds))
    const isQuietRound = turns.every(({ disturbance }) => isQuiet(disturbance))
    ;(isQuietRound ? quiet : loud).push(turns)
  }
  const isEnough = quiet.length >= rounds
  const counted = isEnough ? quiet : [...quiet, ...loud]
  const worst = counted.flat().map(({ disturbance }) => disturbance)
  return {
    measured: contenders.map((_, at) => combined(counted.flatMap((round) => round[at] ?? []))),
    discarded: isEnough ? loud.length : 0,
    disturbance: isEnough
      ? undefined
      : {
          steal: median(worst.map(({ steal }) => steal)),
          foreign: median(worst.map(({ foreign }) => foreign)),
        },
  }
}

async function turn(contender: Contender, seconds: number): Promise<Turn> {
  const { pids } = contender
  const spent = (): number | undefined =>
    pids.reduce<number | undefined>((sum, pid) => {
      const us = processorTimeUs(pid)
      return us === undefined || sum === undefined ? undefined : sum + us
    }, 0)
  const watched = watchDisturbance(pids)
  const before = spent()
  const load = await contender.run(seconds)
  const after = spent()
  return {
    perSecond: load.perSecond,
    p50Ms: median(load.latenciesMs),
    p99Ms: quantile(load.latenciesMs, 0.99),
    processorUs:
      before === undefined || after === undefined ? undefined : (after - before) / load.answered,
    disturbance: watched(),
  }
}

function combined(turns: readonly Measured[]): Measured {
  const of = (pick: (turn: Measured) => number): number => median(turns.map(pick))
  return {
    perSecond: of(({ perSecond }) => perSecond),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    processorUs: turns.some(({ processorUs }) => processorUs === undefined)
      ? undefined
      : of(({ processorUs }) => processorUs ?? 0),
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`

/** In words, for beside a number. */
export function noteOf({ discarded, disturbance }: Rounds): string | undefined {
  if (disturbance !== undefined) {
    const { steal, foreign } = disturbance
    return `not quiet: others ${percent(foreign)}, steal ${percent(steal)}`
  }
  return discarded > 0 ? `${discarded} loud rounds discarded` : undefined
}

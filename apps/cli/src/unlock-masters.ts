import { setTimeout as sleep } from 'node:timers/promises'
import type { RedactedBytes } from '@conclave/kernel'
import { HttpClient, HttpFailed } from '@conclave/runtime'
import type { Context } from './context.ts'
import { CommandFailed } from './failure.ts'
import { lockStateOf } from './lock-state.ts'

type MasterShown = Context['masters'][number]

/** What became of one master. */
export type UnlockOutcome =
  | 'unlocked'
  | 'not locked'
  | 'unreachable'
  | 'refused'
  | 'throttled'
  | 'did not start'

export interface MasterUnlocked {
  readonly masterId: string
  readonly outcome: UnlockOutcome
}

const patienceMs = 30_000
const pauseMs = 50

/** The masters with these ids, or all of the context. @throws CommandFailed for one that is not in it */
export function mastersNamed(
  { masters }: Context,
  names: readonly string[],
): readonly MasterShown[] {
  const unknown = names.find((name) => masters.every(({ masterId }) => masterId !== name))
  if (unknown !== undefined) {
    const known = masters.map(({ masterId }) => masterId).join(', ')
    throw new CommandFailed('notFound', `no master is called ${unknown}; there are ${known}`)
  }
  return names.length === 0 ? masters : masters.filter(({ masterId }) => names.includes(masterId))
}

/** Sends the key to each master that is locked, and waits until those that it opens have started. */
export async function unlockMasters(
  masters: readonly MasterShown[],
  text: RedactedBytes,
): Promise<readonly MasterUnlocked[]> {
  const http = new HttpClient({ timeoutMs: 10_000 })
  try {
    return await Promise.all(
      masters.map(async (master) => ({
        masterId: master.masterId,
        outcome: await unlockOne(http, master, text),
      })),
    )
  } finally {
    http.close()
  }
}

async function unlockOne(
  http: HttpClient,
  master: MasterShown,
  text: RedactedBytes,
): Promise<UnlockOutcome> {
  const state = await lockStateOf(http, master)
  if (state !== 'booting-locked') return state === 'running' ? 'not locked' : 'unreachable'
  const status = await statusOfTry(http, master, text)
  // Another operator may have been faster, or the answer was lost when the master went on.
  if (status !== undefined && status >= 300 && status !== 409 && status !== 503) {
    return status === 429 ? 'throttled' : 'refused'
  }
  for (const until = performance.now() + patienceMs; performance.now() < until;) {
    if ((await lockStateOf(http, master)) === 'running') return 'unlocked'
    await sleep(pauseMs)
  }
  return 'did not start'
}

async function statusOfTry(
  http: HttpClient,
  master: MasterShown,
  text: RedactedBytes,
): Promise<number | undefined> {
  try {
    const { status } = await http.request({
      method: 'POST',
      url: new URL('/conclave/v1/lock/unlock', master.conclave),
      headers: { 'content-type': 'text/plain' },
      body: text.reveal(),
    })
    return status
  } catch (error) {
    if (error instanceof HttpFailed) return undefined
    throw error
  }
}

/**
 * Whether the command has done what it was told to: every master that answers is open, and so is every
 * master that was named. @throws CommandFailed
 */
export function checkUnlocked(outcomes: readonly MasterUnlocked[], areNamed: boolean): void {
  const those = (outcome: UnlockOutcome): string =>
    outcomes.flatMap((one) => (one.outcome === outcome ? [one.masterId] : [])).join(', ')
  const refused = those('refused')
  if (refused !== '') {
    throw new CommandFailed(
      'denied',
      `this unlock key was refused by ${refused}: is it the newest one, of this cluster? A master that was away while the key was replaced takes the one before`,
    )
  }
  const throttled = those('throttled')
  if (throttled !== '') {
    throw new CommandFailed(
      'unavailable',
      `too many wrong keys for ${throttled}; try again in a few seconds`,
    )
  }
  const stuck = those('did not start')
  if (stuck !== '') {
    throw new CommandFailed('unavailable', `${stuck} took the key and did not start; see its log`)
  }
  const away = those('unreachable')
  if (away === '') return
  if (outcomes.every(({ outcome }) => outcome === 'unreachable')) {
    const which = areNamed ? `${away} does not answer` : 'no master answers'
    throw new CommandFailed(
      'unavailable',
      `${which}. Is the process running? Start it, then unlock`,
    )
  }
  if (areNamed) {
    throw new CommandFailed('unavailable', `${away} does not answer: start it, then unlock again`)
  }
}

/** Masters that nobody asked for by name and that do not answer are told of, and are no failure. */
export const awayOf = (outcomes: readonly MasterUnlocked[]): readonly string[] =>
  outcomes.flatMap(({ masterId, outcome }) => (outcome === 'unreachable' ? [masterId] : []))

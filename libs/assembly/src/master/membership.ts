import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  callsTo,
  MembershipRefused,
  type Address,
  type PeerAnswer,
  type PeerAsk,
  type PeerPlace,
} from '@conclave/actors'
import { ConclaveError, utf8 } from '@conclave/kernel'
import type { Log } from '@conclave/runtime'
import { writePrivately } from '../private-file.ts'

/** The directory of a master that was removed: its ids are used up, and nobody listens to it. */
export class MasterRemoved extends ConclaveError {
  readonly code = 'member.removed'

  constructor(masterId: string, directory: string) {
    super(
      `${masterId} was removed from the cluster, and its id is never used again; ` +
        `join anew with an empty directory, and delete ${directory} once nobody needs it`,
    )
  }
}

/** The masters would not let this one in, and would not later either. */
export class NotLetIn extends ConclaveError {
  readonly code = 'member.join-refused'

  constructor(masterId: string, why: string) {
    super(`the masters do not let ${masterId} in: ${why}`)
  }
}

const removedFile = (directory: string): string => join(directory, 'removed.json')

/** Remembers that the master of this directory was removed, for its next start. */
export async function noteRemoved(directory: string, masterId: string): Promise<void> {
  await writePrivately(removedFile(directory), utf8(`${JSON.stringify({ masterId })}\n`))
}

/** Whether the master of this directory is known to have been removed. */
export async function isRemoved(directory: string): Promise<boolean> {
  try {
    await readFile(removedFile(directory))
    return true
  } catch {
    return false
  }
}

/**
 * Has the others let a master go for good: whoever leads does it, so they are asked one after the other.
 *
 * @param asked by this master itself first, which may lead
 * @returns once they have, or `signal` is aborted
 */
export async function askToLeave(
  ask: (place: PeerPlace | 'self') => Promise<PeerAnswer | undefined>,
  places: () => readonly PeerPlace[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (const place of ['self' as const, ...places()]) {
      const answer = signal.aborted ? undefined : await ask(place)
      if (answer?.answer === 'removed') return
      if (answer?.answer === 'refused') throw new MembershipRefused(answer.why)
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined)
  }
}

/** At the first of its places where it answers. */
export async function askAt(
  peers: PeerAsk,
  { masterId, addresses }: PeerPlace,
  question: Parameters<PeerAsk['ask']>[2],
  signal: AbortSignal,
): Promise<PeerAnswer | undefined> {
  for (const at of callsTo(addresses)) {
    if (signal.aborted) return undefined
    const answer = await peers.ask(at, masterId, question).catch(() => undefined)
    if (answer !== undefined) return answer
  }
  return undefined
}

export interface MembershipOptions {
  readonly masterId: string
  readonly nodeId: number
  readonly role: 'voter' | 'learner'
  readonly peers: PeerAsk
  readonly places: () => readonly PeerPlace[]
  readonly listeners: () => Readonly<Record<string, Address>>
  /** Whether it knows who the others are. */
  readonly isMember: () => boolean
  readonly hasLeader: () => boolean
  readonly onRefused: (why: string) => void
  readonly onRemoved: () => void
  readonly log: Log
}

const everyMs = 500
/** Of these, in a row, without a leader: long enough for any election. */
const lonelyTurnsMax = 6

/**
 * What a master does to become and to stay a member: while it knows nobody it asks to be let in, and
 * when it hears of no leader for long, it asks whether it still is one of them.
 */
export class Membership {
  readonly #options: MembershipOptions
  readonly #stopping = new AbortController()
  #lonelyTurns = 0
  #lastWhy = ''

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  start(): void {
    void this.#run()
  }

  stop(): void {
    this.#stopping.abort()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        await this.#turn()
        await sleep(everyMs, undefined, { signal, ref: false })
      } catch (error) {
        if (!signal.aborted) this.#options.log.warn({ err: error }, 'the masters cannot be asked')
      }
    }
  }

  async #turn(): Promise<void> {
    const { isMember, hasLeader } = this.#options
    if (!isMember()) return this.#askToJoin()
    this.#lonelyTurns = hasLeader() ? 0 : this.#lonelyTurns + 1
    if (this.#lonelyTurns < lonelyTurnsMax) return
    this.#lonelyTurns = 0
    await this.#askWhetherMember()
  }

  /** The leader decides; who does not lead says so, and the next one is asked. */
  async #askToJoin(): Promise<void> {
    const { nodeId, role, listeners, log } = this.#options
    for (const place of this.#options.places()) {
      const question = { ask: 'join', nodeId, role, listeners: { ...listeners() } } as const
      const answer = await askAt(this.#options.peers, place, question, this.#stopping.signal)
      if (answer === undefined) continue
      if (answer.answer === 'member') return
      if (answer.answer === 'refused') return this.#options.onRefused(answer.why)
      if (answer.answer !== 'later' || answer.why === this.#lastWhy) continue
      this.#lastWhy = answer.why
      log.info({ master: place.masterId, why: answer.why }, 'not let in yet')
    }
  }

  async #askWhetherMember(): Promise<void> {
    for (const place of this.#options.places()) {
      const question = { ask: 'membership', listeners: { ...this.#options.listeners() } } as const
      const answer = await askAt(this.#options.peers, place, question, this.#stopping.signal)
      if (answer?.answer === 'removed') return this.#options.onRemoved()
    }
  }
}

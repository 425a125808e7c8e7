import { ByteWriter, sameBytes } from '@conclave/kernel'
import type { NodeId, ReadState } from '@conclave/raft'
import { Unavailable } from './master/errors.ts'

/** Those who asked in the same tick: they wait for the same thing, equally long, and for one promise. */
interface Readers {
  /** In ticks, as every time here. */
  readonly deadline: number
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface ReadRound {
  readonly context: Uint8Array
  readonly readers: readonly Readers[]
  readonly sentAt: number
}

/**
 * With two, a quorum is asked for the next readers while the ones before are answered; more would each
 * have fewer readers for the same messages.
 */
const roundsMax = 2

export interface ReadRoundsOptions {
  readonly nodeId: NodeId
  /**
   * Distinguishes this run from earlier ones of the same member: an answer to one of those may still be on
   * its way, and what was committed then is too old for whoever asks now.
   */
  readonly boot: string
  readonly deadlineTicks: number
}

/**
 * Who waits for this member to be fresh (ReadIndex). All who ask while a quorum is asked for others share
 * the next round.
 */
export class ReadRounds {
  readonly #options: ReadRoundsOptions
  #waiting: Readers[] = []
  /** Under way, the oldest first. Later callers may join none: each began before they asked. */
  #rounds: ReadRound[] = []
  #confirmed: { index: number; readers: readonly Readers[] }[] = []
  #counter = 0

  constructor(options: ReadRoundsOptions) {
    this.#options = options
  }

  /** Resolves once everything acknowledged before the call is applied here. @throws Unavailable */
  wait(nowTicks: number): Promise<void> {
    const deadline = nowTicks + this.#options.deadlineTicks
    const last = this.#waiting.at(-1)
    if (last?.deadline === deadline) return last.promise
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ deadline, promise, resolve, reject })
    return promise
  }

  /** The context of the next round, if one may begin now. */
  begin(nowTicks: number): Uint8Array | undefined {
    if (this.#rounds.length >= roundsMax || this.#waiting.length === 0) return undefined
    const { nodeId, boot } = this.#options
    const context = new ByteWriter(64)
      .uint(nodeId)
      .text(boot)
      .uint(this.#counter++)
      .take()
    this.#rounds.push({ context, readers: this.#waiting, sentAt: nowTicks })
    this.#waiting = []
    return context
  }

  /** A quorum has confirmed these; they are over once what was committed then is applied. */
  confirm(states: readonly ReadState[]): void {
    for (const { index, context } of states) {
      const round = this.#rounds.find((one) => sameBytes(one.context, context))
      if (round === undefined) continue
      this.#rounds = this.#rounds.filter((one) => one !== round)
      this.#confirmed.push({ index, readers: round.readers })
    }
  }

  release(appliedIndex: number): void {
    while (this.#confirmed[0] !== undefined && this.#confirmed[0].index <= appliedIndex) {
      for (const readers of this.#confirmed.shift()?.readers ?? []) readers.resolve()
    }
  }

  /** @param isLost whether what was sent at a tick will get no answer any more */
  tick(nowTicks: number, isLost: (sentAt: number) => boolean): void {
    if (this.#rounds.some(({ sentAt }) => isLost(sentAt))) this.breakOff()
    const isExpired = ({ deadline }: Readers): boolean => nowTicks >= deadline
    const expired = this.#waiting.filter(isExpired)
    if (expired.length > 0) this.#waiting = this.#waiting.filter((it) => !isExpired(it))
    for (const confirmed of this.#confirmed) {
      const late = confirmed.readers.filter(isExpired)
      if (late.length === 0) continue
      confirmed.readers = confirmed.readers.filter((it) => !isExpired(it))
      expired.push(...late)
    }
    for (const late of expired) late.reject(new Unavailable('no quorum confirmed the read in time'))
  }

  /** Nobody answers the rounds that are under way: their readers ask again. */
  breakOff(): void {
    if (this.#rounds.length === 0) return
    this.#waiting = [...this.#rounds.flatMap(({ readers }) => readers), ...this.#waiting]
    this.#rounds = []
  }

  close(error: Error): void {
    this.breakOff()
    for (const readers of this.#waiting) readers.reject(error)
    for (const { readers } of this.#confirmed) for (const late of readers) late.reject(error)
    this.#waiting = []
    this.#confirmed = []
  }
}

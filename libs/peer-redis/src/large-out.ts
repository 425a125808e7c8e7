import { Fifo, type OnSettled } from '@conclave/runtime'

import { pieceBytes, type Frame } from './frame.ts'

interface Large {
  readonly stream: number
  readonly bytes: Uint8Array
  readonly onSettled: OnSettled | undefined
}

/** How much of a message may be on its way: Redis cuts whoever it must keep much for. */
const windowBytes = 1024 * 1024
/** How often what was lost is sent again, without anything of it being taken, before it is given up. */
const resendsMax = 10

/**
 * Sends large messages in pieces, one message after the other. Pieces may be lost on the way, so the
 * other side says how much it has, and from there on they are sent again.
 */
export class LargeOut {
  readonly #say: (frame: Frame) => void
  readonly #settle: (onSettled: OnSettled | undefined, isDelivered: boolean) => void
  readonly #waiting = new Fifo<Large>()
  #queuedBytes = 0
  #nextStream = 1
  #sent = 0
  #taken = 0
  #turnsWithoutNews = 0
  #resends = 0

  constructor(
    say: (frame: Frame) => void,
    settle: (onSettled: OnSettled | undefined, isDelivered: boolean) => void,
  ) {
    this.#say = say
    this.#settle = settle
  }

  /** What the other side does not have yet. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  queue(bytes: Uint8Array, onSettled: OnSettled | undefined): void {
    this.#waiting.push({ stream: this.#nextStream++, bytes, onSettled })
    this.#queuedBytes += bytes.length
    if (this.#waiting.length === 1) this.#begin()
  }

  /** The other side has so much of it. */
  taken(stream: number, count: number): void {
    const large = this.#waiting.peek()
    if (large?.stream !== stream || count > large.bytes.length || count < this.#taken) return
    if (count === this.#taken && count < large.bytes.length) return
    this.#queuedBytes -= count - this.#taken
    this.#taken = count
    this.#sent = Math.max(this.#sent, count)
    this.#turnsWithoutNews = 0
    this.#resends = 0
    if (count < large.bytes.length) return this.#pump(large)
    this.#waiting.shift()
    this.#settle(large.onSettled, true)
    this.#begin()
  }

  /** Nothing was taken for `turns` turns: some of it is lost, so it is sent again from there. */
  turn(turns: number): void {
    const large = this.#waiting.peek()
    if (large === undefined || ++this.#turnsWithoutNews < turns) return
    if (++this.#resends <= resendsMax) return this.#begin(this.#taken)
    this.#waiting.shift()
    this.#resends = 0
    this.#queuedBytes -= large.bytes.length - this.#taken
    this.#settle(large.onSettled, false)
    this.#begin()
  }

  /** The other side is gone, and what it has taken of the first one with it. */
  lose(): void {
    for (const { onSettled } of this.#waiting.takeAll()) this.#settle(onSettled, false)
    this.#queuedBytes = 0
    this.#resends = 0
  }

  #begin(from = 0): void {
    const large = this.#waiting.peek()
    this.#taken = from
    this.#sent = from
    this.#turnsWithoutNews = 0
    if (large === undefined) return
    this.#say({ kind: 'begin', stream: large.stream, sizeBytes: large.bytes.length })
    this.#pump(large)
  }

  #pump({ stream, bytes }: Large): void {
    while (this.#sent < bytes.length && this.#sent - this.#taken < windowBytes) {
      const piece = bytes.subarray(this.#sent, this.#sent + pieceBytes)
      this.#say({ kind: 'piece', stream, offset: this.#sent, bytes: piece })
      this.#sent += piece.length
    }
  }
}

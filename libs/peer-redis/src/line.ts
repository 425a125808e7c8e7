import { Signal } from '@conclave/actors'
import { lineBytesMax, LinkRefused, type Conversation } from '@conclave/runtime'

import type { LineFrame, LineVerb } from './frame.ts'

/** What one end may have said that the other's reader has not taken. */
export const windowBytes = 256 * 1024
/** Of that, so much is taken before the other end is told. */
const tellAtBytes = windowBytes / 4
/** What may wait here to be said before whoever says it should wait. */
const roomBytes = 64 * 1024
/** Who says much more than the window has lost count. */
const unreadBytesMax = 4 * windowBytes

/**
 * One end of a conversation with a peer, over messages that may be lost: all of them have numbers, and where one is
 * missing the conversation is over. So what is heard is what was said, from its beginning and in its order.
 */
export class Line implements Conversation {
  readonly id: number
  /** Whether it was opened here. */
  readonly isOpener: boolean
  /** Since the other end was heard last. */
  silentTurns = 0
  readonly #wake: () => void
  readonly #changed = new Signal()
  readonly #closed = new AbortController()
  #unsaid: LineFrame[] = []
  #unsaidBytes = 0
  #saidCount = 0
  #saidBytes = 0
  #takenBytes = 0
  #unread: Uint8Array[] = []
  #unreadBytes = 0
  #heardCount = 0
  #readBytes = 0
  #toldBytes = 0
  #hasHungUp = false
  /** Nothing is to be said any more, to whom it was not said yet. */
  #isToldOver = false

  /** @param wake there may be something to be said: see {@link next} */
  constructor(id: number, isOpener: boolean, wake: () => void) {
    this.id = id
    this.isOpener = isOpener
    this.#wake = wake
  }

  get isOver(): boolean {
    return this.#hasHungUp || this.#closed.signal.aborted
  }

  /** Nobody has anything to say or to hear here. */
  get isDone(): boolean {
    return this.#isToldOver || this.#closed.signal.aborted
  }

  get hasHeard(): boolean {
    return this.#heardCount > 0
  }

  /** @throws LinkRefused when it is longer than lineBytesMax */
  say(message: Uint8Array): void {
    if (message.length > lineBytesMax) throw new LinkRefused('a message is too long')
    if (this.isOver) return
    this.#unsaid.push(this.#frame('said', this.#saidCount + this.#unsaid.length + 1, message))
    this.#unsaidBytes += message.length
    this.#wake()
  }

  async room(): Promise<void> {
    while (!this.isOver && this.#unsaidBytes >= roomBytes) {
      await this.#changed.wait(this.#closed.signal)
    }
  }

  async *heard(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = this.#unread.shift()
      if (next === undefined) {
        if (this.isOver) return
        await this.#changed.wait(this.#closed.signal)
        continue
      }
      this.#unreadBytes -= next.length
      this.#readBytes += next.length
      if (this.#readBytes - this.#toldBytes >= tellAtBytes) this.#wake()
      yield next
    }
  }

  hangUp(): void {
    if (this.isOver) return
    this.#hasHungUp = true
    this.#unread = []
    this.#changed.raise()
    this.#wake()
  }

  /** What is to be said now, one by one: undefined once there is nothing, or the other end has to take something first. */
  next(): LineFrame | undefined {
    if (this.isDone) return undefined
    if (!this.#hasHungUp && this.#readBytes - this.#toldBytes >= tellAtBytes) {
      this.#toldBytes = this.#readBytes
      return this.#frame('taken', this.#toldBytes)
    }
    const message = this.#unsaid[0]
    if (message === undefined) return this.#hasHungUp ? this.over() : undefined
    if (this.#saidBytes - this.#takenBytes >= windowBytes) return undefined
    this.#unsaid.shift()
    this.#unsaidBytes -= message.bytes.length
    this.#saidBytes += message.bytes.length
    this.#saidCount++
    this.#changed.raise()
    return message
  }

  /** Said now and then: how much was said, and taken, so that each end learns of what was lost. */
  sign(): readonly LineFrame[] {
    this.#toldBytes = this.#readBytes
    return [this.#frame('taken', this.#toldBytes), this.#frame('alive', this.#saidCount)]
  }

  /** The last word of this end, whatever of it was not said. */
  over(): LineFrame {
    this.#isToldOver = true
    this.#end()
    return this.#frame('over', this.#saidCount)
  }

  /** @returns false where the conversation cannot go on: something of it was lost */
  hear({ verb, number, bytes }: LineFrame): boolean {
    this.silentTurns = 0
    switch (verb) {
      case 'said':
        if (number !== this.#heardCount + 1) return false
        this.#heardCount = number
        return this.#keep(bytes)
      case 'taken':
        if (number > this.#saidBytes) return false
        this.#takenBytes = Math.max(this.#takenBytes, number)
        this.#wake()
        return true
      case 'alive':
        return number === this.#heardCount
      case 'over':
        this.#end()
        return true
      default:
        return false
    }
  }

  /** The other end is lost. What it has said can still be heard. */
  lose(): void {
    this.#end()
  }

  #keep(bytes: Uint8Array): boolean {
    if (this.isOver) return true
    this.#unread.push(Uint8Array.from(bytes))
    this.#unreadBytes += bytes.length
    this.#changed.raise()
    return this.#unreadBytes <= unreadBytesMax
  }

  #end(): void {
    this.#unsaid = []
    this.#unsaidBytes = 0
    this.#closed.abort()
  }

  #frame(verb: LineVerb, number: number, bytes: Uint8Array = nothing): LineFrame {
    return { kind: 'line', line: this.id, isOpener: this.isOpener, verb, number, bytes }
  }
}

const nothing = new Uint8Array(0)

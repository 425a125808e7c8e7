import { BytesMalformed, ConclaveError } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'
import {
  Fifo,
  LinkRefused,
  type Conversation,
  type Log,
  type OnSettled,
  type PeerLinkLimits,
} from '@conclave/runtime'

import type { Claim } from './announcement.ts'
import { decodeFrame, encodeFrame, wholeBytesMax, type Frame } from './frame.ts'
import { LargeIn } from './large-in.ts'
import { LargeOut } from './large-out.ts'
import { Lines, type LinesOptions } from './lines.ts'
import type { Sealed, Session, Sessions } from './session.ts'

/** Of one peer whom we have not heard yet: somebody may repeat announcements of its earlier lives. */
const untriedMax = 4
/** Earlier lives of a peer that are never listened to again. */
const pastMax = 64
/** What a small message costs in the queue beside its bytes. */
const overheadBytes = 64

export interface RedisPeerOptions extends Pick<LinesOptions, 'onAsk' | 'onOpen'> {
  readonly sessions: Sessions
  readonly nodeId: NodeId
  readonly id: string
  readonly limits: PeerLinkLimits
  /** Publishes; answers how many heard it, or undefined when nobody knows. */
  readonly publish: (session: Session, plaintext: Uint8Array) => Promise<number | undefined>
  readonly onMessage: (bytes: Uint8Array) => void
  readonly onUnreachable: () => void
  readonly onLost: () => void
  readonly log: Log
}

/**
 * One peer as this member sees it. It is up when it has lately said something that only it can say,
 * to this life of ours; what else is known of it is a claim.
 */
export class RedisPeer {
  readonly #options: RedisPeerOptions
  /** With lives that have proven who they are, but not yet that they are now. */
  #untried: Session[] = []
  /** The life that was heard last. */
  #current: Session | undefined
  #past: Session['life'][] = []
  #isUp = false
  #isClosed = false
  #silentTurns = 0
  #unheardTurns = 0

  readonly #held = new Fifo<Uint8Array>()
  #heldBytes = 0
  #flyingBytes = 0
  #hasOverflowed = false
  #largeIn: LargeIn
  readonly #largeOut: LargeOut
  readonly #lines: Lines
  #toldUnreachable: NodeJS.Immediate | undefined

  constructor(options: RedisPeerOptions) {
    this.#options = options
    this.#largeIn = this.#newLargeIn()
    this.#largeOut = new LargeOut(
      (frame) => this.#say(frame),
      (onSettled, isDelivered) => this.#settle(onSettled, isDelivered),
    )
    const { onAsk, onOpen, limits, log } = options
    this.#lines = new Lines({
      say: (frame) =>
        new Promise<void>((resolve) => {
          this.#say(frame, resolve)
        }),
      onAsk,
      onOpen,
      turnsPerSecond: Math.max(1, Math.round(1000 / limits.pingMs)),
      log,
    })
  }

  get id(): string {
    return this.#options.id
  }

  get isUp(): boolean {
    return this.#isUp
  }

  get queuedBytes(): number {
    return this.#heldBytes + this.#flyingBytes + this.#largeOut.queuedBytes
  }

  knows(life: Uint8Array): boolean {
    return (
      this.#sessions().some((session) => session.isOf(life)) ||
      this.#past.some((past) => Buffer.compare(past, life) === 0)
    )
  }

  /** A life that has proven to be this peer's. It is spoken to, and counts once it has answered. */
  meet(claim: Claim): void {
    let session: Session
    try {
      session = this.#options.sessions.with(claim)
    } catch (error) {
      // A key of low order, which no peer of ours draws.
      if (error instanceof ConclaveError) return
      throw error
    }
    this.#untried = [...this.#untried, session].slice(-untriedMax)
    this.#publish(session, { kind: 'ping' })
  }

  /** Whether the message was of this peer, to this life of ours, and new. */
  receive(sealed: Sealed): boolean {
    const session = this.#sessions().find((one) => one.isOf(sealed.fromLife))
    if (session === undefined) return false
    let plaintext: Uint8Array | undefined
    try {
      plaintext = session.open(sealed)
    } catch {
      return false
    }
    if (plaintext === undefined) return false
    this.#heard(session)
    this.#read(plaintext)
    return true
  }

  send(bytes: Uint8Array, onSettled?: OnSettled): void {
    if (this.#isClosed) return
    if (onSettled === undefined && bytes.length <= wholeBytesMax) this.#sendSmall(bytes)
    else this.#sendLarge(bytes, onSettled)
  }

  /** @throws LinkRefused when it is not there, or does not answer in time */
  async ask(question: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (!this.#isUp) throw new LinkRefused(`${this.id} is not there`)
    return this.#lines.ask(question, timeoutMs)
  }

  /** Undefined while it is not there. */
  open(opening: Uint8Array, timeoutMs: number): Conversation | undefined {
    return this.#isUp ? this.#lines.open(opening, timeoutMs) : undefined
  }

  /** It is no peer any more: what waits for it, or is on its way in pieces, is not for it now. */
  becomeGuest(): void {
    this.#held.takeAll()
    this.#heldBytes = 0
    this.#largeOut.lose()
  }

  /** A turn of the link's clock, while Redis is there. */
  turn(): void {
    const { limits } = this.#options
    for (const session of this.#sessions()) this.#publish(session, { kind: 'ping' })
    if (!this.#isUp) return
    this.#largeOut.turn(Math.max(2, Math.ceil(1000 / limits.pingMs)))
    this.#lines.turn()
    if (++this.#silentTurns > Math.ceil(limits.silenceMs / limits.pingMs)) {
      this.#down('silent', true)
    }
  }

  /** Redis is away, and so is everybody. Nobody's process has ended, as far as we know. */
  wireLost(): void {
    this.#down('no Redis', false)
  }

  /** Says that it ends, so that nobody waits for it. */
  async leave(): Promise<void> {
    if (this.#isUp && this.#current !== undefined) {
      await this.#options.publish(this.#current, encodeFrame({ kind: 'leave' }))
    }
  }

  destroy(): void {
    this.#isClosed = true
    this.#isUp = false
    this.#lines.lose()
    if (this.#toldUnreachable !== undefined) clearImmediate(this.#toldUnreachable)
  }

  #sessions(): readonly Session[] {
    return this.#current === undefined ? this.#untried : [this.#current, ...this.#untried]
  }

  #newLargeIn(): LargeIn {
    return new LargeIn(this.#options.limits.messageBytesMax, (frame) => this.#say(frame))
  }

  #heard(session: Session): void {
    this.#silentTurns = 0
    this.#unheardTurns = 0
    if (session !== this.#current) this.#enter(session)
    if (this.#isUp) return
    this.#isUp = true
    this.#options.log.info({ peer: this.id }, 'connected to a peer')
    for (let bytes = this.#held.shift(); bytes !== undefined; bytes = this.#held.shift()) {
      this.#say({ kind: 'message', bytes })
    }
    this.#heldBytes = 0
  }

  /** The peer has begun a new life, so the one before is over for good. */
  #enter(session: Session): void {
    const before = this.#current
    this.#untried = this.#untried.filter((one) => one !== session)
    if (before !== undefined) this.#past = [...this.#past, before.life].slice(-pastMax)
    if (this.#isUp) this.#down('it was started again', true)
    this.#lines.lose()
    this.#largeIn = this.#newLargeIn()
    this.#current = session
  }

  /** @throws BytesMalformed never: what a peer has sealed and we cannot read is dropped, and said */
  #read(plaintext: Uint8Array): void {
    try {
      const frame = decodeFrame(plaintext)
      switch (frame.kind) {
        case 'message':
          return this.#options.onMessage(frame.bytes)
        case 'begin':
        case 'piece': {
          const whole = this.#largeIn.take(frame)
          if (whole !== undefined) this.#options.onMessage(whole)
          return
        }
        case 'taken':
          return this.#largeOut.taken(frame.stream, frame.count)
        case 'line':
          return this.#lines.received(frame)
        case 'leave':
          return this.#down('it has left', true)
        case 'ping':
      }
    } catch (error) {
      if (!(error instanceof BytesMalformed)) throw error
      this.#options.log.warn({ peer: this.id, why: error.message }, 'a message was dropped')
    }
  }

  #sendSmall(bytes: Uint8Array): void {
    if (!this.#isUp) {
      this.#held.push(bytes)
      this.#heldBytes += bytes.length + overheadBytes
      while (this.#heldBytes > this.#options.limits.heldBytesMax) {
        this.#heldBytes -= (this.#held.shift()?.length ?? 0) + overheadBytes
      }
      return
    }
    if (this.#flyingBytes + bytes.length > this.#options.limits.queueBytesMax) {
      if (!this.#hasOverflowed) {
        this.#options.log.warn({ peer: this.id }, 'Redis answers too slowly: messages are dropped')
      }
      this.#hasOverflowed = true
      this.#tellUnreachable()
      return
    }
    this.#say({ kind: 'message', bytes })
  }

  #sendLarge(bytes: Uint8Array, onSettled: OnSettled | undefined): void {
    const { messageBytesMax, queueBytesMax } = this.#options.limits
    const queued = this.#largeOut.queuedBytes
    const isTooMuch = queued > 0 && queued + bytes.length > queueBytesMax
    if (!this.#isUp || bytes.length > messageBytesMax || isTooMuch) {
      this.#settle(onSettled, false)
      this.#tellUnreachable()
      return
    }
    this.#largeOut.queue(bytes, onSettled)
  }

  #say(frame: Frame, onGone?: () => void): void {
    if (this.#current === undefined) onGone?.()
    else this.#publish(this.#current, frame, onGone)
  }

  /** @param onGone it has left this process, or could not */
  #publish(session: Session, frame: Frame, onGone?: () => void): void {
    const plaintext = encodeFrame(frame)
    this.#flyingBytes += plaintext.length
    void this.#options.publish(session, plaintext).then((hearers) => {
      onGone?.()
      this.#flyingBytes -= plaintext.length
      if (this.#flyingBytes < this.#options.limits.queueBytesMax / 2) this.#hasOverflowed = false
      if (this.#isClosed || session !== this.#current) return undefined
      if (hearers === undefined) this.#tellUnreachable()
      else if (hearers > 0) this.#unheardTurns = 0
      else this.#unheard(frame)
      return undefined
    })
  }

  /**
   * Nobody listens on its channel: its process is gone, or Redis has cut it off. Once may be a moment
   * in which it comes back.
   */
  #unheard(frame: Frame): void {
    this.#tellUnreachable()
    if (frame.kind === 'ping' && ++this.#unheardTurns >= 2) this.#down('nobody listens', true)
  }

  #down(why: string, isLost: boolean): void {
    if (!this.#isUp || this.#isClosed) return
    this.#isUp = false
    this.#unheardTurns = 0
    this.#silentTurns = 0
    this.#largeOut.lose()
    this.#lines.lose()
    this.#options.log.warn({ peer: this.id, why }, 'lost a peer')
    if (isLost) this.#options.onLost()
    this.#tellUnreachable()
  }

  /** Later, because whoever sends is in the middle of something, and once for a burst. */
  #tellUnreachable(): void {
    this.#toldUnreachable ??= setImmediate(() => {
      this.#toldUnreachable = undefined
      this.#options.onUnreachable()
    })
  }

  #settle(onSettled: OnSettled | undefined, isDelivered: boolean): void {
    if (onSettled === undefined) return
    setImmediate(() => {
      if (!this.#isClosed) onSettled(isDelivered)
    })
  }
}

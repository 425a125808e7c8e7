import type { TLSSocket } from 'node:tls'

import { Signal, type Address } from '@conclave/actors'
import { ConclaveError, InvariantViolated } from '@conclave/kernel'

import type { TlsIdentity } from './authority/identity.ts'
import { FrameReader, FrameWriter } from './framing.ts'
import { dial, LinkRefused } from './link-tls.ts'
import { Liveness } from './liveness.ts'
import { decodePeerFrame, encodePeerFrame, frameBytesMax, wholeBytesMax } from './peer-protocol.ts'
import type { Conversation } from './peer-wire.ts'

/*
 * A conversation of two masters over a connection of its own, at the peer port (docs/formats/links.md). TCP holds
 * back who says more than is read.
 */

/** Of one message, or of what a conversation is opened with. */
export const lineBytesMax = wholeBytesMax

/** Above this the other side is held back, below that it goes on. */
const holdAtBytes = 1024 * 1024
const goAtBytes = 256 * 1024
/** How long the other end may take to close a connection on which all was said. */
const lingerMs = 5000

/** One end of a conversation over TCP. */
export class LineEnd implements Conversation {
  readonly #socket: TLSSocket
  readonly #writer: FrameWriter
  readonly #mayPause: boolean
  readonly #changed = new Signal()
  readonly #closed = new AbortController()
  /** What is said before there is anybody to hear it. */
  #waiting: Uint8Array[] | undefined
  #unread: Uint8Array[] = []
  #unreadBytes = 0
  #isPaused = false
  #hasHungUp = false

  /** @param mayPause whether the other side may be held back: not who has to be heard to be known to live */
  constructor(socket: TLSSocket, o: { readonly mayPause: boolean; readonly isOpen: boolean }) {
    this.#socket = socket
    this.#mayPause = o.mayPause
    this.#waiting = o.isOpen ? undefined : []
    this.#writer = new FrameWriter(socket, () => this.#changed.raise())
    socket.once('close', () => this.#closed.abort())
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  get isOver(): boolean {
    return this.#hasHungUp || this.#closed.signal.aborted
  }

  /** @throws LinkRefused when it is longer than {@link lineBytesMax} */
  say(message: Uint8Array): void {
    if (message.length > lineBytesMax) throw new LinkRefused('a message is too long')
    if (this.isOver) return
    if (this.#waiting !== undefined) this.#waiting.push(message)
    else this.#writer.write(...encodePeerFrame({ kind: 'said', bytes: message }))
  }

  async room(): Promise<void> {
    while (!this.isOver && this.#writer.isFull) await this.#changed.wait(this.#closed.signal)
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
      if (this.#isPaused && this.#unreadBytes < goAtBytes) this.#pause(false)
      yield next
    }
  }

  hangUp(): void {
    if (this.isOver) return
    this.#hasHungUp = true
    this.#changed.raise()
    this.#writer.flush()
    // Who reads slowly (`docker logs | less`) still hears what was said before; who is lost falls silent.
    this.#socket.end(() => setTimeout(() => this.#socket.destroy(), lingerMs).unref())
    // Nobody reads what still comes, and the end of it has to be seen.
    this.#unread = []
    this.#pause(false)
  }

  /** There is somebody at the other end now, and first hears `opening`. */
  opened(opening: Uint8Array): void {
    this.#writer.write(...encodePeerFrame({ kind: 'open', bytes: opening }))
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const message of waiting) this.say(message)
    this.#writer.flush()
  }

  /** The other side says something: the bytes are this end's from now on. */
  received(message: Uint8Array): void {
    if (this.isOver) return
    this.#unread.push(message)
    this.#unreadBytes += message.length
    if (this.#mayPause && this.#unreadBytes > holdAtBytes) this.#pause(true)
    this.#changed.raise()
  }

  ping(kind: 'ping' | 'pong'): void {
    // Its opening comes first, however long a handshake takes. Who does not read is not told to read more.
    if (this.#waiting !== undefined || this.#socket.destroyed || this.#writer.isFull) return
    this.#writer.write(...encodePeerFrame({ kind }))
  }

  #pause(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return
    this.#isPaused = isPaused
    if (isPaused) this.#socket.pause()
    else this.#socket.resume()
  }
}

export interface PeerLineOptions {
  readonly clusterId: string
  readonly identity: TlsIdentity
  readonly at: Address
  /** Whose certificate must answer. */
  readonly masterId: string
  readonly opening: Uint8Array
  /** For the first word. Default 5 s. */
  readonly timeoutMs?: number
  readonly pingMs?: number
  readonly silenceMs?: number
}

/** Where nobody answers, or not who should, nothing is heard. */
export function openPeerLine(o: PeerLineOptions): LineEnd {
  const { clusterId, identity, at, masterId, opening, timeoutMs = 5000 } = o
  const socket = dial(at, identity, { role: 'conclave-master', clusterId, id: masterId })
  const line = new LineEnd(socket, { mayPause: true, isOpen: false })
  const reader = new FrameReader(frameBytesMax)
  const patience = setTimeout(() => socket.destroy(), timeoutMs)
  const liveness = new Liveness({
    everyMs: o.pingMs ?? 1000,
    silenceMs: o.silenceMs ?? 10_000,
    onTurn: () => line.ping('ping'),
    onSilent: () => {
      // What is held back cannot be heard.
      if (!line.isPaused) socket.destroy()
    },
  })
  socket.on('secureConnect', () => {
    if (opening.length > lineBytesMax) socket.destroy()
    else line.opened(opening)
  })
  socket.on('data', (chunk: Buffer) => {
    liveness.heard()
    try {
      for (const bytes of reader.push(chunk)) {
        const frame = decodePeerFrame(bytes)
        if (frame.kind === 'pong') continue
        if (frame.kind !== 'said') throw new LinkRefused(`${frame.kind} out of turn`)
        clearTimeout(patience)
        line.received(Uint8Array.from(frame.bytes))
      }
    } catch (error) {
      if (!(error instanceof ConclaveError) || error instanceof InvariantViolated) throw error
      socket.destroy()
    }
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    clearTimeout(patience)
    liveness.stop()
  })
  return line
}

import type { TLSSocket } from 'node:tls'

import type { Address } from '@conclave/actors'
import { ConclaveError, type Random } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'

import type { TlsIdentity } from './authority/identity.ts'
import { Backoff } from './backoff.ts'
import { Fifo } from './fifo.ts'
import { FrameReader, FrameWriter } from './framing.ts'
import { dial, LinkRefused } from './link-tls.ts'
import { Liveness } from './liveness.ts'
import type { Log } from './log.ts'
import {
  decodePeerFrame,
  encodePeerFrame,
  frameBytesMax,
  pieceBytes,
  wholeBytesMax,
  type Greeting,
} from './peer-protocol.ts'

/** Where a peer is, and the id that its certificate must carry. */
export interface PeerAddress {
  readonly id: string
  readonly host: string
  readonly port: number
  /** Where it may be as well, tried in turn: its certificate says whether it is. */
  readonly others?: readonly Address[]
}

export interface PeerLinkLimits {
  /** What may wait for a peer that is connected but slow. */
  readonly queueBytesMax: number
  /** What is kept for a peer that is not connected: the newest messages. */
  readonly heldBytesMax: number
  readonly messageBytesMax: number
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  readonly pingMs: number
  /** Hearing nothing for so long, in spite of pings, ends the connection. */
  readonly silenceMs: number
}

/** Told whether a message arrived whole at the other process. */
export type OnSettled = (isDelivered: boolean) => void

interface Large {
  readonly stream: number
  readonly bytes: Uint8Array
  readonly onSettled: OnSettled | undefined
  sent: number
}

/** How much of small messages may pass before a large one gets its next piece. */
const turnBytes = 256 * 1024
/** What a small message costs in the queue beside its bytes. */
const overheadBytes = 64

/** The outgoing half of the link to one peer: it dials, and dials again, for as long as it is open. */
export class PeerDial {
  readonly #self: Greeting
  readonly #peer: NodeId
  #address: PeerAddress
  readonly #identity: () => TlsIdentity
  readonly #limits: PeerLinkLimits
  readonly #onUnreachable: () => void
  readonly #onLost: () => void
  readonly #log: Log
  readonly #backoff: Backoff

  #socket: TLSSocket | undefined
  #writer: FrameWriter | undefined
  #isUp = false
  #isClosed = false
  #retry: NodeJS.Timeout | undefined
  #liveness: Liveness | undefined
  #why = ''
  /** Which of its places is tried. */
  #turn = 0
  /** The place that was dialled last. */
  #dialled: Address | undefined

  readonly #small = new Fifo<Uint8Array>()
  #smallBytes = 0
  #smallSincePiece = 0
  readonly #large = new Fifo<Large>()
  #largeBytes = 0
  readonly #unconfirmed = new Map<number, Large>()
  #nextStream = 1
  #hasOverflowed = false
  #toldUnreachable: NodeJS.Immediate | undefined

  constructor(options: {
    readonly self: Greeting
    readonly peer: NodeId
    readonly address: PeerAddress
    readonly identity: () => TlsIdentity
    readonly limits: PeerLinkLimits
    readonly random: Random
    readonly onUnreachable: () => void
    readonly onLost: () => void
    readonly log: Log
  }) {
    this.#self = options.self
    this.#peer = options.peer
    this.#address = options.address
    this.#identity = options.identity
    this.#limits = options.limits
    this.#onUnreachable = options.onUnreachable
    this.#onLost = options.onLost
    this.#log = options.log
    this.#backoff = new Backoff(
      options.random,
      options.limits.retryFirstMs,
      options.limits.retryMaxMs,
    )
  }

  get address(): PeerAddress {
    return this.#address
  }

  /**
   * Looks for the peer at these places from now on. Answers false when that takes another dial: it is
   * somebody else, or is not where this one is connected to.
   */
  mayStayFor(address: PeerAddress): boolean {
    const places: readonly Address[] = [address, ...(address.others ?? [])]
    const isThere = places.some(
      ({ host, port }) => host === this.#dialled?.host && port === this.#dialled.port,
    )
    if (address.id !== this.#address.id || (this.#dialled !== undefined && !isThere)) return false
    this.#address = address
    return true
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Bytes in this process's memory that the peer has not been sent. */
  get queuedBytes(): number {
    return this.#smallBytes + this.#largeBytes
  }

  start(): void {
    if (!this.#isClosed && this.#socket === undefined) this.#connect()
  }

  /** The peer has just shown itself: do not wait for the next try. */
  retryNow(): void {
    if (this.#retry === undefined) return
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#connect()
  }

  send(bytes: Uint8Array, onSettled?: OnSettled): void {
    if (this.#isClosed) return
    if (onSettled === undefined && bytes.length <= wholeBytesMax) this.#queueSmall(bytes)
    else this.#queueLarge({ stream: this.#nextStream++, bytes, onSettled, sent: 0 })
    this.#pump()
  }

  /** What was handed over leaves now, rather than at the end of this turn of the event loop. */
  flush(): void {
    this.#writer?.flush()
  }

  /** Sends what is queued and small, then ends the connection. */
  close(): void {
    for (let bytes = this.#small.shift(); bytes !== undefined; bytes = this.#small.shift()) {
      if (this.#isUp) this.#writer?.write(...encodePeerFrame({ kind: 'message', bytes }))
    }
    this.#stop()
    this.#writer?.flush()
    this.#socket?.end()
  }

  destroy(): void {
    this.#stop()
    this.#socket?.destroy()
  }

  #stop(): void {
    this.#isClosed = true
    if (this.#retry !== undefined) clearTimeout(this.#retry)
    if (this.#toldUnreachable !== undefined) clearImmediate(this.#toldUnreachable)
    this.#liveness?.stop()
    this.#retry = undefined
  }

  #queueSmall(bytes: Uint8Array): void {
    if (this.#isUp && this.#smallBytes + bytes.length > this.#limits.queueBytesMax) {
      if (!this.#hasOverflowed) {
        this.#log.warn(
          { peer: this.#address.id },
          'the peer reads too slowly: messages are dropped',
        )
      }
      this.#hasOverflowed = true
      this.#tellUnreachable()
      return
    }
    this.#small.push(bytes)
    this.#smallBytes += bytes.length + overheadBytes
    if (this.#isUp) return
    while (this.#smallBytes > this.#limits.heldBytesMax) this.#takeSmall()
  }

  #queueLarge(large: Large): void {
    const isTooLarge = large.bytes.length > this.#limits.messageBytesMax
    const isTooMuch =
      this.#large.length > 0 && this.#largeBytes + large.bytes.length > this.#limits.queueBytesMax
    if (!this.#isUp || isTooLarge || isTooMuch) {
      this.#settle(large, false)
      this.#tellUnreachable()
      return
    }
    this.#large.push(large)
    this.#largeBytes += large.bytes.length
  }

  #takeSmall(): Uint8Array | undefined {
    const bytes = this.#small.shift()
    if (bytes !== undefined) this.#smallBytes -= bytes.length + overheadBytes
    return bytes
  }

  /** Hands over as much as the socket takes: small messages first, but large ones get their turn. */
  #pump(): void {
    const writer = this.#writer
    if (writer === undefined || !this.#isUp) return
    while (!writer.isFull) {
      const isLargeNext = this.#large.length > 0 && this.#smallSincePiece >= turnBytes
      const bytes = isLargeNext ? undefined : this.#takeSmall()
      if (bytes !== undefined) {
        this.#smallSincePiece += bytes.length
        writer.write(...encodePeerFrame({ kind: 'message', bytes }))
      } else if (!this.#pumpPiece(writer)) {
        break
      }
    }
    if (this.#smallBytes < this.#limits.queueBytesMax / 2) this.#hasOverflowed = false
  }

  #pumpPiece(writer: FrameWriter): boolean {
    this.#smallSincePiece = 0
    const large = this.#large.peek()
    if (large === undefined) return false
    if (large.sent === 0) {
      const { stream, bytes } = large
      writer.write(...encodePeerFrame({ kind: 'begin', stream, sizeBytes: bytes.length }))
    }
    const piece = large.bytes.subarray(large.sent, large.sent + pieceBytes)
    if (piece.length > 0) writer.write(...encodePeerFrame({ kind: 'piece', bytes: piece }))
    large.sent += piece.length
    this.#largeBytes -= piece.length
    if (large.sent === large.bytes.length) {
      this.#large.shift()
      this.#unconfirmed.set(large.stream, large)
    }
    return true
  }

  #connect(): void {
    const { id, others = [] } = this.#address
    const places: readonly Address[] = [this.#address, ...others]
    const { host, port } = places[this.#turn % places.length] ?? this.#address
    this.#dialled = { host, port }
    const socket = dial({ host, port }, this.#identity(), {
      role: 'conclave-master',
      clusterId: this.#self.clusterId,
      id,
    })
    const reader = new FrameReader(frameBytesMax)
    const writer = new FrameWriter(socket, () => this.#pump())
    this.#socket = socket
    this.#writer = writer
    const liveness = new Liveness({
      everyMs: this.#limits.pingMs,
      silenceMs: this.#limits.silenceMs,
      onTurn: () => {
        if (this.#isUp) writer.write(...encodePeerFrame({ kind: 'ping' }))
      },
      onSilent: () => {
        this.#why = 'silent'
        socket.destroy()
      },
    })
    this.#liveness = liveness
    socket.on('secureConnect', () => {
      writer.write(...encodePeerFrame({ kind: 'hello', ...this.#self }))
      writer.flush()
    })
    socket.on('data', (chunk: Buffer) => {
      liveness.heard()
      try {
        for (const frame of reader.push(chunk)) this.#receive(frame)
      } catch (error) {
        if (!(error instanceof ConclaveError)) throw error
        socket.destroy(error)
      }
    })
    socket.on('error', (error) => {
      this.#why = error instanceof LinkRefused ? error.message : codeOf(error)
      socket.destroy()
    })
    socket.on('close', () => this.#down())
  }

  #receive(bytes: Uint8Array): void {
    const frame = decodePeerFrame(bytes)
    if (frame.kind === 'welcome') {
      this.#up(frame)
    } else if (frame.kind === 'delivered') {
      const large = this.#unconfirmed.get(frame.stream)
      this.#unconfirmed.delete(frame.stream)
      if (large !== undefined) this.#settle(large, true)
    } else if (frame.kind !== 'pong') {
      throw new LinkRefused(`a peer that was dialled says ${frame.kind}`)
    }
  }

  #up(greeting: Greeting): void {
    const isExpected =
      greeting.version === this.#self.version &&
      greeting.clusterId === this.#self.clusterId &&
      greeting.nodeId === this.#peer
    if (!isExpected) throw new LinkRefused('its greeting is of another version, cluster or node')
    this.#isUp = true
    this.#why = ''
    this.#backoff.reset()
    this.#log.info({ peer: this.#address.id }, 'connected to a peer')
    this.#pump()
  }

  #down(): void {
    const wasUp = this.#isUp
    // Where it was it will be looked for first.
    if (!wasUp) this.#turn++
    this.#socket = undefined
    this.#writer = undefined
    this.#isUp = false
    this.#liveness?.stop()
    const lost = [...this.#unconfirmed.values(), ...this.#large.takeAll()]
    this.#unconfirmed.clear()
    this.#largeBytes = 0
    if (this.#isClosed) return

    for (const large of lost) this.#settle(large, false)
    while (this.#smallBytes > this.#limits.heldBytesMax) this.#takeSmall()
    const told = { peer: this.#address.id, why: this.#why === '' ? 'closed' : this.#why }
    if (wasUp) this.#log.warn(told, 'lost a peer')
    else this.#log.debug(told, 'cannot reach a peer')
    if (wasUp) this.#onLost()
    this.#tellUnreachable()
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#connect()
    }, this.#backoff.nextMs())
  }

  /** Later, because whoever sends is in the middle of something, and once for a burst. */
  #tellUnreachable(): void {
    this.#toldUnreachable ??= setImmediate(() => {
      this.#toldUnreachable = undefined
      this.#onUnreachable()
    })
  }

  #settle({ onSettled }: Large, isDelivered: boolean): void {
    if (onSettled === undefined) return
    setImmediate(() => {
      if (!this.#isClosed) onSettled(isDelivered)
    })
  }
}

const codeOf = (error: Error): string => (error as { code?: string }).code ?? error.name

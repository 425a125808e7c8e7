import type { TLSSocket } from 'node:tls'

import type { Address } from '@conclave/actors'
import { ConclaveError, InvariantViolated, type Random } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'

import type { TlsIdentity } from './authority/identity.ts'
import { subjectOf } from './authority/subject.ts'
import { FrameReader, FrameWriter } from './framing.ts'
import { Gather } from './gather.ts'
import { LinkListener, LinkRefused } from './link-tls.ts'
import { Liveness } from './liveness.ts'
import { silentLog, type Log } from './log.ts'
import { askBytesMax } from './peer-ask.ts'
import { LineEnd } from './peer-line.ts'
import { PeerDial, type OnSettled, type PeerAddress, type PeerLinkLimits } from './peer-dial.ts'
import {
  decodePeerFrame,
  encodePeerFrame,
  frameBytesMax,
  protocolVersion,
  type Greeting,
  type PeerFrame,
} from './peer-protocol.ts'
import type { Conversation, PeerLink, PeerLinkTold } from './peer-wire.ts'
import { SystemRandom } from './random.ts'

const usualLimits: PeerLinkLimits = {
  queueBytesMax: 64 * 1024 * 1024,
  heldBytesMax: 1024 * 1024,
  messageBytesMax: 256 * 1024 * 1024 + 64 * 1024,
  retryFirstMs: 20,
  retryMaxMs: 1000,
  pingMs: 1000,
  silenceMs: 10_000,
}

export interface PeerLinkOptions extends PeerLinkTold {
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly identity: TlsIdentity
  readonly listen: Address
  /** By node id. This node itself may be among them. */
  readonly peers: ReadonlyMap<NodeId, PeerAddress>
  /**
   * A master of this cluster, proven by its certificate, has a question; it need be no peer. Without
   * this nobody is answered.
   */
  readonly onAsk?: (masterId: string, question: Uint8Array) => Promise<Uint8Array>
  /** The same for a conversation that it opens. */
  readonly onOpen?: (masterId: string, opening: Uint8Array, line: Conversation) => void
  readonly log?: Log
  readonly random?: Random
  readonly limits?: Partial<PeerLinkLimits>
}

/**
 * Carries opaque messages between the masters of one cluster, over TCP and mutual TLS 1.3. Each node
 * dials each other one and sends on that connection alone, so who accepted a connection never has to
 * be agreed upon. Messages may be lost or reordered, but never forged, merged or torn.
 */
export class TcpPeerLink implements PeerLink {
  readonly #self: Greeting
  readonly #options: PeerLinkOptions
  readonly #limits: PeerLinkLimits
  readonly #log: Log
  readonly #random: Random
  readonly #listener: LinkListener
  readonly #dials = new Map<NodeId, PeerDial>()
  readonly #callers = new Map<NodeId, TLSSocket>()
  #identity: TlsIdentity
  #peers: ReadonlyMap<NodeId, PeerAddress>
  #isStarted = false
  #isClosed = false
  #refusals = 0

  constructor(options: PeerLinkOptions) {
    const { clusterId, nodeId, identity } = options
    this.#self = { version: protocolVersion, clusterId, nodeId }
    this.#options = options
    this.#limits = { ...usualLimits, ...options.limits }
    this.#log = options.log ?? silentLog
    this.#random = options.random ?? new SystemRandom()
    this.#identity = identity
    this.#peers = options.peers
    this.#listener = new LinkListener({
      identity,
      expected: { role: 'conclave-master', clusterId },
      onSocket: (socket) => this.#accept(socket),
      onRefused: (why) => this.#log.warn({ why }, 'refused a caller at the peer port'),
    })
  }

  /** How many callers were refused: at TLS, by their certificate, or by their greeting. */
  get refusals(): number {
    return this.#listener.refusals + this.#refusals
  }

  /** Listens, then dials every peer. @throws LinkListenFailed */
  async start(): Promise<{ port: number }> {
    const listening = await this.#listener.listen(this.#options.listen)
    this.#isStarted = true
    this.setPeers(this.#peers)
    return listening
  }

  isUp(peer: NodeId): boolean {
    return this.#dials.get(peer)?.isUp ?? false
  }

  queuedBytes(peer: NodeId): number {
    return this.#dials.get(peer)?.queuedBytes ?? 0
  }

  /**
   * Queues one message, whose bytes must not change any more. Messages to nobody we know are dropped.
   * With `onSettled` the other side confirms that it has it (for a snapshot), or we say that it is lost.
   */
  send(to: NodeId, bytes: Uint8Array, onSettled?: OnSettled): void {
    const peer = this.#dials.get(to)
    if (peer !== undefined) peer.send(bytes, onSettled)
    else if (onSettled !== undefined) setImmediate(() => onSettled(false))
  }

  /** What was sent leaves now, in one write for each peer: nothing more comes in this turn. */
  flush(): void {
    for (const peer of this.#dials.values()) peer.flush()
  }

  /** Hangs up on who is not among `peers`, dials who is new or has moved. */
  setPeers(peers: ReadonlyMap<NodeId, PeerAddress>): void {
    this.#peers = peers
    if (!this.#isStarted || this.#isClosed) return
    for (const [nodeId, peer] of this.#dials) {
      const wanted = peers.get(nodeId)
      if (wanted !== undefined && peer.mayStayFor(wanted)) continue
      peer.destroy()
      this.#dials.delete(nodeId)
      this.#callers.get(nodeId)?.destroy()
      this.#callers.delete(nodeId)
    }
    for (const [nodeId, address] of peers) {
      if (nodeId !== this.#self.nodeId && !this.#dials.has(nodeId)) this.#dial(nodeId, address)
    }
  }

  /** For a certificate about to expire. Connections that stand go on. */
  setIdentity(identity: TlsIdentity): void {
    this.#identity = identity
    this.#listener.renew(identity)
  }

  /** Sends what is queued, ends every connection, and resolves when all are gone. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const peer of this.#dials.values()) peer.close()
    for (const caller of this.#callers.values()) caller.end()
    const patience = setTimeout(() => this.destroy(), 1000)
    await this.#listener.close()
    clearTimeout(patience)
    for (const peer of this.#dials.values()) peer.destroy()
  }

  /** As a crash would leave it: every connection is cut, what was queued is gone. */
  destroy(): void {
    this.#isClosed = true
    for (const peer of this.#dials.values()) peer.destroy()
    this.#listener.destroy()
  }

  #dial(nodeId: NodeId, address: PeerAddress): void {
    const peer = new PeerDial({
      self: this.#self,
      peer: nodeId,
      address,
      identity: () => this.#identity,
      limits: this.#limits,
      random: this.#random,
      onUnreachable: () => this.#options.onUnreachable(nodeId),
      onLost: () => this.#options.onLost?.(nodeId),
      log: this.#log,
    })
    this.#dials.set(nodeId, peer)
    peer.start()
  }

  #accept(socket: TLSSocket): void {
    const id = subjectOf(socket.getPeerCertificate())?.id ?? ''
    const caller = new Caller(socket, this.#limits, {
      onHello: (greeting) => this.#welcome(socket, id, greeting),
      onAsk: (question) => this.#answer(id, question),
      onOpen: (opening, line) => {
        const { onOpen } = this.#options
        if (onOpen === undefined || this.#isClosed) throw new LinkRefused('nobody talks here')
        onOpen(id, opening, line)
      },
      onMessage: (from, bytes) => {
        if (!this.#isClosed) this.#options.onMessage(from, bytes)
      },
      onRefused: (why) => {
        this.#refusals++
        this.#log.warn({ caller: id, why }, 'refused a peer')
      },
    })
    socket.on('close', () => {
      caller.stop()
      const { from } = caller
      if (from === undefined || this.#callers.get(from) !== socket) return
      this.#callers.delete(from)
      // Again, because what it said last may have been read after the end of our own connection.
      if (!this.#isClosed) this.#options.onLost?.(from)
    })
  }

  async #answer(id: string, question: Uint8Array): Promise<Uint8Array> {
    const { onAsk } = this.#options
    if (onAsk === undefined || this.#isClosed)
      throw new LinkRefused('no questions are answered here')
    if (question.length > askBytesMax) throw new LinkRefused('its question is too long')
    return onAsk(id, question)
  }

  /** @throws LinkRefused unless the caller is a peer of ours, under the id of its certificate */
  #welcome(socket: TLSSocket, id: string, greeting: Greeting): Greeting {
    const { version, clusterId, nodeId } = greeting
    if (clusterId !== this.#self.clusterId) throw new LinkRefused('it greets another cluster')
    if (version !== protocolVersion) {
      throw new LinkRefused(`it speaks version ${version} of the protocol, not ${protocolVersion}`)
    }
    if (nodeId === this.#self.nodeId || this.#peers.get(nodeId)?.id !== id) {
      throw new LinkRefused(`node ${nodeId} with this certificate is no peer`)
    }
    this.#callers.get(nodeId)?.destroy()
    this.#callers.set(nodeId, socket)
    this.#dials.get(nodeId)?.retryNow()
    return this.#self
  }
}

interface CallerTold {
  /** Answers with our own greeting. @throws LinkRefused when the caller is no peer */
  readonly onHello: (greeting: Greeting) => Greeting
  /** The answer to a question that came instead of a greeting. @throws ConclaveError */
  readonly onAsk: (question: Uint8Array) => Promise<Uint8Array>
  /** A conversation that was opened instead. @throws LinkRefused */
  readonly onOpen: (opening: Uint8Array, line: LineEnd) => void
  readonly onMessage: (from: NodeId, bytes: Uint8Array) => void
  readonly onRefused: (why: string) => void
}

/** The incoming half: one connection that somebody with a master's certificate has made. */
class Caller {
  readonly #writer: FrameWriter
  readonly #limits: PeerLinkLimits
  readonly #told: CallerTold
  readonly #socket: TLSSocket
  readonly #liveness: Liveness
  #large: { readonly stream: number; readonly gather: Gather } | undefined
  #from: NodeId | undefined
  #hasAsked = false
  #line: LineEnd | undefined

  constructor(socket: TLSSocket, limits: PeerLinkLimits, told: CallerTold) {
    this.#limits = limits
    this.#told = told
    this.#socket = socket
    this.#writer = new FrameWriter(socket)
    const reader = new FrameReader(frameBytesMax)
    this.#liveness = new Liveness({
      everyMs: limits.pingMs,
      silenceMs: limits.silenceMs,
      onTurn: () => undefined,
      onSilent: () => socket.destroy(),
    })
    socket.on('data', (chunk: Buffer) => {
      this.#liveness.heard()
      try {
        for (const frame of reader.push(chunk)) {
          if (socket.destroyed) return
          this.#receive(decodePeerFrame(frame))
        }
      } catch (error) {
        // Our own bug stops us; their garbage ends their connection.
        if (!(error instanceof ConclaveError) || error instanceof InvariantViolated) throw error
        told.onRefused(error.message)
        socket.destroy()
      }
    })
  }

  /** Who this is, once it has greeted. */
  get from(): NodeId | undefined {
    return this.#from
  }

  stop(): void {
    this.#liveness.stop()
  }

  #receive(frame: PeerFrame): void {
    if (this.#hasAsked) throw new LinkRefused('more than one question')
    if (this.#line !== undefined) return this.#hear(this.#line, frame)
    if (this.#from === undefined) {
      if (frame.kind === 'ask') return this.#ask(frame.bytes)
      if (frame.kind === 'open') return this.#open(frame.bytes)
      if (frame.kind !== 'hello') throw new LinkRefused(`it began with ${frame.kind}, not hello`)
      this.#answer({ kind: 'welcome', ...this.#told.onHello(frame) })
      this.#from = frame.nodeId
      return
    }
    switch (frame.kind) {
      case 'message':
        return this.#told.onMessage(this.#from, frame.bytes)
      case 'begin':
        return this.#begin(frame.stream, frame.sizeBytes)
      case 'piece':
        return this.#piece(frame.bytes)
      case 'ping':
        return this.#answer({ kind: 'pong' })
      case 'hello':
      case 'welcome':
      case 'delivered':
      case 'pong':
      case 'ask':
      case 'answer':
      case 'open':
      case 'said':
        throw new LinkRefused(`${frame.kind} out of turn`)
    }
  }

  #open(opening: Uint8Array): void {
    // It is known to live by its pings, so it is never held back: what is said has its own bounds.
    this.#line = new LineEnd(this.#socket, { mayPause: false, isOpen: true })
    this.#told.onOpen(Uint8Array.from(opening), this.#line)
  }

  #hear(line: LineEnd, frame: PeerFrame): void {
    if (frame.kind === 'said') line.received(Uint8Array.from(frame.bytes))
    else if (frame.kind === 'ping') line.ping('pong')
    else throw new LinkRefused(`${frame.kind} out of turn`)
  }

  #ask(question: Uint8Array): void {
    this.#hasAsked = true
    // Copied: what it came in is used again.
    void this.#answerAsk(Uint8Array.from(question))
  }

  async #answerAsk(question: Uint8Array): Promise<void> {
    try {
      const bytes = await this.#told.onAsk(question)
      this.#writer.write(...encodePeerFrame({ kind: 'answer', bytes }))
      this.#writer.flush()
      this.#socket.end()
    } catch (error) {
      this.#told.onRefused(error instanceof ConclaveError ? error.message : 'a fault of ours')
      this.#socket.destroy()
    }
  }

  #begin(stream: number, sizeBytes: number): void {
    if (this.#large !== undefined) throw new LinkRefused('a second large message inside the first')
    if (sizeBytes > this.#limits.messageBytesMax) {
      throw new LinkRefused(`a message of ${sizeBytes} bytes is too large`)
    }
    this.#large = { stream, gather: new Gather(sizeBytes) }
    this.#finish()
  }

  #piece(bytes: Uint8Array): void {
    if (this.#large === undefined) throw new LinkRefused('a piece of no message')
    const taken = this.#large.gather.take(bytes)
    if (taken < bytes.length) throw new LinkRefused('more pieces than were announced')
    this.#finish()
  }

  #finish(): void {
    if (this.#large === undefined || this.#from === undefined) return
    const { stream, gather } = this.#large
    if (!gather.isComplete) return
    this.#large = undefined
    this.#told.onMessage(this.#from, gather.bytes())
    this.#answer({ kind: 'delivered', stream })
  }

  #answer(frame: PeerFrame): void {
    // Pongs and confirmations are tiny, but somebody who never reads them must not fill our memory.
    if (this.#writer.isFull) throw new LinkRefused('it does not read our answers')
    this.#writer.write(...encodePeerFrame(frame))
  }
}

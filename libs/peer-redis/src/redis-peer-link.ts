import { createBoxKeyPair } from '@conclave/crypto'
import type { Random } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'
import {
  LinkRefused,
  nobodyThere,
  silentLog,
  SystemRandom,
  type Log,
  type AskWanted,
  type Conversation,
  type OnSettled,
  type OpenWanted,
  type PeerAddress,
  type PeerLink,
  type PeerLinkLimits,
  type PeerLinkOptions,
  type PeerLinkTold,
  type PeerTalk,
  type TlsIdentity,
} from '@conclave/runtime'

import { announce, lifeOf, readClaim, type Claim } from './announcement.ts'
import { certificateCredentials, type Credentials } from './credentials.ts'
import type { RedisAddress } from './redis-address.ts'
import { RedisBus } from './redis-bus.ts'
import { RedisPeer } from './redis-peer.ts'
import { readSealed, Sessions, type Self, type Session } from './session.ts'

const usualLimits: PeerLinkLimits = {
  queueBytesMax: 16 * 1024 * 1024,
  heldBytesMax: 1024 * 1024,
  messageBytesMax: 256 * 1024 * 1024 + 64 * 1024,
  retryFirstMs: 20,
  retryMaxMs: 1000,
  pingMs: 150,
  silenceMs: 3000,
}

/** How long a presence stands in Redis, and how often it is renewed. */
const presenceMs = 3000
const presenceEveryMs = 1000
/** Signatures that are looked at in one second, whoever claims what: a stranger must not keep us busy. */
const doubtsPerSecond = 64

export interface RedisPeerKnown extends Pick<PeerAddress, 'id'> {
  /** It is spoken with, and is no peer: nothing of the group is sent to it, or taken of it. */
  readonly isGuest?: boolean
}

export interface RedisPeerLinkOptions
  extends PeerLinkTold, Pick<PeerLinkOptions, 'onAsk' | 'onOpen'> {
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly credentials: Credentials
  readonly redis: RedisAddress
  /** By node id. Only the ids count: where a peer is, nobody needs to know. */
  readonly peers: ReadonlyMap<NodeId, RedisPeerKnown>
  /** Redis cannot be reached, and why. It is tried again. */
  readonly onTrouble?: (why: string) => void
  readonly log?: Log
  readonly random?: Random
  readonly limits?: Partial<PeerLinkLimits>
}

/** What a message on a channel begins with. */
const kinds = { announcement: 1, sealed: 2 } as const
/** The kind, and the sender's node id. */
const prefixBytes = 9

/**
 * The masters of one cluster, over a Redis that they need not trust: it carries announcements, which
 * are signed, and messages, which are sealed between two lives of two members. It may lose, repeat,
 * delay, reorder or forget whatever it likes, and be read and written by strangers; then messages are
 * lost, and that is all. What it keeps is only ever used to find each other, never to count anybody.
 */
export class RedisPeerLink implements PeerLink, PeerTalk {
  readonly #options: RedisPeerLinkOptions
  readonly #limits: PeerLinkLimits
  readonly #log: Log
  readonly #self: Self
  readonly #sessions: Sessions
  readonly #bus: RedisBus
  readonly #peers = new Map<NodeId, RedisPeer>()
  #credentials: Credentials
  #announcement: string
  #wanted: RedisPeerLinkOptions['peers']
  #timer: NodeJS.Timeout | undefined
  #turns = 0
  #doubtsLeft = doubtsPerSecond
  #isLookingAround = false
  #isStarted = false
  #isClosed = false
  #refusals = 0

  constructor(options: RedisPeerLinkOptions) {
    const { clusterId, nodeId } = options
    const random = options.random ?? new SystemRandom()
    this.#options = options
    this.#limits = { ...usualLimits, ...options.limits }
    this.#log = options.log ?? silentLog
    this.#self = { clusterId, nodeId, keyPair: createBoxKeyPair(random) }
    this.#sessions = new Sessions(this.#self)
    this.#credentials = options.credentials
    this.#announcement = this.#announce()
    this.#wanted = options.peers
    this.#bus = new RedisBus({
      address: options.redis,
      channel: channelOf(clusterId, nodeId),
      onBytes: (bytes) => this.#hear(bytes),
      onUp: () => this.#appear(),
      onDown: () => {
        for (const peer of this.#peers.values()) peer.wireLost()
      },
      onTrouble: (why) => options.onTrouble?.(why),
      retryFirstMs: this.#limits.retryFirstMs,
      retryMaxMs: this.#limits.retryMaxMs,
      random,
      log: this.#log,
    })
  }

  get refusals(): number {
    return this.#refusals
  }

  /** Begins to look for Redis and the peers. Neither needs to be there yet. */
  async start(): Promise<{ port: number }> {
    this.#isStarted = true
    this.setPeers(this.#wanted)
    this.#bus.start()
    this.#timer = setInterval(() => this.#turn(), this.#limits.pingMs)
    return { port: 0 }
  }

  isUp(peer: NodeId): boolean {
    return !this.#isGuest(peer) && (this.#peers.get(peer)?.isUp ?? false)
  }

  queuedBytes(peer: NodeId): number {
    return this.#peers.get(peer)?.queuedBytes ?? 0
  }

  send(to: NodeId, bytes: Uint8Array, onSettled?: OnSettled): void {
    const peer = this.#isGuest(to) ? undefined : this.#peers.get(to)
    if (peer !== undefined) peer.send(bytes, onSettled)
    else if (onSettled !== undefined) setImmediate(() => onSettled(false))
  }

  /** Of a peer, which need not be told where it is. @throws LinkRefused */
  async ask({ masterId, question, timeoutMs }: AskWanted): Promise<Uint8Array> {
    const peer = this.#named(masterId)
    if (peer === undefined) throw new LinkRefused(`${masterId} is no peer`)
    return peer.ask(question, timeoutMs)
  }

  open({ masterId, opening, timeoutMs }: OpenWanted): Conversation {
    return this.#named(masterId)?.open(opening, timeoutMs) ?? nobodyThere
  }

  /** The client of Redis writes all of one turn at once by itself. */
  flush(): void {
    return undefined
  }

  setPeers(peers: RedisPeerLinkOptions['peers']): void {
    for (const [nodeId, peer] of this.#peers) {
      if (peers.get(nodeId)?.isGuest === true && !this.#isGuest(nodeId)) peer.becomeGuest()
    }
    this.#wanted = peers
    if (!this.#isStarted || this.#isClosed) return
    for (const [nodeId, peer] of this.#peers) {
      if (peers.get(nodeId)?.id === peer.id) continue
      peer.destroy()
      this.#peers.delete(nodeId)
    }
    for (const [nodeId, { id }] of peers) {
      if (nodeId !== this.#self.nodeId && !this.#peers.has(nodeId)) this.#add(nodeId, id)
    }
    if (this.#bus.isUp) void this.#lookAround()
  }

  setIdentity(identity: TlsIdentity): void {
    this.#credentials = certificateCredentials(this.#self.clusterId, identity)
    this.#announcement = this.#announce()
    if (this.#bus.isUp) this.#appear()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#timer)
    if (this.#bus.isUp) {
      // In the order in which it was said, so what was sent is with Redis by then.
      const last = [...this.#peers.values()].map((peer) => peer.leave())
      const gone = this.#bus.forget(presenceOf(this.#self)).catch(ignore)
      await Promise.race([Promise.all([...last, gone]), afterMs(1000)])
    }
    this.#end()
  }

  destroy(): void {
    this.#isClosed = true
    this.#end()
  }

  #end(): void {
    clearInterval(this.#timer)
    for (const peer of this.#peers.values()) peer.destroy()
    this.#bus.destroy()
  }

  #announce(): string {
    const { clusterId, nodeId, keyPair } = this.#self
    return announce(clusterId, { nodeId, publicKey: keyPair.publicKey }, this.#credentials)
  }

  #isGuest(nodeId: NodeId): boolean {
    return this.#wanted.get(nodeId)?.isGuest === true
  }

  #named(masterId: string): RedisPeer | undefined {
    return [...this.#peers.values()].find(({ id }) => id === masterId)
  }

  #add(nodeId: NodeId, id: string): void {
    const { onMessage, onUnreachable, onLost, onAsk, onOpen } = this.#options
    const peer = new RedisPeer({
      sessions: this.#sessions,
      nodeId,
      id,
      limits: this.#limits,
      publish: (session, plaintext) => this.#publish(nodeId, session, plaintext),
      onMessage: (bytes) => {
        if (!this.#isClosed && !this.#isGuest(nodeId)) onMessage(nodeId, bytes)
      },
      onUnreachable: () => {
        if (!this.#isGuest(nodeId)) onUnreachable(nodeId)
      },
      onLost: () => {
        if (!this.#isGuest(nodeId)) onLost?.(nodeId)
      },
      onAsk: onAsk && ((question) => onAsk(id, question)),
      onOpen: onOpen && ((opening, line) => onOpen(id, opening, line)),
      log: this.#log,
    })
    this.#peers.set(nodeId, peer)
  }

  async #publish(to: NodeId, session: Session, plaintext: Uint8Array): Promise<number | undefined> {
    if (!this.#bus.isUp) return undefined
    const sealed = session.seal(plaintext, prefixBytes)
    this.#writePrefix(sealed, kinds.sealed)
    try {
      return await this.#bus.publish(channelOf(this.#self.clusterId, to), sealed)
    } catch {
      // Nobody knows whether it was heard; the bus says by itself when Redis is away.
      return undefined
    }
  }

  #writePrefix(bytes: Buffer, kind: number): void {
    bytes[0] = kind
    bytes.writeBigUInt64BE(BigInt(this.#self.nodeId), 1)
  }

  #turn(): void {
    if (!this.#bus.isUp) return
    const turnsOfPresence = Math.max(1, Math.round(presenceEveryMs / this.#limits.pingMs))
    if (this.#turns++ % turnsOfPresence === 0) {
      this.#doubtsLeft = doubtsPerSecond
      void this.#present()
      void this.#lookAround()
    }
    for (const peer of this.#peers.values()) peer.turn()
  }

  /** Shows itself to everybody, then looks who is there: so of two who begin at once, one sees the other. */
  #appear(): void {
    void this.#present()
    for (const nodeId of this.#peers.keys()) this.#greet(nodeId)
    void this.#lookAround()
  }

  #present(): Promise<void> {
    return this.#bus.set(presenceOf(this.#self), this.#announcement, presenceMs).catch(ignore)
  }

  #greet(nodeId: NodeId): void {
    const text = Buffer.from(this.#announcement)
    const bytes = Buffer.alloc(prefixBytes + text.length)
    bytes.set(text, prefixBytes)
    this.#writePrefix(bytes, kinds.announcement)
    this.#bus.publish(channelOf(this.#self.clusterId, nodeId), bytes).catch(ignore)
  }

  /** Reads what peers have left in Redis. One look at a time. */
  async #lookAround(): Promise<void> {
    if (this.#isLookingAround) return
    this.#isLookingAround = true
    try {
      const { clusterId } = this.#self
      const keys = [...this.#peers.keys()].map((nodeId) => presenceOf({ clusterId, nodeId }))
      for (const text of await this.#bus.get(keys)) {
        if (text !== null && !this.#isClosed) this.#consider(Buffer.from(text))
      }
    } catch {
      // Redis is away. There is another look when it is back.
    } finally {
      this.#isLookingAround = false
    }
  }

  #hear(bytes: Uint8Array): void {
    if (bytes.length < prefixBytes) return this.#refuse('too short for anything')
    const view = new DataView(bytes.buffer, bytes.byteOffset, prefixBytes)
    const nodeId = Number(view.getBigUint64(1))
    const rest = bytes.subarray(prefixBytes)
    if (bytes[0] === kinds.announcement) return this.#consider(rest)
    const sealed = bytes[0] === kinds.sealed ? readSealed(rest) : undefined
    const peer = this.#peers.get(nodeId)
    if (sealed === undefined || peer === undefined) return this.#refuse('of nobody we know')
    if (peer.receive(sealed)) return
    // A life of a peer that has not been met; or a stranger, a repetition, or a word to an earlier life.
    this.#refuse('not sealed for us, or heard before')
    if (!peer.knows(sealed.fromLife)) void this.#lookAround()
  }

  #consider(bytes: Uint8Array): void {
    const claim = readClaim(this.#self.clusterId, bytes)
    if (claim === undefined) return this.#refuse('no announcement of this cluster')
    const peer = this.#peers.get(claim.nodeId)
    if (peer === undefined) return this.#refuse('of nobody we know')
    if (peer.knows(lifeOf(claim.publicKey))) return
    if (this.#doubtsLeft-- <= 0) return this.#refuse('too many claims at once')
    const why = claim.doubt(peer.id, this.#credentials)
    if (why !== undefined) return this.#refuse(why)
    this.#meet(claim, peer)
  }

  #meet(claim: Claim, peer: RedisPeer): void {
    this.#greet(claim.nodeId)
    peer.meet(claim)
  }

  #refuse(why: string): void {
    this.#refusals++
    this.#log.debug({ why }, 'refused a message from Redis')
  }
}

const channelOf = (clusterId: string, to: NodeId): string => `conclave:${clusterId}:raft:${to}`

const presenceOf = ({ clusterId, nodeId }: Pick<Self, 'clusterId' | 'nodeId'>): string =>
  `conclave:${clusterId}:peer:${nodeId}`

const afterMs = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })

const ignore = (): void => undefined

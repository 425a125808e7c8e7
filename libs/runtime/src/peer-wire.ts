import type { Address } from '@conclave/actors'
import type { NodeId } from '@conclave/raft'

import type { TlsIdentity } from './authority/identity.ts'
import type { OnSettled, PeerAddress } from './peer-dial.ts'

/** What whoever uses a {@link PeerLink} is told. */
export interface PeerLinkTold {
  /** `from` is proven. The caller still compares it with what the message says. */
  readonly onMessage: (from: NodeId, bytes: Uint8Array) => void
  /** Messages to this peer were lost, or it cannot be reached. Never called from within `send`. */
  readonly onUnreachable: (nodeId: NodeId) => void
  /** A connection that stood, to or from this peer, has ended. */
  readonly onLost?: (nodeId: NodeId) => void
}

/**
 * Carries opaque messages between the masters of one cluster: over TCP, or over Redis. Messages may
 * be lost or reordered, but never forged, merged, torn or, by anybody else, read. One suite holds for
 * all of them (`testing/peer-link.contract.ts`).
 */
export interface PeerLink {
  /** How many strangers and strange messages were refused. */
  readonly refusals: number
  /** Begins to hear and to look for every peer. `port` is where it listens: 0 when nobody calls it. */
  start(): Promise<{ readonly port: number }>
  isUp(peer: NodeId): boolean
  /** Bytes that wait for this peer, in this process's memory. */
  queuedBytes(peer: NodeId): number
  /**
   * Queues one message, whose bytes must not change any more. Messages to nobody we know are dropped.
   * With `onSettled` the other side confirms that it has it, or we say that it is lost.
   */
  send(to: NodeId, bytes: Uint8Array, onSettled?: OnSettled): void
  /** What was sent leaves now: nothing more comes in this turn. */
  flush(): void
  /** Hangs up on who is not among `peers`, looks for who is new or has moved. */
  setPeers(peers: ReadonlyMap<NodeId, PeerAddress>): void
  /** For a certificate about to expire. Connections that stand go on. */
  setIdentity(identity: TlsIdentity): void
  /** Sends what is queued, ends every connection, and resolves when all are gone. */
  close(): Promise<void>
  /** As a crash would leave it: every connection is cut, what was queued is gone. */
  destroy(): void
}

/** One end of a conversation of two masters: messages both ways, in order, until either hangs up or is lost. */
export interface Conversation {
  /** Whether either side has hung up, or is lost. */
  readonly isOver: boolean
  /** Waits in memory until it can leave: see {@link room}. @throws LinkRefused when it is too long */
  say(message: Uint8Array): void
  /** Resolves once most of what was said is on its way, or it is over. */
  room(): Promise<void>
  /** Ends with the conversation. While nobody reads it, the other end waits before long. */
  heard(): AsyncGenerator<Uint8Array>
  /** What was said before arrives, if it can. */
  hangUp(): void
}

/** With whoever is not there: nothing is heard. */
export const nobodyThere: Conversation = {
  isOver: true,
  say: () => undefined,
  room: () => Promise.resolve(),
  heard: async function* heard() {},
  hangUp: () => undefined,
}

export interface AskWanted {
  /** Where it listens, where that has to be known. */
  readonly at: Address | undefined
  /** Who must answer. */
  readonly masterId: string
  readonly question: Uint8Array
  readonly timeoutMs: number
}

export interface OpenWanted extends Pick<AskWanted, 'at' | 'masterId'> {
  readonly opening: Uint8Array
  /** For the first word. */
  readonly timeoutMs: number
}

/** What masters say to each other beside the messages of their group. */
export interface PeerTalk {
  /** @throws LinkRefused, or what the wire failed with: nobody answered, or not who should */
  ask(wanted: AskWanted): Promise<Uint8Array>
  /** Where nobody answers, or not who should, nothing is heard. */
  open(wanted: OpenWanted): Conversation
}

import type { PeerPlace } from '@conclave/actors'
import { Redacted, utf8Text, type Random, type RedactedBytes } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'
import {
  certificateCredentials,
  parseRedisAddress,
  RedisAddressInvalid,
  RedisPeerLink,
  type RedisAddress,
  type RedisPeerKnown,
} from '@conclave/peer-redis'
import {
  TcpPeerLink,
  type Log,
  type PeerAddress,
  type PeerLink,
  type PeerLinkOptions,
  type PeerLinkTold,
  type PeerTalk,
  type TlsIdentity,
} from '@conclave/runtime'
import type { MasterPlace } from './master-options.ts'
import { talkOverTcp } from './peer-asks.ts'

/** What masters speak to each other over: their own TCP connections, or a Redis. */
export type PeerWire = 'tcp' | RedisAddress

/** @param text `tcp`, or the address of a Redis. @throws RedisAddressInvalid */
export const parsePeerWire = (text: RedactedBytes): PeerWire => {
  const plain = utf8Text(text.reveal())
  return plain === 'tcp' ? plain : parseRedisAddress(plain)
}

export function isPeerWire(text: string): boolean {
  try {
    parsePeerWire(new Redacted(Buffer.from(text)))
    return true
  } catch (error) {
    if (error instanceof RedisAddressInvalid) return false
    throw error
  }
}

export interface PeerLinkParts extends PeerLinkTold {
  readonly wire: PeerWire
  readonly clusterId: string
  readonly own: MasterPlace
  /** The other masters. */
  readonly places: readonly PeerPlace[]
  /** Those who were removed. */
  readonly former: readonly Pick<PeerPlace, 'masterId' | 'nodeId'>[]
  /** Of whoever has a master's certificate; over Redis, of a peer. */
  readonly onAsk: NonNullable<PeerLinkOptions['onAsk']>
  readonly onOpen: NonNullable<PeerLinkOptions['onOpen']>
  readonly identity: TlsIdentity
  /** The one that counts now. */
  readonly identityNow: () => TlsIdentity
  readonly log: Log
  readonly random: Random
}

export function createPeerLink({
  wire,
  own,
  places,
  former,
  identityNow,
  ...parts
}: PeerLinkParts): {
  readonly link: PeerLink
  readonly talk: PeerTalk
} {
  const { nodeId } = own
  const peers = peersOf(wire, places, former)
  if (wire === 'tcp') {
    const listen = { host: own.host, port: own.ports.peers }
    const link = new TcpPeerLink({ ...parts, nodeId, listen, peers })
    return { link, talk: talkOverTcp(parts.clusterId, identityNow) }
  }
  const credentials = certificateCredentials(parts.clusterId, parts.identity)
  const link = new RedisPeerLink({ ...parts, nodeId, credentials, redis: wire, peers })
  return { link, talk: link }
}

/**
 * Over TCP without those of whom nobody knows yet where they are; over Redis nobody need know, and who was removed is
 * told so when it asks. (Over TCP whoever has a certificate may ask.)
 */
export function peersOf(
  wire: PeerWire,
  places: readonly PeerPlace[],
  former: readonly Pick<PeerPlace, 'masterId' | 'nodeId'>[] = [],
): ReadonlyMap<NodeId, PeerAddress & RedisPeerKnown> {
  const peers = new Map<NodeId, PeerAddress & RedisPeerKnown>()
  if (wire !== 'tcp') {
    for (const { masterId, nodeId } of former) {
      peers.set(nodeId, { id: masterId, host: '', port: 0, isGuest: true })
    }
  }
  for (const { masterId, nodeId, addresses } of places) {
    const [first, ...others] = addresses
    if (first !== undefined) {
      peers.set(nodeId, { id: masterId, ...first, ...(others.length > 0 && { others }) })
    } else if (wire !== 'tcp') {
      peers.set(nodeId, { id: masterId, host: '', port: 0 })
    }
  }
  return peers
}

import { Redacted, utf8Text, type Random, type RedactedBytes } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'
import {
  certificateCredentials,
  parseRedisAddress,
  RedisAddressInvalid,
  RedisPeerLink,
  type RedisAddress,
} from '@conclave/peer-redis'
import {
  TcpPeerLink,
  type Log,
  type PeerAddress,
  type PeerLink,
  type PeerLinkTold,
  type TlsIdentity,
} from '@conclave/runtime'
import type { MasterPlace } from './master-options.ts'

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
  readonly masters: readonly MasterPlace[]
  readonly identity: TlsIdentity
  readonly log: Log
  readonly random: Random
}

export function createPeerLink({ wire, own, masters, ...parts }: PeerLinkParts): PeerLink {
  const { nodeId } = own
  const peers = peersOf(wire, masters)
  if (wire === 'tcp') {
    const listen = { host: own.host, port: own.ports.peers }
    return new TcpPeerLink({ ...parts, nodeId, listen, peers })
  }
  const credentials = certificateCredentials(parts.clusterId, parts.identity)
  return new RedisPeerLink({ ...parts, nodeId, credentials, redis: wire, peers })
}

/** Over TCP without those whose port is not known yet; over Redis nobody needs one. */
export const peersOf = (
  wire: PeerWire,
  masters: readonly MasterPlace[],
): ReadonlyMap<NodeId, PeerAddress> =>
  new Map(
    masters
      .filter(({ ports }) => wire !== 'tcp' || ports.peers !== 0)
      .map(({ masterId, nodeId, host, ports }) => [
        nodeId,
        { id: masterId, host, port: ports.peers },
      ]),
  )

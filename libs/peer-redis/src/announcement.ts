import { createHash } from 'node:crypto'

import { ByteWriter } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'
import { parseJson } from '@conclave/runtime'
import { z } from 'zod'

import type { Credentials } from './credentials.ts'

/*
 * What a member says of itself where everybody may read and write: who it is, and the public key it
 * has drawn for this one life of its process. Only its holder can prove it, and only its holder can
 * open what is sealed to it, so an old one that somebody repeats gives nobody anything.
 */

const bytesMax = 16 * 1024

const Announcement = z.object({
  version: z.literal(1),
  cluster: z.string().max(64),
  node: z.int().positive(),
  /** The raw X25519 public key, in base64. */
  key: z.base64().length(44),
  proof: z.object({
    signature: z.base64().max(512),
    certificate: z
      .string()
      .max(8 * 1024)
      .optional(),
  }),
})

/** A member that has proven itself, in this life of its process. */
export interface Announced {
  readonly nodeId: NodeId
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

export function announce(
  clusterId: string,
  { nodeId, publicKey }: Announced,
  credentials: Credentials,
): string {
  return JSON.stringify({
    version: 1,
    cluster: clusterId,
    node: nodeId,
    key: Buffer.from(publicKey).toString('base64'),
    proof: credentials.prove(statement(clusterId, nodeId, publicKey)),
  } satisfies z.infer<typeof Announcement>)
}

/** Which life of its process a key stands for: the first 8 bytes of its SHA-256. */
export const lifeOf = (publicKey: Uint8Array): Uint8Array =>
  createHash('sha256').update(publicKey).digest().subarray(0, 8)

/** An announcement whose shape is right and whose proof is still to be looked at. */
export interface Claim extends Announced {
  /** Why it is not of the member called `id`; undefined when it is. */
  doubt(id: string, credentials: Credentials): string | undefined
}

/** Undefined for what is no announcement of this cluster. */
export function readClaim(clusterId: string, bytes: Uint8Array): Claim | undefined {
  if (bytes.length > bytesMax) return undefined
  let json: unknown
  try {
    json = parseJson(bytes, { sizeBytesMax: bytesMax, depthMax: 4 })
  } catch {
    return undefined
  }
  const parsed = Announcement.safeParse(json)
  if (!parsed.success || parsed.data.cluster !== clusterId) return undefined
  const { node, key, proof } = parsed.data
  const publicKey = new Uint8Array(Buffer.from(key, 'base64'))
  if (publicKey.length !== 32) return undefined
  return {
    nodeId: node,
    publicKey,
    doubt: (id, credentials) => credentials.doubt(id, statement(clusterId, node, publicKey), proof),
  }
}

/** What is signed. No other signature of a member's key can be taken for it. */
const statement = (clusterId: string, nodeId: NodeId, publicKey: Uint8Array): Uint8Array =>
  new ByteWriter()
    .text('conclave/peer-redis/announcement/v1')
    .text(clusterId)
    .uint(nodeId)
    .bytes(publicKey)
    .take()

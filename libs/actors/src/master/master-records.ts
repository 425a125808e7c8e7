import { z } from 'zod'

/*
 * What the masters keep about themselves (docs/formats/records.md).
 */

/** Whose turn it is to decide for the cluster. Every commit of a leader's core replaces it. */
export const epochKey = 'masters/epoch'

export const EpochRecord = z.object({
  term: z.int().nonnegative(),
  /** Drawn anew whenever a master begins to lead. */
  writer: z.string().max(64),
  /** Counts the commits of this writer: one that was lost leaves no gap for the next. */
  sequence: z.int().nonnegative(),
})
export type EpochRecord = Readonly<z.infer<typeof EpochRecord>>

/** Written once, by the first leader, together with all that a cluster begins with. */
export const foundingKey = 'masters/founding'

export const FoundingRecord = z.object({
  clusterId: z.string().max(255),
  masterId: z.string().max(255),
  atMs: z.int().nonnegative(),
})

export const memberPrefix = 'masters/member/'
export const memberKey = (masterId: string): string => memberPrefix + masterId

export const MemberRecord = z.object({
  masterId: z.string().max(255),
  nodeId: z.int().positive(),
  /** Where each face of this master listens, by the face's name; agents call at `agents`. */
  listeners: z.record(z.string(), z.object({ host: z.string().max(255), port: z.int() })),
})
export type MemberRecord = Readonly<z.infer<typeof MemberRecord>>

/** The cluster's DEKs, wrapped under the KEK (docs/formats/keyring.md): bytes, not JSON. */
export const keyringKey = 'keys/keyring'

/** The key that signs login tokens: an envelope of PKCS #8 PEM. */
export const tokenKeyKey = 'keys/token'

/** No secret's path can begin with `#`, so no secret's envelope can stand in for the key's. */
export const tokenKeyPlace = { path: '#keys/token', version: 1 } as const

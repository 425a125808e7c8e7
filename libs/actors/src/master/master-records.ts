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

export const Listeners = z.record(
  z.string().max(32),
  z.object({ host: z.string().max(255), port: z.int().min(0).max(65_535) }),
)

export const MemberRecord = z.object({
  masterId: z.string().max(255),
  nodeId: z.int().positive(),
  /**
   * Where each face of this master listens, by the face's name; agents call at `agents`, the other
   * masters at `peers`.
   */
  listeners: Listeners,
  /** What it shall be. What it is, the configuration in the log says; the leader brings that about. */
  role: z.enum(['voter', 'learner']).default('voter'),
  /** It is to be removed as soon as it does not vote any more. */
  isLeaving: z.literal(true).optional(),
  /** When it was put on record first; who was before this was kept has none. */
  sinceMs: z.int().nonnegative().optional(),
  /** A removed member stays on record: its certificate is still valid, and its ids are never used again. */
  state: z.enum(['member', 'removed']).default('member'),
})
export type MemberRecord = Readonly<z.infer<typeof MemberRecord>>

/** The highest node id that was ever given to a master that joins. */
export const reservedKey = 'masters/reserved'
export const ReservedRecord = z.object({ nodeId: z.int().positive() })
export type ReservedRecord = Readonly<z.infer<typeof ReservedRecord>>

/** The cluster's DEKs, wrapped under the KEK (docs/formats/keyring.md): bytes, not JSON. */
export const keyringKey = 'keys/keyring'

/** The key that signs login tokens: an envelope of PKCS #8 PEM. */
export const tokenKeyKey = 'keys/token'

/** No secret's path can begin with `#`, so no secret's envelope can stand in for the key's. */
export const tokenKeyPlace = { path: '#keys/token', version: 1 } as const

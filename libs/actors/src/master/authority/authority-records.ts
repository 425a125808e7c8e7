import { z } from 'zod'

/*
 * What the masters keep about their authority (docs/formats/records.md). Its key and the secrets of
 * join tokens are sealed, in records of their own; nothing here is secret.
 */

/** What a certificate lets its holder be. Schedulers have accounts instead. */
export const MemberRole = z.enum(['master', 'agent'])
export type MemberRole = z.infer<typeof MemberRole>

const id = z.string().min(1).max(64)
const pem = z.string().max(16_384)
const timeMs = z.int().nonnegative()

export const authorityKey = 'authority/state'

export const AuthorityRecord = z.object({
  /** The root that join tokens pin: one certificate as PEM, its final newline included. */
  rootPem: pem,
  /** How long a certificate counts, from now on. */
  validityMs: z.int().positive(),
  /** While the root is being replaced: what signs already, though not everybody has heard of it. */
  next: z
    .object({
      rootPem: pem,
      /** The new root's key, certified by the old one: for whoever trusts that one alone. */
      crossPem: pem,
      begunAtMs: timeMs,
    })
    .optional(),
})
export type AuthorityRecord = Readonly<z.infer<typeof AuthorityRecord>>

export const holderPrefix = 'authority/holder/'
export const holderKey = (role: MemberRole, holder: string): string =>
  `${holderPrefix}${role}/${holder}`

/** Who was given a certificate, or has shown one. */
export const HolderRecord = z.object({
  id,
  role: MemberRole,
  /** A master's number in the Raft group. */
  nodeId: z.int().positive().optional(),
  enrolledAtMs: timeMs.optional(),
  /** The certificate that it holds for certain, since it came with it. */
  shown: z
    .object({
      /** The root that issued it, as {@link authorityFingerprint} of crypto names it. */
      issuer: z.string().max(80),
      untilMs: timeMs,
    })
    .optional(),
})
export type HolderRecord = Readonly<z.infer<typeof HolderRecord>>

/** Whose certificates are refused, although they count by their dates. */
export const removedPrefix = 'authority/removed/'
export const removedKey = (role: MemberRole, holder: string): string =>
  `${removedPrefix}${role}/${holder}`

export const RemovedRecord = z.object({ id, role: MemberRole, atMs: timeMs })
export type RemovedRecord = Readonly<z.infer<typeof RemovedRecord>>

/** Agents whose machines shall have a master beside them, by the agents' names. */
export const promotionPrefix = 'authority/promotion/'
export const promotionKey = (agent: string): string => promotionPrefix + agent

export const PromotionRecord = z.object({
  agent: id,
  atMs: timeMs,
  /** Who that master is. Its ids are given once, however often its certificate is asked for. */
  master: z.object({ masterId: id, nodeId: z.int().positive() }).optional(),
})
export type PromotionRecord = Readonly<z.infer<typeof PromotionRecord>>

/** An envelope of the root's key, PKCS #8 PEM. */
export const rootKeyKey = 'keys/authority'
/** The same of the root that is to replace it. */
export const nextRootKeyKey = 'keys/authority-next'
/** An envelope of the 16 bytes that a role's join token ends with. */
export const joinSecretKey = (role: MemberRole): string => `keys/join-${role}`

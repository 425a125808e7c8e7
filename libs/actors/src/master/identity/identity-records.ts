import { Action, User, type ResourceId } from '@conclave/model'
import { z } from 'zod'

/*
 * Users and permissions in the store (docs/formats/records.md). Hashes of passwords are in a record
 * of their own, so that whoever lists users never touches one.
 */

export const userKey = (uid: string): string => `identity/user/${uid}`
export const passwordPrefix = 'identity/password/'
export const passwordKey = (uid: string): string => passwordPrefix + uid
/** All that anybody may do with one resource. */
export const aclKey = (rid: ResourceId): string => `identity/acl/${rid}`
/**
 * Written together with every change of users or permissions: a transaction that compares its
 * revision is allowed by what was true when it was applied, not when somebody looked.
 */
export const identityChangedKey = 'identity/changed'

export const UserRecord = User.extend({ groups: z.array(z.string().max(96)).readonly() })
export type UserRecord = Readonly<z.infer<typeof UserRecord>>

/** As builds before ADR 41 wrote it; now it is an envelope of the hash. */
export const PasswordRecord = z.object({
  /** A PHC string: docs/formats/password.md. */
  hash: z.string().max(512),
})

const actionsBySubject = z.record(z.string(), z.array(Action).readonly())

export const AclRecord = z.object({
  description: z.string().max(1024),
  users: actionsBySubject,
  groups: actionsBySubject,
})
export type AclRecord = Readonly<z.infer<typeof AclRecord>>

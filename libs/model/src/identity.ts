import { trimOf } from '@conclave/kernel'
import { z } from 'zod'
import type { SecretPath } from './secret.ts'

/*
 * Who may do what, in the form that DC/OS gives it: principals, groups, and actions on resource ids.
 * Source: reference/dcos.md §2 and §5.
 */

/** The name of a user or a service account: it stands in one segment of a URL. */
export const Uid = z
  .string()
  .max(96)
  .regex(/^[\p{L}\p{N}_.@+-]+$/u, 'expected letters, digits and any of _ . @ + -')
  .refine((uid) => uid !== '.' && uid !== '..', 'expected a name, not "." or ".."')

export const Gid = Uid

/** Who stands behind a request, once a face has checked its token, password or certificate. */
export const Principal = z.object({
  uid: Uid,
  /** What was true when the token was checked, for showing only: whether it still is, the store says. */
  isSuperuser: z.boolean().optional(),
})
export type Principal = Readonly<z.infer<typeof Principal>>

/** A person or a service account. The hash of its password is no part of what can be listed. */
export const User = z.object({
  uid: Uid,
  description: z.string().max(1024),
  isService: z.boolean(),
  /** SubjectPublicKeyInfo in PEM: what a service account's login tokens verify with. */
  publicKey: z.string().max(16_384).optional(),
  createdAtMs: z.int().nonnegative(),
})
export type User = Readonly<z.infer<typeof User>>

export const Group = z.object({
  gid: Gid,
  description: z.string().max(1024),
  createdAtMs: z.int().nonnegative(),
})
export type Group = Readonly<z.infer<typeof Group>>

/** `full` implies the four others. */
export const Action = z.enum(['create', 'read', 'update', 'delete', 'full'])
export type Action = z.infer<typeof Action>

const secretsScheme = 'dcos:secrets:default:'
const secretsListScheme = 'dcos:secrets:list:default:'
const servicesScheme = 'dcos:service:marathon:marathon:services:'

/**
 * A resource id in canonical form: ids of secrets have exactly one slash before their path, however
 * many they were written with, since DC/OS accepts them with and without.
 */
export const ResourceId = z
  .string()
  .min(1)
  .max(1200)
  .refine((rid) => rid.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(rid), {
    message: 'has a control character',
  })
  .transform(canonicalResourceId)
  .brand<'ResourceId'>()
export type ResourceId = z.infer<typeof ResourceId>

function canonicalResourceId(rid: string): string {
  if (rid.startsWith(secretsScheme)) {
    return `${secretsScheme}/${rid.slice(secretsScheme.length).replace(/^\/+/, '')}`
  }
  if (rid.startsWith(secretsListScheme)) {
    return `${secretsListScheme}/${trimOf(rid.slice(secretsListScheme.length), '/')}`
  }
  return rid
}

/** Any action on it passes every check. */
export const superuserResource = 'dcos:superuser' as ResourceId

/** One secret, as a resource: `dcos:secrets:default:/dev/db/password`. */
export const secretResource = (path: SecretPath): ResourceId =>
  `${secretsScheme}/${path}` as ResourceId

/** The names below a folder ('' for the root), as a resource: `dcos:secrets:list:default:/dev`. */
export const secretListResource = (folder: SecretPath | ''): ResourceId =>
  `${secretsListScheme}/${folder}` as ResourceId

/** A resource that permissions can be given on. It exists before the first of them. */
export const Acl = z.object({ rid: ResourceId, description: z.string().max(1024) })
export type Acl = Readonly<z.infer<typeof Acl>>

/** Whom a permission is given to. */
export type Subject = { readonly uid: string } | { readonly gid: string }

/** What one subject may do with one resource. */
export interface Permission {
  readonly subject: Subject
  readonly rid: ResourceId
  readonly actions: readonly Action[]
}

/**
 * The resource ids whose permissions cover `rid`, the narrowest first. `…:default:/dev/*` covers what
 * is below the folder `dev`, counted in whole segments, so never `dev2/x` and not the secret `dev`.
 */
export function coveringResources(rid: ResourceId): readonly ResourceId[] {
  return (
    slashed(rid, secretsScheme, (folder) => `${folder}*`) ??
    // Listing a folder, or managing a group of services, is for all that is below it.
    slashed(rid, secretsListScheme, withoutFinalSlash) ??
    slashed(rid, servicesScheme, withoutFinalSlash) ?? [rid]
  )
}

/** `rid` itself, then what `cover` makes of each folder above it, down to `/`. */
function slashed(
  rid: string,
  scheme: string,
  cover: (folder: string) => string,
): ResourceId[] | undefined {
  if (!rid.startsWith(`${scheme}/`)) return undefined
  const covering = [rid]
  for (let end = rid.lastIndexOf('/'); end >= scheme.length; end = rid.lastIndexOf('/', end - 1)) {
    covering.push(cover(rid.slice(0, end + 1)))
  }
  return covering as ResourceId[]
}

const withoutFinalSlash = (folder: string): string =>
  folder.endsWith(':/') ? folder : folder.replace(/\/$/, '')

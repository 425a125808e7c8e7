import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { hashPassword } from '@conclave/crypto'
import { Redacted, utf8, type Random, type RedactedBytes } from '@conclave/kernel'
import { Action, superuserResource, Uid } from '@conclave/model'
import { z } from 'zod'

/**
 * Who is known to a cluster before anybody could be told: each master has the same list, and the
 * first leader puts it into the empty store. No password is in it, only what verifies one.
 */
export const FirstIdentities = z.object({
  users: z
    .array(
      z.object({
        uid: Uid,
        description: z.string(),
        isService: z.boolean(),
        /** A PHC string: docs/formats/password.md. */
        passwordHash: z.string().optional(),
        /** SubjectPublicKeyInfo as PEM, of a service account. */
        publicKey: z.string().optional(),
      }),
    )
    .readonly(),
  permissions: z
    .array(z.object({ uid: Uid, rid: z.string(), actions: z.array(Action).readonly() }))
    .readonly(),
})
export type FirstIdentities = Readonly<z.infer<typeof FirstIdentities>>

/** 144 random bits in letters that no shell and no URL has to escape. */
export function createPassword(random: Random): RedactedBytes {
  return new Redacted(utf8(Buffer.from(random.bytes(18)).toString('base64url')))
}

/** One person who may do everything, and the account of each scheduler. */
export async function createFirstIdentities(options: {
  readonly superuser: string
  readonly password: RedactedBytes
  readonly schedulers: readonly string[]
  readonly random: Random
}): Promise<{
  readonly identities: FirstIdentities
  /** PKCS #8 as PEM, by the uid of the scheduler's account. */
  readonly accountKeys: ReadonlyMap<string, RedactedBytes>
}> {
  const passwordHash = await hashPassword(options.password, options.random)
  const accounts = await Promise.all(
    options.schedulers.map(async (uid) => ({ uid, ...(await createAccountKey()) })),
  )
  return {
    identities: {
      users: [
        { uid: options.superuser, description: 'First superuser', isService: false, passwordHash },
        ...accounts.map(({ uid, publicKey }) => ({
          uid,
          description: 'Launches what is submitted with conclave run',
          isService: true,
          publicKey,
        })),
      ],
      permissions: [
        { uid: options.superuser, rid: superuserResource, actions: ['full'] },
        ...options.schedulers.flatMap(schedulerPermissions),
      ],
    },
    accountKeys: new Map(accounts.map(({ uid, privateKey }) => [uid, privateKey])),
  }
}

/** It launches tasks that refer to secrets, so it must be allowed what they are given. */
const schedulerPermissions = (uid: string): FirstIdentities['permissions'] => [
  { uid, rid: 'dcos:secrets:default:/*', actions: ['read'] },
  { uid, rid: 'dcos:mesos:master:framework', actions: ['create'] },
  { uid, rid: 'dcos:mesos:master:task', actions: ['create'] },
  { uid, rid: 'dcos:conclave:scheduling', actions: ['full'] },
]

async function createAccountKey(): Promise<{ publicKey: string; privateKey: RedactedBytes }> {
  const pair = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  return { publicKey: pair.publicKey, privateKey: new Redacted(utf8(pair.privateKey)) }
}

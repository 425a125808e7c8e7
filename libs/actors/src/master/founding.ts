import { Keyring, sealEnvelope, wrapKeyring, type Kek } from '@conclave/crypto'
import { invariant, wipe, type Clock, type Random } from '@conclave/kernel'
import { ResourceId, type Action } from '@conclave/model'
import type { Compare, Op } from '@conclave/store'
import type { TokenKeys } from '../ports.ts'
import {
  foundingKey,
  FoundingRecord,
  keyringKey,
  tokenKeyKey,
  tokenKeyPlace,
} from './master-records.ts'
import {
  aclKey,
  identityChangedKey,
  passwordKey,
  userKey,
  type AclRecord,
} from './identity/identity-records.ts'
import { sealPasswordHash, type HashSealing } from './identity/password-records.ts'
import { encodeRecord, Records } from './record.ts'
import type { Replicated } from './replicated.ts'

/**
 * Who exists from the first moment of a cluster on. The set-up writes it, without plaintext, for the
 * first leader to commit.
 */
export interface FirstIdentities {
  readonly users: readonly {
    readonly uid: string
    readonly description: string
    readonly isService: boolean
    /** A PHC string: docs/formats/password.md. */
    readonly passwordHash?: string | undefined
    /** SubjectPublicKeyInfo as PEM, of a service account. */
    readonly publicKey?: string | undefined
  }[]
  readonly permissions: readonly {
    readonly uid: string
    readonly rid: string
    readonly actions: readonly Action[]
  }[]
}

export interface Founding {
  readonly clusterId: string
  readonly masterId: string
  /** Which wraps the keyring, as version 1 of all that may follow. */
  readonly kek: Kek
  readonly identities: FirstIdentities | undefined
  readonly tokenKeys: TokenKeys
  readonly clock: Clock
  readonly random: Random
  readonly replicated: Replicated
  /** What must hold for as long as this master leads. */
  readonly claim: Compare
}

/**
 * Commits what a cluster begins with: its keyring, the key of its tokens, and its first users. The
 * first leader does it once; later ones find it done. Answers with the id of the DEK it made.
 *
 * @returns undefined when there was nothing to do, or when this master no longer leads
 */
export async function found(o: Founding): Promise<number | undefined> {
  const founded = new Records(o.replicated.view, FoundingRecord).get(foundingKey)
  if (founded !== undefined) {
    invariant(founded.record.clusterId === o.clusterId, 'this is the state of another cluster')
    return undefined
  }
  invariant(o.identities !== undefined, 'a cluster is founded by those who were set up for it')
  const keyring = Keyring.create(o.random)
  const committed = await o.replicated.commit({
    compare: [{ key: foundingKey, target: 'version', is: '=', operand: 0 }, o.claim],
    success: [
      put(foundingKey, {
        clusterId: o.clusterId,
        masterId: o.masterId,
        atMs: o.clock.nowMs(),
      }),
      {
        do: 'put',
        key: keyringKey,
        value: wrapKeyring({ kek: o.kek, keyring, clusterId: o.clusterId, random: o.random }),
      },
      { do: 'put', key: tokenKeyKey, value: await sealTokenKey(o, keyring) },
      ...identityChanges(o.identities, { ...o, dek: keyring.newest, nowMs: o.clock.nowMs() }),
    ],
  })
  return committed === undefined ? undefined : keyring.newest.id
}

async function sealTokenKey(o: Founding, keyring: Keyring): Promise<Uint8Array> {
  const plaintext = await o.tokenKeys.generate()
  try {
    const { clusterId, random } = o
    return sealEnvelope({ clusterId, ...tokenKeyPlace, dek: keyring.newest, plaintext, random })
  } finally {
    wipe(plaintext)
  }
}

/** The changes that make these people known. */
export function identityChanges(
  { users, permissions }: FirstIdentities,
  o: HashSealing & { readonly nowMs: number },
): readonly Op[] {
  const { nowMs } = o
  const changes: Op[] = [put(identityChangedKey, { atMs: nowMs })]
  for (const { uid, description, isService, passwordHash, publicKey } of users) {
    changes.push(
      put(userKey(uid), { uid, description, isService, publicKey, createdAtMs: nowMs, groups: [] }),
    )
    if (passwordHash !== undefined) {
      const value = sealPasswordHash(o, uid, passwordHash)
      changes.push({ do: 'put', key: passwordKey(uid), value })
    }
  }
  const acls = new Map<ResourceId, Record<string, readonly Action[]>>()
  for (const { uid, rid, actions } of permissions) {
    const id = ResourceId.parse(rid)
    acls.set(id, { ...acls.get(id), [uid]: actions })
  }
  for (const [rid, byUid] of acls) {
    changes.push(
      put(aclKey(rid), { description: '', users: byUid, groups: {} } satisfies AclRecord),
    )
  }
  return changes
}

const put = (key: string, record: unknown): Op => ({ do: 'put', key, value: encodeRecord(record) })

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { FirstIdentities, masterDirectory, prepareCluster } from '@conclave/assembly'
import { hashPassword } from '@conclave/crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import { SystemRandom } from '@conclave/runtime'
import type { Home } from './home.ts'

/** Somebody who may log in, and what they may do. */
export interface Person {
  readonly uid: string
  readonly password: string
  readonly permissions: readonly {
    readonly rid: string
    readonly actions: readonly ('create' | 'read' | 'update' | 'delete' | 'full')[]
  }[]
}

/** Who knows a password and may do nothing. */
export const stranger: Person = {
  uid: 'stranger',
  password: 'stranger-knows-this',
  permissions: [],
}

/**
 * Sets a cluster up without starting it, with more people than its superuser: as long as there is
 * no call that adds them, they must be among the first identities that its masters found it with.
 */
export async function foundCluster(
  home: Home,
  data: string,
  people: readonly Person[],
): Promise<void> {
  const { manifest } = await prepareCluster(data, {
    masters: 3,
    agents: 2,
    keepPassword: (clusterId, password) => {
      const file = join(dirname(home.context), 'clusters', `${clusterId}.json`)
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
      const text = Buffer.from(password.reveal()).toString('utf8')
      writeFileSync(file, JSON.stringify({ password: text }), { mode: 0o600 })
    },
  })
  const users = await Promise.all(
    people.map(async ({ uid, password }) => ({
      uid,
      description: `${uid} of the acceptance suites`,
      isService: false,
      passwordHash: await hashPassword(new Redacted(utf8(password)), new SystemRandom()),
    })),
  )
  const permissions = people.flatMap(({ uid, permissions: own }) =>
    own.map((one) => ({ uid, ...one })),
  )
  for (const { masterId } of manifest.masters) {
    const file = join(masterDirectory(data, masterId), 'first-identities.json')
    const known = FirstIdentities.parse(JSON.parse(readFileSync(file, 'utf8')))
    const all: FirstIdentities = {
      users: [...known.users, ...users],
      permissions: [...known.permissions, ...permissions],
    }
    writeFileSync(file, JSON.stringify(all))
  }
}

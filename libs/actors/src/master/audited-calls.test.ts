import { Redacted, utf8 } from '@conclave/kernel'
import type { AuditRecord } from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import type { Caller, SecretApi, SecretInput } from './master-api.ts'

const input = (): SecretInput => ({ kind: 'text', bytes: new Redacted(utf8('s3cr3t')) })

/**
 * Every call about secrets, by its name in `SecretApi`, so that a new one does not compile before it is
 * here: how it is made, and what stands on record of it.
 */
const calls = {
  create: ['create', (of, caller) => of.create(caller, 'dev/new', input())],
  update: ['update', (of, caller) => of.update(caller, 'dev/db', input())],
  read: ['read', (of, caller) => of.read(caller, 'dev/db')],
  metadata: ['list', (of, caller) => of.metadata(caller, 'dev/db')],
  versions: ['list', (of, caller) => of.versions(caller, 'dev/db')],
  relabel: ['update', (of, caller) => of.relabel(caller, 'dev/db', { a: 'b' })],
  find: ['list', (of, caller) => of.find(caller, { foldedPath: 'dev/db' })],
  delete: ['delete', (of, caller) => of.delete(caller, 'dev/db')],
  list: ['list', (of, caller) => of.list(caller, 'dev')],
  listMetadata: ['list', (of, caller) => of.listMetadata(caller, 'dev')],
} as const satisfies Record<
  keyof SecretApi,
  readonly [AuditRecord['action'], (of: SecretApi, caller: Caller) => Promise<unknown>]
>

let cluster: MemoryCluster

beforeEach(async () => {
  const random = new SeededRandom(7)
  const identities = await firstPeople(random)
  cluster = new MemoryCluster({ clock: new ManualClock(), random, identities })
  await cluster.elected()
  await cluster.settle(cluster.leader.actor.secrets.create(callerOf('root'), 'dev/db', input()))
})

/** What came of it, and what was on record when that was known. */
async function recordsOf(
  call: (of: SecretApi, caller: Caller) => Promise<unknown>,
  uid: string,
): Promise<readonly (AuditRecord & { readonly answered: string })[]> {
  const { audit, actor } = cluster.leader
  const requestId = `of ${uid}`
  const answered = await cluster.settle(
    call(actor.secrets, callerOf(uid, requestId)).then(
      () => 'done',
      (error: { readonly code?: string }) => String(error.code),
    ),
  )
  return audit.records
    .filter((record) => record.requestId === requestId)
    .map((record) => ({ ...record, answered }))
}

describe.each(Object.entries(calls))('%s', (_name, [action, call]) => {
  test('threat:OB-03: stands on record once, under the id of its request, before it is answered', async () => {
    expect(await recordsOf(call, 'root')).toEqual([
      expect.objectContaining({ principal: 'root', action, outcome: 'allowed', answered: 'done' }),
    ])
  })

  test('threat:OB-03: stands on record when it is refused, too', async () => {
    const records = await recordsOf(call, 'nobody')

    expect(records).toEqual([expect.objectContaining({ principal: 'nobody' })])
    // A list that is empty for whoever may see nothing is no refusal.
    expect(records[0]?.outcome === 'denied').toBe(records[0]?.answered === 'access.denied')
  })

  test('threat:OB-03: is not answered while nothing can be put on record', async () => {
    cluster.leader.audit.isBroken = true
    const { actor } = cluster.leader

    const answer: Promise<unknown> = call(actor.secrets, callerOf('root'))
    await expect(cluster.settle(answer)).rejects.toThrow(/disk/)
  })
})

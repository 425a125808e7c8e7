import { MembershipRefused } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import {
  Compacted,
  encodeCommand,
  OutcomeUnknown,
  StoreMachine,
  TxnInvalid,
  Unavailable,
  type Command,
  type Op,
} from '@conclave/store'
import { anyCommand } from '@conclave/store/testing'
import { eventually } from '@conclave/testkit'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EtcdElection } from '../client/etcd-election.ts'
import { prefixRange } from '../client/key-range.ts'
import { EtcdKeys } from '../etcd-keys.ts'
import { clientOf, freshPrefix, realEtcd, storeAt, whyNoEtcd } from '../testing/real-etcd.ts'
import { toGroupTxn } from './group-txn.ts'
import { startGroup, type RunningGroup } from '../testing/running-group.ts'

const put = (key: string, value = key): Op => ({ do: 'put', key, value: utf8(value) })
const keysOnlyOps = ({ success, failure = [] }: Command): boolean =>
  [...success, ...failure].every((op) =>
    op.do === 'put' ? op.lease === undefined : op.do === 'delete' || op.do === 'delete-prefix',
  )

const leaderOf = async (groups: readonly RunningGroup[]): Promise<RunningGroup> => {
  let leader: RunningGroup | undefined
  await eventually(() => {
    leader = groups.find(({ group }) => group.role === 'leader')
    return (
      leader !== undefined && groups.every(({ group }) => group.leader === leader?.group.leader)
    )
  })
  if (leader === undefined) throw new Error('nobody leads')
  return leader
}

describe.skipIf(whyNoEtcd !== undefined)(`masters in front of etcd ${whyNoEtcd ?? ''}`, () => {
  const cluster = realEtcd()

  function start(prefix: string, nodeIds: readonly number[]): readonly RunningGroup[] {
    const groups = nodeIds.map((nodeId) => startGroup(cluster(), prefix, nodeId))
    onTestFinished(() => {
      for (const one of groups) one.kill()
    })
    return groups
  }

  test('EM1, EM2: whatever is proposed, by whomever, does as the replicated machine does, and all see it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anyCommand, fc.nat({ max: 1 })), { minLength: 10, maxLength: 25 }),
        async (list) => {
          const groups = start(freshPrefix(), [1, 2])
          const machine = new StoreMachine()
          for (const [command, who] of list) {
            const { session: _session, ...txn } = command
            // Numbers of revisions are another thing here; claims about them are tried elsewhere.
            const isSame = txn.compare.every(
              ({ target }) => target === 'value' || target === 'version',
            )
            if (!keysOnlyOps(command) || !isSame) continue
            const wanted = machine.apply(encodeCommand(txn))
            const did = await groups[who]?.group.propose(txn)
            expect(did?.succeeded).toBe(wanted.succeeded)
          }
          for (const { group } of groups) {
            await group.linearize()
            const seen = group.state.list('').kvs
            expect(seen.map(({ key, value, version }) => [key, value, version])).toEqual(
              machine.list('').kvs.map(({ key, value, version }) => [key, value, version]),
            )
          }
          for (const one of groups) one.kill()
        },
      ),
      { numRuns: 12 },
    )
  }, 60_000)

  test('EM1: a claim about a revision holds at whichever master it was read', async () => {
    const [one, two] = start(freshPrefix(), [1, 2])
    await one?.group.propose({ compare: [], success: [put('a')] })
    await two?.group.linearize()
    const known = two?.group.state.get('a')
    const claim = {
      key: 'a',
      target: 'modRevision',
      is: '=',
      operand: known?.modRevision ?? 0,
    } as const

    const first = await one?.group.propose({ compare: [claim], success: [put('a', '2')] })
    const second = await two?.group.propose({ compare: [claim], success: [put('a', '3')] })

    expect([first?.succeeded, second?.succeeded]).toEqual([true, false])
    // Whoever failed has seen why.
    expect(two?.group.state.get('a')?.value).toEqual(utf8('2'))
  })

  test('EM3: more changes than one message of etcd takes are one revision, and a mebibyte fits', async () => {
    const [one, two] = start(freshPrefix(), [1, 2])
    const many = Array.from({ length: 512 }, (_, at) => put(`many/${at}`))
    const claims = many.slice(0, 120).map((op) => ({
      key: op.do === 'put' ? op.key : '',
      target: 'version' as const,
      is: '=' as const,
      operand: 0,
    }))
    const batches: number[] = []
    await two?.group.linearize()
    two?.group.state.onBatch(({ events }) => batches.push(events.length))

    const done = await one?.group.propose({ compare: claims, success: many })
    expect(done?.succeeded).toBe(true)
    const again = await one?.group.propose({ compare: claims, success: many })
    expect(again?.succeeded).toBe(false)
    const large = new Uint8Array(1024 * 1024 + 4096).fill(7)
    await one?.group.propose({ compare: [], success: [{ do: 'put', key: 'large', value: large }] })
    await two?.group.linearize()

    expect(batches).toEqual([512, 1])
    expect(two?.group.state.get('large')?.value).toEqual(large)
    const twice = ['x', 'y'].map((key): Op => ({ do: 'put', key, value: large }))
    await expect(one?.group.propose({ compare: [], success: twice })).rejects.toThrow(TxnInvalid)
    const grant: Op = { do: 'lease-grant', lease: 1, ttlMs: 1000 }
    await expect(one?.group.propose({ compare: [], success: [grant] })).rejects.toThrow(TxnInvalid)
  })

  test('EM4: the same command of a session is applied once, by any master', async () => {
    const prefix = freshPrefix()
    const [one, two] = start(prefix, [1, 2])
    const session = { client: 'c', seq: 1 }
    const txn = { compare: [], success: [put('once')] }

    await one?.group.propose(txn, session)
    await two?.group.propose(txn, session)
    await one?.group.propose(txn, session)

    await one?.group.linearize()
    expect(one?.group.state.get('once')?.version).toBe(1)
  })

  test('EM5: one leads; when it is killed the next one does, in a later term', async () => {
    const groups = start(freshPrefix(), [1, 2, 3])
    const first = await leaderOf(groups)

    first.kill()

    const second = await leaderOf(groups.filter((one) => one !== first))
    expect(second.group.term).toBeGreaterThan(first.group.term)
  }, 30_000)

  test('EM5: one whose key is gone leads no more, and changes nothing by what it decided', async () => {
    const prefix = freshPrefix()
    const groups = start(prefix, [1, 2])
    const first = await leaderOf(groups)
    const client = clientOf(cluster())
    onTestFinished(() => client.close())
    const keys = new EtcdKeys(prefix)
    const { kvs } = await client.range(prefixRange(keys.election))
    const [own] = kvs.toSorted((a, b) => a.createRevision - b.createRevision)
    if (own === undefined) throw new Error('nobody stands')
    const txn = toGroupTxn({ compare: [], success: [put('decided')] }, keys, own)

    expect((await client.txn(txn)).succeeded).toBe(true)
    await new EtcdElection(client, keys.election).resign(own)
    expect((await client.txn(txn)).succeeded).toBe(false)

    await first.group.linearize()
    expect(first.group.role).not.toBe('leader')
    await eventually(() => groups.some(({ group }) => group.role === 'leader'))
  })

  test('EM10: while etcd has no quorum nobody leads and everybody is told; then all goes on by itself', async () => {
    const client = clientOf(cluster(), { attemptMs: 500, deadlineMs: 1_500 })
    const one = startGroup(cluster(), freshPrefix(), 1, { client })
    onTestFinished(() => one.kill())
    await eventually(() => one.group.role === 'leader')
    await one.group.propose({ compare: [], success: [put('before')] })

    const freeze = async (isFrozen: boolean): Promise<void> => {
      const [first = '', second = ''] = cluster().names
      for (const name of [first, second]) await cluster().freeze(name, isFrozen)
    }
    onTestFinished(() => freeze(false))
    await freeze(true)
    await expect(one.group.linearize()).rejects.toThrow(Unavailable)
    const write = one.group.propose({ compare: [], success: [put('meanwhile')] })
    const error = await write.catch((reason: unknown) => reason)
    expect(error instanceof Unavailable || error instanceof OutcomeUnknown).toBe(true)
    await eventually(() => one.group.role !== 'leader' && one.group.leader === 0)
    expect(one.group.state.get('before')).toBeDefined()

    await freeze(false)
    await eventually(() => one.group.role === 'leader')
    await one.group.propose({ compare: [], success: [put('after')] })
    expect(one.group.state.get('after')).toBeDefined()
  }, 60_000)

  test('EM5: a leader that stops hands over at once', async () => {
    const groups = start(freshPrefix(), [1, 2])
    const first = await leaderOf(groups)

    await first.group.handOver()

    const second = await leaderOf(groups.filter((one) => one !== first))
    expect(second.group.term).toBeGreaterThan(first.group.term)
    expect(first.group.role).not.toBe('leader')
  })

  test('EM5: a master that was killed and comes back does not wait for its own earlier life', async () => {
    const prefix = freshPrefix()
    const [only] = start(prefix, [1])
    await eventually(() => only?.group.role === 'leader')
    only?.kill()

    const [again] = start(prefix, [1])
    await eventually(() => again?.group.role === 'leader')

    const client = clientOf(cluster())
    onTestFinished(() => client.close())
    const { kvs } = await client.range(prefixRange(utf8(`${prefix}/election/`)))
    expect(kvs).toHaveLength(1)
  })

  test('EM6: terms go on above those of the state, wherever that came from', async () => {
    const prefix = freshPrefix()
    const one = startGroup(cluster(), prefix, 1, { lastTermIn: () => 1_000_000 })
    onTestFinished(() => one.kill())

    await eventually(() => one.group.role === 'leader')
    expect(one.group.term).toBeGreaterThan(1_000_000)
  })

  test('EM7: what was compacted is gone for every master, and others that write to etcd disturb nobody', async () => {
    const prefix = freshPrefix()
    const [one, two] = start(prefix, [1, 2])
    const elsewhere = storeAt(cluster(), freshPrefix())
    onTestFinished(() => elsewhere.close())
    for (const value of ['1', '2', '3']) {
      await one?.group.propose({ compare: [], success: [put('a', value)] })
      await elsewhere.put('noise', utf8(value))
    }
    const before = one?.group.state.revision ?? 0
    await one?.group.propose({ compare: [], success: [put('a', '4')] })
    expect(one?.group.state.get('a', before)?.value).toEqual(utf8('3'))

    const revision = one?.group.state.revision ?? 0
    await one?.group.propose({ compare: [], success: [{ do: 'compact', revision }] })
    await two?.group.linearize()

    for (const { group } of [one, two].filter((each) => each !== undefined)) {
      expect(group.state.compactRevision).toBe(revision)
      expect(() => group.state.get('a', before)).toThrow(Compacted)
      expect(group.state.get('a')?.value).toEqual(utf8('4'))
    }
    const ahead = await one?.group.propose({
      compare: [],
      success: [{ do: 'compact', revision: revision + 1_000_000 }],
    })
    expect(ahead?.rejection).toBe('revision-ahead')
  })

  test('EM8: a state that is not for this master is shown to nobody, and one that is half there is waited for', async () => {
    const prefix = freshPrefix()
    const writer = storeAt(cluster(), prefix)
    onTestFinished(() => writer.close())
    await writer.put('half', utf8('x'))
    const admit: Parameters<typeof startGroup>[3] = {
      admit: (state) => (state.get('half') === undefined ? undefined : 'it is half there'),
    }
    const one = startGroup(cluster(), prefix, 1, admit)
    onTestFinished(() => one.kill())
    await eventually(() => one.problems.length > 0)
    expect(one.group.state.list('').kvs).toEqual([])
    expect(one.problems).toEqual(['it is half there undefined'])

    await writer.delete('half')
    await eventually(() => one.group.role === 'leader')

    const refusing = startGroup(cluster(), prefix, 2, {
      admit: () => {
        throw new Error('another cluster')
      },
    })
    onTestFinished(() => refusing.kill())
    await eventually(() => refusing.problems.length > 0)
    expect(refusing.problems).toEqual(['Error: another cluster'])
  })

  test('EM9: masters show themselves, and are neither promoted nor removed', async () => {
    const prefix = freshPrefix()
    const groups = [...start(prefix, [1, 2]), startGroup(cluster(), prefix, 7)]
    onTestFinished(() => groups[2]?.kill())
    const leader = await leaderOf(groups)

    await eventually(() => leader.group.config.voters.includes(7))
    await eventually(() => leader.group.memberProgress().length === 3)
    expect(
      leader.group
        .memberProgress()
        .filter(({ isReachable }) => !isReachable)
        .map(({ nodeId }) => nodeId),
    ).toEqual([3])
    await expect(leader.group.changeMembers()).rejects.toThrow(MembershipRefused)
    expect(leader.group.whyMembersStay).toMatch(
      /started with --engine, too; .* stop its process, and take from it/,
    )
  })
})

import { describe, expect, test } from 'vitest'
import { ConclaveError } from '@conclave/kernel'
import { CommandFailed } from '../failure.ts'
import { LocalCluster } from './local-cluster.ts'
import { neverLost, type Kind, type MemberPlan } from './member.ts'

class DiskDamaged extends ConclaveError {
  readonly code = 'disk.damaged'
}

const context = { clusterId: 'c', masters: [], uid: 'dev', password: 'x' }

/** Members that only write down what happens to them. */
function scripted(kinds: Readonly<Record<string, Kind>>): {
  told: string[]
  members: MemberPlan[]
  failing: Set<string>
  lose: (id: string) => void
} {
  const told: string[] = []
  const failing = new Set<string>()
  const ends = new Map(Object.keys(kinds).map((id) => [id, Promise.withResolvers<string>()]))
  const members = Object.entries(kinds).map(([id, kind]) => ({
    id,
    kind,
    directory: `/cluster/${id}`,
    start: async () => {
      if (failing.has(id)) throw new DiskDamaged('byte 7 is off')
      told.push(`start ${id}`)
      return {
        lost: ends.get(id)?.promise ?? neverLost,
        stop: async () => void told.push(`stop ${id}`),
        kill: async () => void told.push(`kill ${id}`),
      }
    },
  }))
  const lose = (id: string): void => ends.get(id)?.resolve('gone')
  return { told, members, failing, lose }
}

const four = { m1: 'master', m2: 'master', a1: 'agent', s1: 'scheduler' } as const
const start = (
  members: readonly MemberPlan[],
  onLost: (id: string, why: string) => void = () => undefined,
): Promise<LocalCluster> =>
  LocalCluster.start({ directory: '/cluster', context, mode: 'processes', members, onLost })

describe('a local cluster', () => {
  test('stops its scheduler before its agents, and these before its masters', async () => {
    const { told, members } = scripted(four)
    const cluster = await start(members)
    told.length = 0

    await cluster.stop()

    expect(told).toEqual(['stop s1', 'stop a1', 'stop m1', 'stop m2'])
  })

  test('stops whoever started when one of its members does not, and says which', async () => {
    const { told, members, failing } = scripted(four)
    failing.add('m2')

    await expect(start(members)).rejects.toThrow('m2 did not start: byte 7 is off')

    expect(told.filter((line) => line.startsWith('stop'))).toEqual([
      'stop s1',
      'stop a1',
      'stop m1',
    ])
  })

  test('does not wait for those who wait for the one that did not start', async () => {
    const { members, failing } = scripted(four)
    failing.add('m1')
    const waiting = {
      id: 's2',
      kind: 'scheduler' as const,
      directory: '/cluster/s2',
      start: (signal?: AbortSignal) =>
        new Promise<never>((_, reject) => {
          signal?.addEventListener('abort', () => reject(new Error('given up')))
        }),
    }

    await expect(start([...members, waiting])).rejects.toThrow('m1 did not start')
  })

  test('kills a member without a word, and starts it again on its directory', async () => {
    const { told, members } = scripted(four)
    const cluster = await start(members)
    told.length = 0

    await cluster.kill('m1')
    await cluster.restart('m1')
    await cluster.stop()

    expect(told.slice(0, 2)).toEqual(['kill m1', 'start m1'])
    expect(cluster.directoryOf('m1')).toBe('/cluster/m1')
  })

  test('says who ended by itself, and when nobody is left', async () => {
    const { members, lose } = scripted(four)
    const lost: string[] = []
    const cluster = await start(members, (id, why) => lost.push(`${id} ${why}`))

    for (const { id } of members) lose(id)
    await cluster.deserted

    expect(lost).toEqual(['m1 gone', 'm2 gone', 'a1 gone', 's1 gone'])
  })

  test('does not stop again whom it has killed', async () => {
    const { told, members } = scripted(four)
    const cluster = await start(members)
    await cluster.kill('a1')
    told.length = 0

    await cluster.stop()

    expect(told).not.toContain('stop a1')
    await expect(cluster.kill('a1')).rejects.toThrow(CommandFailed)
  })
})

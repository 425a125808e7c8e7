import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import {
  hasHealthyQuorum,
  quorumOf,
  whyNotDemote,
  whyNotLeave,
  whyNotPromote,
  whyNotRemove,
  type MemberSeen,
} from './membership-rules.ts'

const seed = Number(process.env['SEED'] ?? 1)
const walks = 300

interface Group {
  readonly members: Map<string, { isVoter: boolean; isHealthy: boolean }>
  readonly removed: Set<string>
  next: number
}

const seen = ({ members }: Group): readonly MemberSeen[] =>
  [...members].map(([masterId, member]) => ({ masterId, ...member }))

const voters = (group: Group): readonly MemberSeen[] => seen(group).filter(({ isVoter }) => isVoter)

/** One thing that an operator or the weather does; answers whether it was a change of who votes. */
function step(group: Group, random: SeededRandom): boolean {
  const ids = [...group.members.keys()]
  const id = ids[random.below(ids.length)] ?? ''
  const member = group.members.get(id)
  if (member === undefined) return false
  switch (random.below(7)) {
    case 0:
      group.members.set(`master-${group.next++}`, { isVoter: false, isHealthy: true })
      return false
    case 1:
      member.isHealthy = false
      return false
    case 2:
      member.isHealthy = true
      return false
    case 3:
      if (whyNotPromote(seen(group), id) !== undefined) return false
      member.isVoter = true
      return true
    case 4:
      if (whyNotDemote(seen(group), id) !== undefined) return false
      member.isVoter = false
      return true
    case 5:
      if (whyNotRemove(seen(group), id, random.below(2) === 0) !== undefined) return false
      break
    default:
      if (whyNotLeave(seen(group), id) !== undefined) return false
  }
  const wasVoter = member.isVoter
  group.members.delete(id)
  group.removed.add(id)
  return wasVoter
}

describe('whatever is asked of a group, and whoever falls silent', () => {
  test(`MA25: no allowed change leaves fewer healthy voters than a quorum (seed ${seed})`, () => {
    let changes = 0
    for (let walk = 0; walk < walks; walk++) {
      const random = new SeededRandom(seed + walk)
      const founders = [1, 2, 3].map((at) => [`master-${at}`, { isVoter: true, isHealthy: true }])
      const group: Group = {
        members: new Map(founders as [string, { isVoter: boolean; isHealthy: boolean }][]),
        removed: new Set(),
        next: 4,
      }
      for (let turn = 0; turn < 60; turn++) {
        const hasChanged = step(group, random)
        if (!hasChanged) continue
        changes++
        const healthy = voters(group).filter(({ isHealthy }) => isHealthy).length
        expect(healthy).toBeGreaterThanOrEqual(quorumOf(voters(group).length))
        expect(hasHealthyQuorum(seen(group))).toBe(true)
        expect([...group.members.keys()].filter((id) => group.removed.has(id))).toEqual([])
      }
    }
    expect(changes).toBeGreaterThan(walks)
  })
})

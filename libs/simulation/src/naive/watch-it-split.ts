import { ReplicaGroup } from '@conclave/actors/testing'
import { NaiveGroup } from './naive-group.ts'

const ids = ['ann', 'bob', 'cid', 'dot', 'eve'] as const
const half = ['ann', 'bob'] as const
const tickMs = 50

/**
 * The same day twice: five instances elect a leader, then two of them lose sight of the other three.
 * Told line by line, first with the naive election, then with the core that Conclave has.
 */
export async function watchItSplit(seed: number): Promise<readonly string[]> {
  return [...(await naively(seed)), '', ...(await withTheCore())]
}

async function naively(seed: number): Promise<readonly string[]> {
  const group = new NaiveGroup({ seed, ids })
  const lines = ['The naive election: a majority of whoever is in view.']
  await group.pass(6000)
  const first = group.leaders[0]?.id ?? 'ann'
  const lonely = half.some((id) => id === first) ? half : [first, ids.find((id) => id !== first)!]
  group.split(lonely)
  const before = group.changes.length
  lines.push(...told(group.changes))
  lines.push(`${at(group.world.nowMs)} ${lonely.join(' and ')} lose sight of the other three`)
  await group.pass(8000)
  lines.push(...told(group.changes.slice(before)))
  const leaders = group.leaders.map(({ id, currentTerm }) => `${id} (term ${currentTerm})`)
  lines.push(`It is split: ${leaders.length} leaders at once, ${leaders.join(' and ')}.`)
  return lines
}

/** Members of a fixed group, term and vote on a disk, and a leader that hears too few steps down. */
async function withTheCore(): Promise<readonly string[]> {
  const group = new ReplicaGroup(ids.length)
  const nameOf = (nodeId: number): string => ids[nodeId - 1] ?? ''
  const lines = ['The same with Conclave: a majority of five, whoever is in view.']
  await group.elected()
  const { leader } = group
  const nowMs = (): number => group.clock.nowMs() - startedMs
  const startedMs = group.clock.nowMs()
  lines.push(`${at(0)} ${nameOf(leader.nodeId)} leads, term ${leader.replica.term}`)
  const second = group.follower.nodeId
  const lonely = [leader.nodeId, second]
  group.isLost = ({ from, to }) => lonely.includes(from) !== lonely.includes(to)
  lines.push(`${at(0)} ${lonely.map(nameOf).join(' and ')} lose sight of the other three`)
  let leading = new Set([leader.nodeId])
  let most = 0
  for (let tick = 0; tick < 8000 / tickMs; tick++) {
    await group.tick()
    const now = group.members.filter(({ replica }) => replica.role === 'leader')
    // One that has not noticed yet can do nothing: what counts is a leader that a majority follows.
    for (const { nodeId, replica } of now) {
      if (!leading.has(nodeId)) {
        lines.push(`${at(nowMs())} ${nameOf(nodeId)} leads, term ${replica.term}`)
      }
    }
    for (const nodeId of leading) {
      if (!now.some((one) => one.nodeId === nodeId)) {
        lines.push(`${at(nowMs())} ${nameOf(nodeId)} hears too few, and steps down`)
      }
    }
    leading = new Set(now.map(({ nodeId }) => nodeId))
    const terms = now.map(({ replica }) => replica.term)
    most = Math.max(most, terms.length - new Set(terms).size + 1)
  }
  const leaders = [...leading].map(nameOf)
  lines.push(`It holds: ${leaders.join(' and ')} leads, and no term had more than ${most} leader.`)
  return lines
}

const told = (changes: NaiveGroup['changes']): readonly string[] =>
  changes
    .filter(({ state }) => state === 'leader')
    .map(({ atMs, id, term }) => `${at(atMs)} ${id} leads, term ${term}`)

const at = (ms: number): string => `  ${(ms / 1000).toFixed(1).padStart(5)} s `

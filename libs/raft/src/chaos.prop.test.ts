import { utf8, utf8Text } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { confChange, leaveJoint } from './conf-change.ts'
import type { NodeId } from './entry.ts'
import { isMember } from './membership.ts'
import { Group, type Member, type MemberOptions } from './testing/group.ts'

function claim(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`broken: ${what}`)
}

/** What no schedule of messages, crashes and partitions may ever break. Source: Raft, Figure 3. */
class Oracle {
  readonly #leaders = new Map<number, NodeId>()
  readonly #digests = new Map<number, string>()
  readonly #committed = new Map<number, number>()
  readonly #lowest = new Map<Member, { term: number; commit: number }>()
  /** What was applied anywhere when a read began. */
  readonly #reads = new Map<string, number>()
  #highestApplied = 0
  answeredReadCount = 0

  beginRead(context: string): void {
    this.#reads.set(context, this.#highestApplied)
  }

  check(group: Group): void {
    for (const member of group.members) {
      if (member.isUp) this.#checkMember(member)
    }
  }

  forget(member: Member): void {
    this.#lowest.delete(member)
  }

  #checkMember(member: Member): void {
    const { raft } = member.node
    const { log, term } = raft
    const before = this.#lowest.get(member)
    if (before !== undefined) {
      claim(term >= before.term, 'the term never falls')
      claim(log.committed >= before.commit, 'the commit index never falls')
    }
    this.#lowest.set(member, { term, commit: log.committed })

    if (raft.state === 'StateLeader') {
      const leader = this.#leaders.get(term) ?? member.id
      claim(leader === member.id, `there is one leader in term ${term}`)
      if (!this.#leaders.has(term)) this.#checkComplete(member)
      this.#leaders.set(term, member.id)
    }
    const unchecked = Math.max(log.firstIndex(), before === undefined ? 0 : before.commit + 1)
    for (let index = unchecked; index <= log.committed; index++) {
      const ours = log.termOrZero(index)
      const known = this.#committed.get(index) ?? ours
      claim(ours === known, `index ${index} is committed with one term`)
      this.#committed.set(index, ours)
    }
    const digest = this.#digests.get(member.applied) ?? member.digest
    claim(member.digest === digest, `state machines agree at ${member.applied}`)
    this.#digests.set(member.applied, digest)
    this.#highestApplied = Math.max(this.#highestApplied, member.applied)

    for (const { context, index } of member.reads.splice(0)) {
      this.answeredReadCount++
      const atLeast = this.#reads.get(utf8Text(context)) ?? Infinity
      claim(index >= atLeast, 'a read sees every write before it')
    }
  }

  #checkComplete(leader: Member): void {
    const { log } = leader.node.raft
    for (const [index, term] of this.#committed) {
      if (index < log.firstIndex()) continue
      claim(log.termOrZero(index) === term, `a leader has the committed entry ${index}`)
    }
  }
}

/** A group that is ill-treated for a while, all by the dice. */
class Chaos {
  readonly group: Group
  readonly oracle = new Oracle()
  readonly #random: SeededRandom
  #cutOff: NodeId = 0
  #writeCount = 0

  constructor(seed: number, options: MemberOptions) {
    this.#random = new SeededRandom(seed)
    this.group = new Group(3, new SeededRandom(seed + 1), options)
    this.group.join()
    this.group.join()
  }

  act(): void {
    const { group } = this
    const member = group.member(this.#random.below(group.members.length) + 1)
    const dice = this.#random.below(1000)
    if (!member.isUp) {
      if (dice < 150) {
        member.restart()
        this.oracle.forget(member)
      }
      return
    }
    if (dice < 380) this.#transport()
    else if (dice < 780) this.#process(member)
    else if (dice < 880) member.node.tick()
    else if (dice < 940) member.node.propose(utf8(`write ${++this.#writeCount}`))
    else if (dice < 960) this.#read(member)
    else if (dice < 970) this.#changeMembers(member)
    else if (dice < 978) member.compact(this.#random.below(4))
    else if (dice < 984) member.node.transferLeader(this.#random.below(5) + 1)
    else if (dice < 988) member.node.forgetLeader()
    else if (dice < 992) member.isUp = false
    else if (dice < 996) this.#cutOff = this.#random.below(group.members.length + 1)
    else {
      member.node.reportUnreachable(this.#random.below(5) + 1)
      member.node.reportSnapshot(this.#random.below(5) + 1, dice % 2 === 0)
    }
    this.oracle.check(group)
  }

  /**
   * Everybody comes back, and must agree in the end. Whoever was removed is switched off when the others
   * had time to hear of it, as operators do: without pre-vote its campaigns would never end.
   */
  recover(): void {
    const { group } = this
    this.#cutOff = 0
    for (let round = 0; round < 300; round++) {
      const newest = [...group.members].sort((a, b) => b.applied - a.applied)[0]
      for (const member of group.members) {
        const isWanted =
          round < 100 || (newest !== undefined && isMember(newest.confState, member.id))
        if (isWanted && !member.isUp) {
          member.restart()
          this.oracle.forget(member)
        }
        member.isUp = isWanted
        if (isWanted) member.node.tick()
      }
      group.settle()
      this.oracle.check(group)
    }
  }

  #transport(): void {
    const { group } = this
    const at = this.#random.below(Math.max(1, group.inFlight.length))
    const envelope = group.inFlight[at]
    if (envelope === undefined) return
    const dice = this.#random.below(100)
    const isCut = envelope.to === this.#cutOff || envelope.from === this.#cutOff
    if (isCut || dice < 8) group.lose(at)
    else {
      if (dice < 14) group.inFlight.push(envelope)
      group.deliver(at)
    }
  }

  #process(member: Member): void {
    const dice = this.#random.below(100)
    if (dice < 40) this.group.processThread(member.id)
    if (!member.node.hasReady()) return
    if (dice === 98) this.group.process(member.id, 'before-write')
    else if (dice === 99) this.group.process(member.id, 'after-write')
    else this.group.process(member.id)
  }

  #read(member: Member): void {
    const context = `read ${++this.#writeCount}`
    this.oracle.beginRead(context)
    member.node.readIndex(utf8(context))
  }

  #changeMembers(member: Member): void {
    const dice = this.#random.below(4)
    const nodeId = this.#random.below(5) + 1
    const other = this.#random.below(5) + 1
    const change =
      dice === 0
        ? leaveJoint
        : dice === 1
          ? confChange([
              { type: 'ConfChangeAddNode', nodeId },
              { type: 'ConfChangeRemoveNode', nodeId: other },
            ])
          : dice === 2
            ? confChange([{ type: 'ConfChangeAddNode', nodeId }])
            : confChange([{ type: 'ConfChangeAddLearnerNode', nodeId }])
    member.node.proposeConfChange(change)
  }
}

const seedFrom = Number(process.env['SEED'] ?? 1)
const seedCount = Number(process.env['SEEDS'] ?? 15)
const seeds = Array.from({ length: seedCount }, (_, at) => seedFrom + at)

const manners: [string, MemberOptions][] = [
  ['with the defaults', {}],
  ['without pre-vote and check-quorum', { preVote: false, checkQuorum: false }],
  ['with asynchronous storage', { asyncStorageWrites: true }],
  [
    'with tiny limits',
    {
      maxSizePerMsg: 40,
      maxInflightMsgs: 2,
      maxCommittedSizePerReady: 40,
      stepDownOnRemoval: false,
    },
  ],
]

test.each(manners)(
  'no schedule of messages, crashes and changes breaks what Raft promises, %s',
  (_, options) => {
    let answeredReadCount = 0
    let appliedCount = 0
    for (const seed of seeds) {
      const chaos = new Chaos(seed, options)
      try {
        for (let acted = 0; acted < 4000; acted++) chaos.act()
        chaos.recover()
        const leader = chaos.group.leader()
        expect(leader, 'a leader is found in the end').toBeDefined()
        leader?.node.propose(utf8('the last word'))
        chaos.recover()
        for (const id of leader?.node.status().progress.keys() ?? []) {
          expect(chaos.group.member(id).digest).toBe(leader?.digest)
        }
        answeredReadCount += chaos.oracle.answeredReadCount
        appliedCount += leader?.applied ?? 0
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause })
      }
    }
    // A schedule in which nothing happens would prove nothing.
    expect(answeredReadCount).toBeGreaterThan(seedCount)
    expect(appliedCount).toBeGreaterThan(seedCount * 20)
  },
  120_000,
)

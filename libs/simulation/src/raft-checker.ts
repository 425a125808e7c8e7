import { createHash } from 'node:crypto'
import type { Batch, Recovered } from '@conclave/journal'
import { waitsForDisk, type ConfState, type Message, type NodeId } from '@conclave/raft'
import { isQuorum } from './config-checker.ts'
import { LogModel } from './log-model.ts'
import type { Asked, Sight } from './witness.ts'
import type { World } from './world.ts'

/** What is known of one member. */
interface Known {
  /** Its log with all that it has asked its journal for. */
  asked: LogModel
  /** Its log with all that its journal has called durable. */
  durable: LogModel
  /** Asked for, and not yet called durable. */
  pending: Asked[]
  hasRun: boolean
  /** In this life. */
  term: number
  commit: number
  /** The commit index that it has last asked its journal to keep. */
  written: number
  /** As applied after the last event and after the one before: between them, either was in force. */
  configs: readonly ConfState[]
  /** Up to here what it calls committed has been compared with the others. */
  checked: number
}

interface Committed {
  readonly term: number
  /** The lowest term in which a member knew of it. */
  inTerm: number
}

/**
 * Watches what Raft promises (the paper's Figure 3), and that nobody promises what is not on its disk:
 * rules SI1, SI2, SI3, SI5 and SI6.
 */
export class RaftChecker {
  readonly #world: World
  readonly #known = new Map<NodeId, Known>()
  readonly #leaders = new Map<number, NodeId>()
  /** To whom a member gave its vote, by member and term. */
  readonly #votes = new Map<string, NodeId>()
  /** What is in an entry and what term is before it, by index and term. */
  readonly #entries = new Map<string, { readonly digest: string; readonly before: number }>()
  readonly #committed = new Map<number, Committed>()

  constructor(world: World, members: readonly NodeId[]) {
    this.#world = world
    for (const member of members) this.#known.set(member, unknown())
  }

  /** How many entries are known to be committed. */
  get committedCount(): number {
    return this.#committed.size
  }

  /** Up to where the log of a member goes: as asked for, and as far as it is called durable. */
  logOf(member: NodeId): { readonly lastIndex: number; readonly durableIndex: number } {
    const { asked, durable } = this.#of(member)
    return { lastIndex: asked.last, durableIndex: durable.last }
  }

  recovered(member: NodeId, recovered: Recovered, isTamperedWith: boolean): void {
    const known = this.#of(member)
    if (known.hasRun) this.#checkRecovery(member, known, recovered, isTamperedWith)
    const model = LogModel.of(recovered)
    this.#checkEntries(model, recovered.entries)
    if (model.vote !== 0) this.#vote(member, model.term, model.vote)
    this.#known.set(member, {
      asked: model,
      durable: model.copy(),
      pending: [],
      hasRun: true,
      term: model.term,
      commit: 0,
      written: recovered.hardState?.commit ?? 0,
      configs: [],
      checked: model.snapshotIndex,
    })
  }

  asked(member: NodeId, work: Asked): void {
    const known = this.#of(member)
    if (work.do === 'append') this.#checkEntries(known.asked, work.batch.entries)
    known.asked.do(work)
    known.pending.push(work)
  }

  /** Whoever writes entries writes down with them what it knows to be committed, so that a restart knows it, too. */
  taken(member: NodeId, { hardState, entries }: Batch, commitIndex: number): void {
    const known = this.#of(member)
    known.written = hardState?.commit ?? known.written
    if (entries.length === 0 || known.written >= commitIndex) return
    this.#world.violate(
      'SI6',
      `member ${member} writes entries and that ${known.written} is committed, and knows of ${commitIndex}`,
    )
  }

  durable(member: NodeId, work: Asked): void {
    const known = this.#of(member)
    known.durable.do(work)
    const { term, vote } = known.durable
    if (vote !== 0) this.#vote(member, term, vote)
    known.pending = known.pending.filter((other) => other !== work)
  }

  sending(member: NodeId, message: Message): void {
    const { type, term, to, reject, index } = message
    if (type === 'MsgApp' || type === 'MsgHeartbeat') this.#leads(member, term)
    if (!waitsForDisk(type) || type === 'MsgPreVoteResp') return
    const { durable } = this.#of(member)
    if (type === 'MsgVoteResp' && !reject) this.#vote(member, term, to)
    const broken = (what: string): void =>
      this.#world.violate('SI5', `member ${member} tells ${to} ${what}, which is not on its disk`)
    if (term > durable.term) broken(`of term ${term}`)
    if (type === 'MsgAppResp' && !reject && index > durable.last) broken(`that it has ${index}`)
    if (type !== 'MsgVoteResp' || reject) return
    if (term === durable.term && durable.vote !== to) broken(`that it votes in term ${term}`)
  }

  seen(member: NodeId, { role, term, commitIndex, appliedIndex, config }: Sight): void {
    const known = this.#of(member)
    const before = known.configs.at(-1)
    if (before !== config || known.configs.length > 1) {
      known.configs = before === undefined || before === config ? [config] : [before, config]
    }
    if (term < known.term || commitIndex < known.commit) {
      this.#world.violate('SI6', `member ${member} goes back: term ${term}, commit ${commitIndex}`)
    }
    known.term = term
    known.commit = commitIndex
    if (role === 'leader') this.#leads(member, term)
    // A follower may have learnt in one message of entries and of their commit, and not written yet.
    const end = Math.min(role === 'leader' ? commitIndex : appliedIndex, known.asked.last)
    for (let index = known.checked + 1; index <= end; index++) {
      const termThere = known.asked.termAt(index)
      if (termThere !== undefined) this.#commit(member, index, termThere, term)
    }
    known.checked = Math.max(known.checked, end)
  }

  #checkRecovery(
    member: NodeId,
    known: Known,
    recovered: Recovered,
    isTamperedWith: boolean,
  ): void {
    const index = recovered.snapshot?.meta.index ?? 1
    // In the place of a damaged snapshot an older one may stand, with what followed it.
    const isNewEnough = isTamperedWith || index >= known.durable.snapshotIndex
    const model = known.durable.copy()
    let isKnown = isNewEnough && model.recoversAs(recovered)
    for (const work of known.pending) {
      if (isKnown) return
      isKnown = isNewEnough && model.do(work).recoversAs(recovered)
    }
    if (isKnown) return
    const { hardState, entries } = recovered
    this.#world.violate(
      'SI5',
      `member ${member} recovers snapshot ${index}, entries up to ${entries.at(-1)?.index ?? index}, term ${hardState?.term ?? 0}, vote ${hardState?.vote ?? 0}; promised were snapshot ${known.durable.snapshotIndex}, entries up to ${known.durable.last}, term ${known.durable.term}, vote ${known.durable.vote}`,
    )
  }

  /** Log matching: an entry of one index and term is the same everywhere, and so is what is before it. */
  #checkEntries(log: LogModel, entries: Batch['entries']): void {
    const [first] = entries
    if (first === undefined) return
    let before = log.termAt(first.index - 1) ?? 0
    for (const { index, term, type, data } of entries) {
      const digest = createHash('sha1').update(type).update(data).digest('base64')
      const name = `${index}/${term}`
      const other = this.#entries.get(name)
      if (other === undefined) this.#entries.set(name, { digest, before })
      else if (other.digest !== digest || other.before !== before) {
        this.#world.violate('SI2', `the logs differ at or before index ${index} of term ${term}`)
      }
      before = term
    }
  }

  #vote(member: NodeId, term: number, candidate: NodeId): void {
    const name = `${member}/${term}`
    const before = this.#votes.get(name) ?? candidate
    this.#votes.set(name, before)
    if (before === candidate) return
    this.#world.violate(
      'SI1',
      `member ${member} votes for ${before} and ${candidate} in term ${term}`,
    )
  }

  #leads(member: NodeId, term: number): void {
    const leader = this.#leaders.get(term)
    if (leader === member) return
    if (leader !== undefined) {
      this.#world.violate('SI1', `${leader} and ${member} both lead in term ${term}`)
      return
    }
    this.#leaders.set(term, member)
    this.#checkElection(member, term)
    const { asked } = this.#of(member)
    for (const [index, committed] of this.#committed) {
      if (committed.inTerm >= term || asked.holds(index, committed.term)) continue
      this.#world.violate(
        'SI3',
        `${member} leads in term ${term} without entry ${index} of term ${committed.term}, which was committed in term ${committed.inTerm}`,
      )
      return
    }
  }

  #commit(member: NodeId, index: number, term: number, inTerm: number): void {
    const committed = this.#committed.get(index)
    if (committed === undefined) {
      this.#committed.set(index, { term, inTerm })
      this.#checkQuorum(member, index, term)
      return
    }
    committed.inTerm = Math.min(committed.inTerm, inTerm)
    if (committed.term === term) return
    this.#world.violate(
      'SI2',
      `member ${member} calls entry ${index} of term ${term} committed, others the one of term ${committed.term}`,
    )
  }

  /** Whoever leads was voted for by a majority of the voters that it knew of. */
  #checkElection(member: NodeId, term: number): void {
    const voters = new Set(
      [...this.#known.keys()].filter((voter) => this.#votes.get(`${voter}/${term}`) === member),
    )
    if (this.#isQuorumFor(member, voters)) return
    this.#world.violate(
      'SI1',
      `${member} leads in term ${term} with the votes of ${[...voters].join(', ')} alone`,
    )
  }

  #checkQuorum(member: NodeId, index: number, term: number): void {
    const holders = new Set<NodeId>()
    for (const [nodeId, { durable }] of this.#known)
      if (durable.holds(index, term)) holders.add(nodeId)
    if (this.#isQuorumFor(member, holders)) return
    this.#world.violate(
      'SI3',
      `member ${member} calls entry ${index} of term ${term} committed, which is on the disks of ${[...holders].join(', ')}`,
    )
  }

  /** By the configuration that this member had applied, before or after the event. */
  #isQuorumFor(member: NodeId, ids: ReadonlySet<NodeId>): boolean {
    return this.#of(member).configs.some((config) => isQuorum(config, ids))
  }

  #of(member: NodeId): Known {
    const known = this.#known.get(member)
    if (known === undefined) throw new Error(`there is no member ${member}`)
    return known
  }
}

const unknown = (): Known => ({
  asked: new LogModel(),
  durable: new LogModel(),
  pending: [],
  hasRun: false,
  term: 0,
  commit: 0,
  written: 0,
  configs: [],
  checked: 1,
})

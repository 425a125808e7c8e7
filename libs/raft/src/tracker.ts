import type { ConfState, NodeId } from './entry.ts'
import { RaftError } from './errors.ts'
import { type Reconfiguration, allMembers, emptyConfig } from './membership.ts'
import { Progress } from './progress.ts'
import { type VoteResult, jointCommitted, jointVote } from './quorum.ts'

export interface VoteTally {
  readonly grantedCount: number
  readonly rejectedCount: number
  readonly result: VoteResult
}

/** Who is in the group, how far each one's log reaches, and who voted how. */
export class Tracker {
  readonly #inflightCountMax: number
  readonly #inflightBytesMax: number
  #config: ConfState = emptyConfig
  #progress: ReadonlyMap<NodeId, Progress> = new Map()
  #members: readonly NodeId[] = []
  readonly #votes = new Map<NodeId, boolean>()
  readonly #match = (id: NodeId): number => this.#progress.get(id)?.match ?? 0

  constructor(inflightCountMax: number, inflightBytesMax: number) {
    this.#inflightCountMax = inflightCountMax
    this.#inflightBytesMax = inflightBytesMax
  }

  get config(): ConfState {
    return this.#config
  }

  /** Every member in ascending order, which is the order in which messages are sent. */
  get members(): readonly NodeId[] {
    return this.#members
  }

  progress(id: NodeId): Progress | undefined {
    return this.#progress.get(id)
  }

  /**
   * Takes over a configuration. Members that stay keep their progress; a newcomer is first asked for
   * the entry at `lastIndex`, since it may have nothing at all.
   */
  reconfigure({ config, fresh }: Reconfiguration, lastIndex: number): void {
    const progress = new Map<NodeId, Progress>()
    const learners = new Set(config.learners)
    const members = allMembers(config)
    for (const id of members) {
      const existing = this.#progress.get(id)
      if (existing === undefined && !fresh.has(id)) {
        throw new RaftError('raft.conf-change-refused', `no progress for ${id}`)
      }
      progress.set(
        id,
        fresh.has(id) || existing === undefined ? this.#newcomer(lastIndex) : existing,
      )
    }
    for (const [id, one] of progress) one.isLearner = learners.has(id)
    this.#config = config
    this.#progress = progress
    this.#members = members
  }

  /** The largest index that a quorum has. Source: Raft §5.3. */
  committed(): number {
    return jointCommitted(this.#config, this.#match)
  }

  /** Whether a quorum was heard from since {@link expectActivity}. */
  isQuorumActive(): boolean {
    const isActive = (id: NodeId): boolean => this.#progress.get(id)?.isRecentlyActive ?? false
    return jointVote(this.#config, isActive) === 'VoteWon'
  }

  expectActivity(self: NodeId): void {
    for (const [id, progress] of this.#progress) {
      if (id !== self) progress.isRecentlyActive = false
    }
  }

  resetVotes(): void {
    this.#votes.clear()
  }

  /** The first answer of a voter counts; whatever it says later does not change it. */
  recordVote(id: NodeId, isGranted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, isGranted)
  }

  tallyVotes(): VoteTally {
    let grantedCount = 0
    let rejectedCount = 0
    for (const [id, progress] of this.#progress) {
      const vote = this.#votes.get(id)
      if (vote === undefined || progress.isLearner) continue
      if (vote) grantedCount++
      else rejectedCount++
    }
    const result = jointVote(this.#config, (id) => this.#votes.get(id))
    return { grantedCount, rejectedCount, result }
  }

  #newcomer(lastIndex: number): Progress {
    return new Progress({
      match: 0,
      next: Math.max(lastIndex, 1),
      inflightCountMax: this.#inflightCountMax,
      inflightBytesMax: this.#inflightBytesMax,
      isLearner: false,
      // Otherwise a newcomer would be called inactive before it had a chance to answer.
      isRecentlyActive: true,
    })
  }
}

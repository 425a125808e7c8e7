import { invariant } from '@conclave/kernel'
import { type RaftConfig, completeConfig } from './config.ts'
import { type Entry, type HardState, type NodeId, none } from './entry.ts'
import { RaftLog } from './log.ts'
import type { RaftLogLevel } from './logger.ts'
import { describeConfiguration } from './describe.ts'
import { isMember, restoreConfig } from './membership.ts'
import { type Message, type MessageDraft, message, noBytes, waitsForDisk } from './message.ts'
import { ReadOnly, type ReadState } from './read-only.ts'
import { Tracker } from './tracker.ts'

export type RaftRole = 'StateFollower' | 'StateCandidate' | 'StateLeader' | 'StatePreCandidate'

/** What need not survive a restart, but is worth telling when it changes. */
export interface SoftState {
  readonly lead: NodeId
  readonly state: RaftRole
}

/** An entry before the log gave it a place. */
export type NewEntry = Pick<Entry, 'type' | 'data'>

/** Ids are written in hexadecimal wherever people read them. */
export const hex = (id: NodeId): string => id.toString(16)

/**
 * The state of one member and the moves every role makes of it: sending, appending, changing role.
 * What a role does about a message lies beside it, in election, leader and follower.
 *
 * 1. `term` never falls, and `vote` changes only together with it or from none.
 * 2. Promises about what was written ({@link waitsForDisk}) wait in `messagesAfterAppend`.
 */
export class Raft {
  readonly config: Required<RaftConfig>
  readonly id: NodeId
  readonly log: RaftLog
  readonly tracker: Tracker

  #term = 0
  vote: NodeId = none
  lead: NodeId = none
  state: RaftRole = 'StateFollower'

  messages: Message[] = []
  messagesAfterAppend: Message[] = []
  readStates: ReadState[] = []

  /** To whom leadership is being handed over. */
  leadTransferee: NodeId = none
  /** No configuration change may be proposed before this index is applied. */
  pendingConfIndex = 0
  /** Where the entries of this leader begin. */
  #firstOwnIndex = Number.POSITIVE_INFINITY
  uncommittedBytes = 0
  readOnly = new ReadOnly()
  /** Reads that came before the first commit of this term. */
  earlyReads: Message[] = []
  /** A peer needs a snapshot that is newer than the one in the storage. */
  isSnapshotWanted = false
  /** A vote for a transferee ignores the lease, so once asked for there is no lease in this term. */
  isLeaseVoid = false

  electionElapsed = 0
  heartbeatElapsed = 0
  randomizedElectionTimeout = 0
  /** Counts every tick of this process, for the lease. */
  tickCount = 0

  constructor(options: RaftConfig) {
    const config = completeConfig(options)
    this.config = config
    this.id = config.id
    this.log = new RaftLog(config.storage, config.logger, config.maxCommittedSizePerReady)
    this.tracker = new Tracker(config.maxInflightMsgs, config.maxInflightBytes)

    const [hardState, confState] = config.storage.initialState()
    this.tracker.reconfigure(restoreConfig(confState), this.log.lastIndex())
    this.logConfiguration()
    this.#load(hardState)
    if (config.applied > 0) this.log.appliedTo(config.applied, 0)
    this.becomeFollower(this.#term, none)
    const peers = [...confState.voters].sort((a, b) => a - b).map(hex)
    this.info(
      `newRaft ${hex(this.id)} [peers: [${peers.join(',')}], term: ${this.#term}, ` +
        `commit: ${this.log.committed}, applied: ${this.log.applied}, ` +
        `lastindex: ${this.log.lastIndex()}, lastterm: ${this.log.lastTerm()}]`,
    )
  }

  get term(): number {
    return this.#term
  }

  hardState(): HardState {
    return { term: this.#term, vote: this.vote, commit: this.log.committed }
  }

  softState(): SoftState {
    return { lead: this.lead, state: this.state }
  }

  /** May lead: in the configuration, not as a learner, and not waiting for its own state. */
  isPromotable(): boolean {
    const progress = this.tracker.progress(this.id)
    return progress !== undefined && !progress.isLearner && this.log.unstable.snapshot === undefined
  }

  isLearner(): boolean {
    return this.tracker.progress(this.id)?.isLearner ?? false
  }

  isInConfiguration(): boolean {
    return isMember(this.tracker.config, this.id)
  }

  // Messages

  /** Sends in this term. Proposals and reads that are passed on travel without one. */
  send(draft: MessageDraft): void {
    const isForwarded = draft.type === 'MsgProp' || draft.type === 'MsgReadIndex'
    this.#post(message({ from: this.id, ...draft, term: isForwarded ? 0 : this.#term }))
  }

  /** Sends with the term the message states: votes speak of a term that may not be ours. */
  sendInTerm(draft: MessageDraft & { term: number }): void {
    invariant(draft.term > 0, 'a vote names its term')
    this.#post(message({ ...draft, from: this.id }))
  }

  #post(one: Message): void {
    if (waitsForDisk(one.type)) {
      this.messagesAfterAppend.push(one)
      return
    }
    invariant(one.to !== this.id, 'nobody writes to himself, but of what he has stored')
    this.messages.push(one)
  }

  // Roles

  /** Begins a term, or the same one in another role. Everything a leader knew is forgotten. */
  #reset(term: number): void {
    invariant(term >= this.#term, 'the term never falls')
    if (term !== this.#term) {
      this.#term = term
      this.vote = none
    }
    this.lead = none
    this.electionElapsed = 0
    this.heartbeatElapsed = 0
    this.drawElectionTimeout()
    this.leadTransferee = none
    this.tracker.resetVotes()
    const lastIndex = this.log.lastIndex()
    for (const id of this.tracker.members) {
      this.tracker.progress(id)?.restart(id === this.id ? lastIndex : 0, lastIndex + 1)
    }
    this.pendingConfIndex = 0
    this.#firstOwnIndex = Number.POSITIVE_INFINITY
    this.uncommittedBytes = 0
    this.readOnly = new ReadOnly()
    this.earlyReads = []
    this.isLeaseVoid = false
    this.isSnapshotWanted = false
  }

  becomeFollower(term: number, lead: NodeId): void {
    this.#reset(term)
    this.lead = lead
    this.state = 'StateFollower'
    this.info(`${hex(this.id)} became follower at term ${term}`)
  }

  becomeCandidate(): void {
    invariant(this.state !== 'StateLeader', 'a leader does not campaign')
    this.#reset(this.#term + 1)
    this.vote = this.id
    this.state = 'StateCandidate'
    this.info(`${hex(this.id)} became candidate at term ${this.#term}`)
  }

  /** Changes neither term nor vote: this only asks how an election would end. */
  becomePreCandidate(): void {
    invariant(this.state !== 'StateLeader', 'a leader does not campaign')
    this.tracker.resetVotes()
    this.lead = none
    this.state = 'StatePreCandidate'
    this.info(`${hex(this.id)} became pre-candidate at term ${this.#term}`)
  }

  /** The caller must have won this term. Its first entry commits what earlier leaders left. */
  becomeLeader(): void {
    invariant(this.state === 'StateCandidate', 'only a candidate becomes leader')
    this.#reset(this.#term)
    this.lead = this.id
    this.state = 'StateLeader'
    const own = this.tracker.progress(this.id)
    invariant(own !== undefined, 'a leader is in its configuration')
    own.becomeReplicate()
    own.isRecentlyActive = true
    // There may be a change among the entries that were inherited, so wait until they are applied.
    this.pendingConfIndex = this.log.lastIndex()
    this.#firstOwnIndex = this.log.lastIndex() + 1
    const isAppended = this.appendEntries([{ type: 'EntryNormal', data: noBytes }])
    invariant(isAppended, 'the empty entry of a new leader always fits')
    this.info(`${hex(this.id)} became leader at term ${this.#term}`)
  }

  drawElectionTimeout(): void {
    const { electionTick, random } = this.config
    this.randomizedElectionTimeout = electionTick + random.below(electionTick)
  }

  // The log

  /** Gives entries their places. Answers false when too much would be uncommitted. */
  appendEntries(entries: readonly NewEntry[]): boolean {
    let bytes = 0
    for (const { data } of entries) bytes += data.length
    // One proposal of any size is let in when nothing waits, or it never would be; empty ones
    // always are, because leaders need them to make progress.
    const isTooMuch =
      bytes > 0 &&
      this.uncommittedBytes > 0 &&
      this.uncommittedBytes + bytes > this.config.maxUncommittedEntriesSize
    if (isTooMuch) {
      this.warn(
        `${hex(this.id)} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
      )
      return false
    }
    this.uncommittedBytes += bytes
    const term = this.#term
    const first = this.log.lastIndex() + 1
    invariant(Number.isSafeInteger(first + entries.length), 'indexes are safe integers')
    this.log.append(
      entries.map(({ type, data }, offset) => ({ type, term, index: first + offset, data })),
    )
    // A leader counts itself like any follower: when its own write is done.
    this.send({ to: this.id, type: 'MsgAppResp', index: first + entries.length - 1 })
    return true
  }

  /** What was committed no longer counts against the limit. */
  releaseUncommitted(entries: readonly Entry[]): void {
    let bytes = 0
    for (const { data } of entries) bytes += data.length
    this.uncommittedBytes = Math.max(0, this.uncommittedBytes - bytes)
  }

  /** Commits what a quorum has. Answers whether that moved anything. */
  maybeCommit(): boolean {
    return this.log.maybeCommit(this.tracker.committed(), this.#term)
  }

  /**
   * Until then this leader may not know how much its predecessors committed. It goes by the index,
   * since what a group was founded with may carry the number of its first term.
   */
  hasCommittedOwnEntry(): boolean {
    return this.log.committed >= this.#firstOwnIndex
  }

  // The log lines of reference raft.md §5.4

  logConfiguration(): void {
    this.info(
      `${hex(this.id)} switched to configuration ${describeConfiguration(this.tracker.config)}`,
    )
  }

  debug(text: string): void {
    this.#line('debug', text)
  }

  info(text: string): void {
    this.#line('info', text)
  }

  warn(text: string): void {
    this.#line('warn', text)
  }

  error(text: string): void {
    this.#line('error', text)
  }

  #line(level: RaftLogLevel, text: string): void {
    this.config.logger.log(level, text)
  }

  #load(hardState: HardState): void {
    const { term, vote, commit } = hardState
    if (term === 0 && vote === none && commit === 0) return
    invariant(
      commit >= this.log.committed && commit <= this.log.lastIndex(),
      'the stored commit index lies within the stored log',
    )
    this.log.commitTo(commit)
    this.#term = term
    this.vote = vote
  }
}

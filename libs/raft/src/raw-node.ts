import { invariant } from '@conclave/kernel'
import { encodeConfChange } from './codec.ts'
import { type ConfChange, asV2 } from './conf-change.ts'
import type { RaftConfig } from './config.ts'
import {
  type ConfState,
  type Entry,
  type HardState,
  type NodeId,
  type Snapshot,
  none,
} from './entry.ts'
import { type RaftError, localMessage, peerUnknown } from './errors.ts'
import { whyRefused } from './leader.ts'
import {
  type Message,
  type MessageDraft,
  isLocalTarget,
  isLocalType,
  isResponseType,
  message,
} from './message.ts'
import type { Progress } from './progress.ts'
import { Raft, type SoftState } from './raft.ts'
import {
  type Ready,
  storageAppend,
  storageAppendResponse,
  storageApply,
  storageApplyResponse,
} from './ready.ts'
import { changed, switchConfiguration } from './reconfigure.ts'
import { step, tick } from './step.ts'
import { entriesSizeBytes } from './storage.ts'

export interface BasicStatus {
  readonly id: NodeId
  readonly hardState: HardState
  readonly softState: SoftState
  readonly applied: number
  readonly lastIndex: number
  readonly leadTransferee: NodeId
}

export interface Status extends BasicStatus {
  readonly config: ConfState
  /** What a leader believes about every member, by ascending id. Empty elsewhere. */
  readonly progress: ReadonlyMap<NodeId, Readonly<Progress>>
}

/**
 * One member of a Raft group, without clock, dice, disk or network: it is told of ticks, messages
 * and proposals, and answers with a {@link Ready} of what is to be written, sent and applied.
 *
 * Methods that may decline answer with a RaftError instead of throwing it. What throws is a bug, or a
 * disk that contradicts itself, and then the process must stop.
 */
export class RawNode {
  /** The state itself, for tests and simulations that look inside. */
  readonly raft: Raft
  readonly #isAsync: boolean
  #previousSoft: SoftState
  #previousHard: HardState
  /** Answers of this member to itself, delivered once the Ready is carried out. */
  #stepsOnAdvance: Message[] = []
  #isAdvanceDue = false

  constructor(config: RaftConfig) {
    this.raft = new Raft(config)
    this.#isAsync = this.raft.config.asyncStorageWrites
    this.#previousSoft = this.raft.softState()
    this.#previousHard = this.raft.hardState()
  }

  tick(): void {
    tick(this.raft)
  }

  /** Takes in a message of a peer or, with asynchronous storage, of a local thread. */
  step(one: Message): RaftError | undefined {
    const isOfThread = isLocalTarget(one.from)
    if (isLocalType(one.type) && !isOfThread) return localMessage
    if (isResponseType(one.type) && !isOfThread && !this.raft.tracker.progress(one.from)) {
      return peerUnknown
    }
    return step(this.raft, one)
  }

  /** Campaigns now rather than when the election timeout has passed. */
  campaign(): void {
    this.#local({ type: 'MsgHup', to: this.raft.id, from: this.raft.id })
  }

  /** Answers `proposalDropped` when nobody here can take it; undefined promises nothing yet. */
  propose(data: Uint8Array): RaftError | undefined {
    return this.proposeBatch([data])
  }

  /** All of them in this order, or none. */
  proposeBatch(batch: readonly Uint8Array[]): RaftError | undefined {
    if (batch.length === 0) return undefined
    return this.#propose(
      batch.map((data) => ({ type: 'EntryNormal', term: 0, index: 0, data }) as const),
    )
  }

  /** A change that may not be made now is replaced by an empty entry, not dropped. */
  proposeConfChange(change: ConfChange): RaftError | undefined {
    const type = change.version === 1 ? 'EntryConfChange' : 'EntryConfChangeV2'
    return this.#propose([{ type, term: 0, index: 0, data: encodeConfChange(change) }])
  }

  /**
   * Why {@link proposeConfChange} would be replaced by an empty entry if this member led and were asked
   * now; the empty entry itself says nothing.
   */
  whyConfChangeRefused(change: ConfChange): string | undefined {
    return whyRefused(this.raft, change)
  }

  /**
   * Must be called for every configuration change among the committed entries, when it is applied. Answers
   * with the configuration of that entry. While a snapshot waits to be installed the core has that of the
   * snapshot already, which stands for the entry too: then it is told from `before`, and nothing changes.
   *
   * @param before the configuration that applied until now
   * @throws RaftError `raft.conf-change-refused`, which only a change that was not validated can cause
   */
  applyConfChange(change: ConfChange, before: ConfState = this.raft.tracker.config): ConfState {
    const { log, tracker } = this.raft
    if (log.unstable.snapshot !== undefined) return changed(before, asV2(change)).config
    switchConfiguration(this.raft, changed(tracker.config, asV2(change)))
    return tracker.config
  }

  /**
   * Asks for an index that is safe to read at. It comes back with the same `context` in the
   * `readStates` of a later Ready, or never, so callers ask again after a while.
   */
  readIndex(context: Uint8Array): void {
    this.#local({ type: 'MsgReadIndex', to: this.raft.id, context })
  }

  transferLeader(id: NodeId): void {
    this.#local({ type: 'MsgTransferLeader', to: this.raft.id, from: id })
  }

  /** A follower stops protecting its leader, as when it knows it to be gone. */
  forgetLeader(): void {
    this.#local({ type: 'MsgForgetLeader', to: this.raft.id })
  }

  /** The last messages to this peer were probably lost. */
  reportUnreachable(id: NodeId): void {
    this.#local({ type: 'MsgUnreachable', to: this.raft.id, from: id })
  }

  /** The snapshot for this peer has arrived, or has not. */
  reportSnapshot(id: NodeId, isReceived: boolean): void {
    this.#local({ type: 'MsgSnapStatus', to: this.raft.id, from: id, reject: !isReceived })
  }

  /**
   * Whether the state machine should be put into a snapshot now, however little was applied since the
   * last one: a peer needs one that is newer. It is sent at the next answer of that peer.
   */
  wantsSnapshot(): boolean {
    return this.raft.isSnapshotWanted
  }

  /** A snapshot that this member was sent and has not installed yet. */
  pendingSnapshot(): Snapshot | undefined {
    return this.raft.log.unstable.snapshot
  }

  hasReady(): boolean {
    const { raft } = this
    const { log } = raft
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      raft.readStates.length > 0 ||
      log.unstable.hasNextEntries() ||
      log.hasNextCommitted(!this.#isAsync) ||
      log.unstable.nextSnapshot() !== undefined ||
      raft.lead !== this.#previousSoft.lead ||
      raft.state !== this.#previousSoft.state ||
      this.#isHardStateChanged()
    )
  }

  /** Takes what is to be done. Without asynchronous storage, `advance` must follow. */
  ready(): Ready {
    invariant(!this.#isAdvanceDue, 'the last Ready was carried out before the next is taken')
    const { raft } = this
    const { log } = raft
    const isSoftChanged =
      raft.lead !== this.#previousSoft.lead || raft.state !== this.#previousSoft.state
    const entries = log.unstable.hasNextEntries() ? log.unstable.nextEntries() : []
    const hardState = this.#isHardStateChanged() ? raft.hardState() : undefined
    const planned: Ready = {
      softState: isSoftChanged ? raft.softState() : undefined,
      hardState,
      readStates: raft.readStates,
      entries,
      snapshot: log.unstable.nextSnapshot(),
      committedEntries: log.nextCommitted(!this.#isAsync),
      messages: raft.messages,
      mustSync:
        entries.length > 0 ||
        raft.term !== this.#previousHard.term ||
        raft.vote !== this.#previousHard.vote,
    }
    const ready = { ...planned, messages: this.#messages(planned) }
    this.#accept(ready)
    return ready
  }

  /**
   * Heartbeats and answers to them that came up since the last Ready was taken, while it is still being
   * carried out. They promise nothing about what is written, so they may leave beside a slow disk, as
   * soon as their term is durable: that is the caller's to see to.
   */
  takeHeartbeats(): readonly Message[] {
    const { raft } = this
    const taken = raft.messages.filter(isHeartbeat)
    if (taken.length > 0) raft.messages = raft.messages.filter((one) => !isHeartbeat(one))
    return taken
  }

  /** The Ready was carried out. Not with asynchronous storage, whose threads answer instead. */
  advance(): void {
    invariant(!this.#isAsync, 'asynchronous storage advances by its responses')
    invariant(this.#isAdvanceDue, 'there is a Ready to advance from')
    this.#isAdvanceDue = false
    const steps = this.#stepsOnAdvance
    this.#stepsOnAdvance = []
    for (const one of steps) step(this.raft, one)
  }

  status(): Status {
    const { raft } = this
    const progress = new Map<NodeId, Progress>()
    if (raft.state === 'StateLeader') {
      for (const id of raft.tracker.members) {
        const one = raft.tracker.progress(id)
        if (one !== undefined) progress.set(id, one)
      }
    }
    return { ...this.basicStatus(), config: raft.tracker.config, progress }
  }

  basicStatus(): BasicStatus {
    const { raft } = this
    return {
      id: raft.id,
      hardState: raft.hardState(),
      softState: raft.softState(),
      applied: raft.log.applied,
      lastIndex: raft.log.lastIndex(),
      leadTransferee: raft.leadTransferee,
    }
  }

  #propose(entries: readonly Entry[]): RaftError | undefined {
    return step(this.raft, message({ type: 'MsgProp', to: this.raft.id, from: none, entries }))
  }

  #local(draft: MessageDraft): void {
    step(this.raft, message(draft))
  }

  #isHardStateChanged(): boolean {
    const { raft } = this
    const { term, vote, commit } = this.#previousHard
    return raft.term !== term || raft.vote !== vote || raft.log.committed !== commit
  }

  /** What leaves, and with asynchronous storage also the work for the two threads. */
  #messages(ready: Ready): readonly Message[] {
    const { raft } = this
    if (!this.#isAsync) {
      const others = raft.messagesAfterAppend.filter(({ to }) => to !== raft.id)
      return others.length === 0 ? ready.messages : [...ready.messages, ...others]
    }
    const messages = [...ready.messages]
    const needsAppend =
      ready.entries.length > 0 ||
      ready.hardState !== undefined ||
      ready.snapshot !== undefined ||
      raft.messagesAfterAppend.length > 0
    if (needsAppend) {
      const responses = [...raft.messagesAfterAppend, ...this.#appendResponse(ready)]
      messages.push(storageAppend(raft.id, ready, responses))
    }
    if (ready.committedEntries.length > 0) {
      messages.push(storageApply(raft.id, ready.committedEntries))
    }
    return messages
  }

  /**
   * As long as anything is unstable, every write answers with the newest position, even one that
   * wrote no entries: an answer that came in an older term was ignored, and this one makes up for it.
   */
  #appendResponse(ready: Ready): Message[] {
    const { id, log, term } = this.raft
    const hasEntries = log.unstable.entryCount > 0
    if (!hasEntries && ready.snapshot === undefined) return []
    const last = hasEntries ? { index: log.lastIndex(), term: log.lastTerm() } : undefined
    return [storageAppendResponse(id, term, last, ready.snapshot)]
  }

  #accept(ready: Ready): void {
    const { raft } = this
    if (ready.softState !== undefined) this.#previousSoft = ready.softState
    if (ready.hardState !== undefined) this.#previousHard = ready.hardState
    if (!this.#isAsync) {
      this.#stepsOnAdvance = raft.messagesAfterAppend.filter(({ to }) => to === raft.id)
      this.#stepsOnAdvance.push(...this.#appendResponse(ready))
      if (ready.committedEntries.length > 0) {
        this.#stepsOnAdvance.push(storageApplyResponse(raft.id, ready.committedEntries))
      }
      this.#isAdvanceDue = true
    }
    raft.readStates = []
    raft.messages = []
    raft.messagesAfterAppend = []
    raft.log.unstable.acceptInProgress()
    const last = ready.committedEntries.at(-1)
    if (last !== undefined) {
      raft.log.acceptApplying(last.index, entriesSizeBytes(ready.committedEntries), !this.#isAsync)
    }
  }
}

const isHeartbeat = ({ type }: Message): boolean =>
  type === 'MsgHeartbeat' || type === 'MsgHeartbeatResp'

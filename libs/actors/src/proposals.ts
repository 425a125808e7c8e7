import type { Clock } from '@conclave/kernel'
import {
  checkTxn,
  encodeCommand,
  type ApplyResult,
  type SessionRef,
  type StoreLimits,
  type Txn,
} from '@conclave/store'
import { OutcomeUnknown, Unavailable } from './master/errors.ts'
import type { ReplicaLimits } from './replica-limits.ts'

export interface ProposalHost {
  readonly limits: ReplicaLimits
  readonly storeLimits: StoreLimits
  /** Distinguishes this run from earlier ones of the same member, in the ids of client sessions. */
  readonly boot: string
  readonly clock: Clock
  readonly isLeader: () => boolean
  /** Whether what was sent at that tick will never be answered. */
  readonly isLost: (sentAt: number) => boolean
  /** Hands commands to Raft, all or none. @returns whether it took them */
  readonly hand: (commands: readonly Uint8Array[]) => boolean
}

/** One client of the store, with one command under way at a time. */
interface Session {
  readonly client: string
  sequence: number
  /** What it has under way. */
  proposal: Proposal | undefined
}

interface Waiter {
  readonly txn: Txn
  /** The caller's own number for it, which it may repeat. */
  readonly given: SessionRef | undefined
  readonly deadline: number
  readonly resolve: (result: ApplyResult) => void
  readonly reject: (error: Error) => void
}

interface Proposal {
  readonly session: Session
  /** A session of the caller's is not ours to use again. */
  readonly isGiven: boolean
  readonly data: Uint8Array
  readonly deadline: number
  /** Tick at which it was last handed to Raft; undefined while Raft would not take it. */
  sentAt: number | undefined
  wasEverSent: boolean
  /** Is handed to Raft at the next {@link Proposals.sendOutbox}. */
  isInOutbox: boolean
  readonly resolve: (result: ApplyResult) => void
  readonly reject: (error: Error) => void
}

/**
 * What callers want written, from the call to the answer: waiting for its turn, handed to Raft, handed to it
 * again when it seems lost, settled once it was applied here. Each has the number of a client session, by
 * which the store knows what it has applied already.
 */
export class Proposals {
  readonly #host: ProposalHost
  /** The one used last is used next, so that few are ever needed. */
  readonly #freeSessions: Session[] = []
  #sessionCount = 0
  /**
   * Our own, by client. They stay, and so does this map: one whose keys come and go with each command is
   * made anew all the time, and keeps what its former selves held alive.
   */
  readonly #sessions = new Map<string, Session>()
  /** What is under way in sessions of callers, by client and sequence number. */
  readonly #given = new Map<string, Proposal>()
  #count = 0
  /** What is handed to Raft at the next {@link sendOutbox}, and what was settled meanwhile. */
  #outbox: Proposal[] = []
  readonly #waiters: Waiter[] = []
  #ticks = 0

  constructor(host: ProposalHost) {
    this.#host = host
  }

  propose(txn: Txn, given: SessionRef | undefined): Promise<ApplyResult> {
    return new Promise((resolve, reject) => {
      const { limits, storeLimits } = this.#host
      checkTxn(txn, storeLimits, given)
      const deadline = this.#ticks + limits.deadlineTicks
      const waiter = { txn, given, deadline, resolve, reject }
      const mayStart = this.#waiters.length === 0 && this.#mayStart
      if (mayStart) this.#start(waiter)
      else this.#waiters.push(waiter)
    })
  }

  /** Hands to Raft what was asked since the last time. */
  sendOutbox(): void {
    if (this.#outbox.length === 0) return
    const outbox = this.#outbox.filter(({ isInOutbox }) => isInOutbox)
    this.#outbox = []
    for (const proposal of outbox) proposal.isInOutbox = false
    for (let from = 0; from < outbox.length;) {
      let to = from
      let sizeBytes = 0
      do sizeBytes += outbox[to++]?.data.length ?? 0
      while (to < outbox.length && sizeBytes < this.#host.limits.messageSizeBytes)
      const batch = outbox.slice(from, to)
      // There may be room for some of them where there is none for all.
      if (!this.#hand(batch) && batch.length > 1)
        for (const proposal of batch) this.#hand([proposal])
      from = to
    }
  }

  /** Something was applied here, ours or another's: whoever waits for it is answered. */
  settle(result: ApplyResult): void {
    if (result.session === undefined) return
    const proposal = this.#proposalOf(result.session)
    if (proposal === undefined) return
    this.#end(proposal, true)
    proposal.resolve(result)
  }

  /** Takes sessions for as many waiters as there may be proposals under way. */
  startWaiting(): void {
    while (this.#mayStart) {
      const waiter = this.#waiters.shift()
      if (waiter === undefined) return
      this.#start(waiter)
    }
  }

  /** Whoever led before may have dropped what it was handed. */
  sendAll(): void {
    for (const proposal of this.#underWay()) this.#send(proposal)
  }

  tick(ticks: number): void {
    this.#ticks = ticks
    for (const proposal of this.#underWay()) {
      if (this.#ticks >= proposal.deadline) {
        this.#giveUp(proposal)
      } else if (proposal.sentAt === undefined || this.#mayBeLost(proposal.sentAt)) {
        // Sent twice it is applied once: the store remembers the session's last sequence number.
        this.#send(proposal)
      }
    }
    // All wait equally long, so the first in the queue is the first to have waited too long.
    while (this.#waiters[0] !== undefined && this.#waiters[0].deadline <= this.#ticks) {
      this.#waiters.shift()?.reject(new Unavailable('too many changes wait; nothing was changed'))
    }
    this.startWaiting()
  }

  /** Tells every caller that still waits. */
  close(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
    for (const proposal of this.#underWay()) this.#giveUp(proposal)
  }

  get #mayStart(): boolean {
    return this.#count < this.#host.limits.proposalsMax
  }

  #start({ txn, given, deadline, resolve, reject }: Waiter): void {
    const isGiven = given !== undefined
    if (isGiven && this.#given.has(proposalKey(given))) {
      reject(new OutcomeUnknown('the same command is under way already; ask again later'))
      return
    }
    const session = isGiven
      ? { client: given.client, sequence: given.seq, proposal: undefined }
      : this.#nextSession()
    const { client, sequence: seq } = session
    const { compare, success, failure } = txn
    const { clock, storeLimits } = this.#host
    const nowMs = clock.nowMs()
    const data = encodeCommand(
      { compare, success, ...(failure && { failure }), session: { client, seq }, nowMs },
      storeLimits,
    )
    const proposal: Proposal = {
      session,
      isGiven,
      data,
      deadline,
      sentAt: undefined,
      wasEverSent: false,
      isInOutbox: false,
      resolve,
      reject,
    }
    session.proposal = proposal
    if (isGiven) this.#given.set(proposalKey(given), proposal)
    this.#count++
    this.#send(proposal)
  }

  #nextSession(): Session {
    const session = this.#freeSessions.pop() ?? this.#newSession()
    session.sequence++
    return session
  }

  #newSession(): Session {
    const client = `${this.#host.boot}/${this.#sessionCount++}`
    const session: Session = { client, sequence: 0, proposal: undefined }
    this.#sessions.set(client, session)
    return session
  }

  /** What is under way. */
  #underWay(): readonly Proposal[] {
    const proposals = [...this.#given.values()]
    for (const { proposal } of this.#sessions.values()) {
      if (proposal !== undefined) proposals.push(proposal)
    }
    return proposals
  }

  /** What is under way under this number, if it was proposed here. */
  #proposalOf(session: SessionRef): Proposal | undefined {
    const own = this.#sessions.get(session.client)
    if (own !== undefined) return own.sequence === session.seq ? own.proposal : undefined
    return this.#given.size === 0 ? undefined : this.#given.get(proposalKey(session))
  }

  /** It is under way no more. A session of ours that is not free again is never used again. */
  #end(proposal: Proposal, isFree: boolean): void {
    const { session, isGiven } = proposal
    session.proposal = undefined
    proposal.isInOutbox = false
    this.#count--
    if (isGiven) this.#given.delete(proposalKey({ client: session.client, seq: session.sequence }))
    else if (isFree) this.#freeSessions.push(session)
    else this.#sessions.delete(session.client)
  }

  /** Not at once: all that is asked in one turn goes into the log, and to the others, together. */
  #send(proposal: Proposal): void {
    if (proposal.isInOutbox) return
    proposal.isInOutbox = true
    this.#outbox.push(proposal)
  }

  /** Whether Raft took them. */
  #hand(proposals: readonly Proposal[]): boolean {
    // Dropped for want of a leader, or of room: the next tick tries again until the deadline.
    const isDropped = !this.#host.hand(proposals.map(({ data }) => data))
    for (const proposal of proposals) {
      proposal.sentAt = isDropped ? undefined : this.#ticks
      proposal.wasEverSent ||= !isDropped
    }
    return !isDropped
  }

  /** What a leader has put into its own log stays there as long as it leads. */
  #mayBeLost(sentAt: number): boolean {
    return !this.#host.isLeader() && this.#host.isLost(sentAt)
  }

  #giveUp(proposal: Proposal): void {
    // Its session is not used again: the entry may still be applied one day.
    this.#end(proposal, false)
    proposal.reject(
      proposal.wasEverSent
        ? new OutcomeUnknown('the log did not answer in time; the change may or may not happen')
        : new Unavailable('no leader could be reached; nothing was changed'),
    )
  }
}

const proposalKey = ({ client, seq }: SessionRef): string => `${client}#${seq}`

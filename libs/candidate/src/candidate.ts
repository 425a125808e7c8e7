import { EventEmitter } from 'node:events'

import { ConclaveError } from '@conclave/kernel'
import { silentLog, type Log } from '@conclave/runtime'

import { settingsOf, type CandidateOptions, type Settings } from './candidate-options.ts'
import { Election } from './election.ts'
import {
  decodeGroupMessage,
  encodeGroupMessage,
  type CandidateState,
  type GroupMessage,
} from './group-message.ts'
import { holdToMembers } from './members-file.ts'

/** What an instance knows of another one, or of itself. */
export interface Instance {
  readonly id: string
  readonly meta: unknown
  readonly state: CandidateState
}

export interface ReceivedMessage {
  readonly message: unknown
  /** Proven by the wire. */
  readonly from: string
}

export interface CandidateEvents {
  /** This instance leads: a majority has agreed, and `currentTerm` fences off everybody before. */
  elected: []
  /** It leads no more: another one does, or it cannot reach a majority. */
  defeated: [leaderId: string | undefined]
  message: [ReceivedMessage]
  'message:from:leader': [ReceivedMessage]
  'message:from:follower': [ReceivedMessage]
  statechange: [CandidateState]
  error: [Error]
}

/** Redis cannot be reached, or would not have us. The candidate goes on trying. */
export class RedisUnreachable extends ConclaveError {
  readonly code = 'candidate.redis-unreachable'
}

/** Something was asked of a candidate that does not run. */
export class CandidateNotRunning extends ConclaveError {
  readonly code = 'candidate.not-running'
}

const tellEveryMs = 1000
const forgottenAfterMs = 3000
const handOverMs = 2000

/**
 * One of a group of which one leads at a time, with the methods and events of node-raft-redis. Who
 * leads is decided by Raft among fixed members, each with its term and vote on its own disk; Redis is
 * only what they talk over.
 */
export class Candidate extends EventEmitter<CandidateEvents> {
  readonly #settings: Settings
  readonly #log: Log
  #meta: unknown
  #state: CandidateState = 'follower'
  #term = 0
  #election: Election | undefined
  #starting: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #confirming = 0
  readonly #others = new Map<string, { readonly instance: Instance; readonly heardAt: number }>()

  /** @throws CandidateOptionsInvalid, RedisAddressInvalid */
  constructor(options: CandidateOptions) {
    super()
    this.#settings = settingsOf(options)
    this.#log = options.log ?? silentLog
    this.#meta = options.meta
  }

  get id(): string {
    return this.#settings.id
  }

  get state(): CandidateState {
    return this.#state
  }

  /** Of Raft: it never falls, also not over restarts. While `state` is `leader`, nobody else leads in it. */
  get currentTerm(): number {
    return this.#term
  }

  get meta(): unknown {
    return this.#meta
  }

  /** Begins to take part. Redis need not be there yet. @throws JournalCorrupt, JournalLocked, … */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Hands leadership on, and takes part no more. */
  async stop(): Promise<void> {
    if (this.#starting === undefined) return
    await this.#starting
    await this.stepdown()
    const election = this.#end()
    await election?.stop()
  }

  /** Ends as `kill -9` does. */
  async destroy(): Promise<void> {
    await this.#starting
    const election = this.#end()
    await election?.destroy()
  }

  /** As leader: has another instance take over, and resolves once it leads no more, or nobody could. */
  async stepdown(): Promise<void> {
    const election = this.#election
    if (election?.isLeader !== true || !election.handOver()) return
    const end = performance.now() + handOverMs
    while (election.isLeader && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  reelect(): Promise<void> {
    return this.stepdown()
  }

  /** Every instance that is reached now, this one among them. */
  async getInstances(): Promise<readonly Instance[]> {
    const now = performance.now()
    const others = [...this.#others.values()].filter(
      ({ instance, heardAt }) =>
        now - heardAt < forgottenAfterMs && this.#election?.isUp(instance.id) === true,
    )
    return [this.#self(), ...others.map(({ instance }) => instance)].toSorted((a, b) =>
      a.id < b.id ? -1 : 1,
    )
  }

  async getLeader(): Promise<Instance | undefined> {
    if (this.#state === 'leader') return this.#self()
    const leader = this.#election?.leader
    if (leader === undefined || leader === this.id) return undefined
    return { id: leader, meta: this.#others.get(leader)?.instance.meta, state: 'leader' }
  }

  async setMeta(meta: unknown): Promise<void> {
    this.#meta = meta
    this.#tellOthers()
  }

  /** To every other instance that does not lead. Like all messages: at most once. */
  async messageFollowers(message: unknown): Promise<void> {
    for (const member of this.#otherNames()) this.#say(member, 'followers', message)
  }

  async messageLeader(message: unknown): Promise<void> {
    const leader = this.#state === 'leader' ? this.id : this.#running().leader
    if (leader !== undefined) this.#say(leader, 'leader', message)
  }

  async messageTo(id: string, message: unknown): Promise<void> {
    this.#say(id, 'one', message)
  }

  /** To every instance, this one among them. */
  async messageAll(message: unknown): Promise<void> {
    for (const member of this.#settings.members) this.#say(member, 'all', message)
  }

  async #start(): Promise<void> {
    await holdToMembers(this.#settings)
    this.#election = await Election.start(this.#settings, {
      onRole: () => this.#follow(),
      onBytes: (from, bytes) => this.#hear(from, bytes),
      onTrouble: (why) => this.#complain(why),
      onFatal: (error) => {
        void this.destroy()
        this.emit('error', error as Error)
      },
      log: this.#log,
    })
    this.#follow()
    this.#timer = setInterval(() => this.#tellOthers(), tellEveryMs)
  }

  #end(): Election | undefined {
    const election = this.#election
    this.#election = undefined
    this.#starting = undefined
    this.#others.clear()
    if (this.#timer !== undefined) clearInterval(this.#timer)
    this.#become('follower', undefined)
    return election
  }

  #running(): Election {
    if (this.#election === undefined) {
      throw new CandidateNotRunning('this candidate does not run: call start() first')
    }
    return this.#election
  }

  /** Raft has decided something. */
  #follow(): void {
    const election = this.#election
    if (election === undefined) return
    const isSameTerm = election.term === this.#term
    if (!election.isLeader || !isSameTerm) {
      // Before the new term is shown: whoever reads both must not take an old leader for a new one.
      const state = election.isCandidate || election.isLeader ? 'candidate' : 'follower'
      this.#become(state, election.leader)
    }
    this.#term = election.term
    if (election.isLeader) void this.#confirm(election)
  }

  /** To have been voted for is not enough: an entry of this term must be a majority's first. */
  async #confirm(election: Election): Promise<void> {
    const { term } = election
    if (this.#state === 'leader' || this.#confirming === term) return
    this.#confirming = term
    const isConfirmed = await election.confirm().then(
      () => true,
      () => false,
    )
    this.#confirming = 0
    if (this.#election !== election || !election.isLeader) return
    if (!isConfirmed || election.term !== term) return this.#follow()
    this.#become('leader', this.id)
  }

  #become(state: CandidateState, leaderId: string | undefined): void {
    const before = this.#state
    if (state === before) return
    this.#state = state
    this.#tellOthers()
    this.emit('statechange', state)
    if (before === 'leader') this.emit('defeated', leaderId === this.id ? undefined : leaderId)
    if (state === 'leader') this.emit('elected')
  }

  #complain(why: string): void {
    // Node ends a process for an error that nobody listens to, and this one passes by itself.
    if (this.listenerCount('error') === 0) return
    this.emit('error', new RedisUnreachable(`Redis cannot be reached (${why}); trying again`))
  }

  #hear(from: string, bytes: Uint8Array): void {
    let told: GroupMessage
    try {
      told = decodeGroupMessage(bytes)
    } catch {
      this.#log.warn({ from }, 'a message that is none of ours was dropped')
      return
    }
    if (told.type === 'instance') {
      const { meta, state } = told
      this.#others.set(from, { instance: { id: from, meta, state }, heardAt: performance.now() })
      return
    }
    const isMeant =
      told.audience === 'leader'
        ? this.#state === 'leader'
        : told.audience !== 'followers' || this.#state !== 'leader'
    if (isMeant) this.#deliver(from, told.message)
  }

  #deliver(from: string, message: unknown): void {
    if (this.#election === undefined) return
    const received = { message, from }
    const isLeader = from === (this.#state === 'leader' ? this.id : this.#election.leader)
    this.emit('message', received)
    this.emit(isLeader ? 'message:from:leader' : 'message:from:follower', received)
  }

  #say(
    to: string,
    audience: Extract<GroupMessage, { type: 'message' }>['audience'],
    message: unknown,
  ): void {
    const election = this.#running()
    if (to === this.id) {
      setImmediate(() => this.#deliver(this.id, message))
      return
    }
    const told = { type: 'message', audience, message } as GroupMessage
    election.send(to, encodeGroupMessage(told))
  }

  #tellOthers(): void {
    const election = this.#election
    if (election === undefined) return
    const { meta = null, state } = this.#self()
    const bytes = encodeGroupMessage({ type: 'instance', meta, state } as GroupMessage)
    for (const member of this.#otherNames()) {
      // What waits for somebody who is away is old when he comes.
      if (election.isUp(member)) election.send(member, bytes)
    }
  }

  #self(): Instance {
    return { id: this.id, meta: this.#meta, state: this.#state }
  }

  #otherNames(): readonly string[] {
    return this.#settings.members.filter((member) => member !== this.id)
  }
}

import { join } from 'node:path'

import {
  decodePeerMessage,
  encodePeerMessage,
  Replica,
  restoreStore,
  type PeerMessage,
} from '@conclave/actors'
import { ReplicaDriver } from '@conclave/assembly/replica-driver'
import { AeadKey } from '@conclave/crypto'
import { openJournal, type Journal } from '@conclave/journal'
import { BytesMalformed, utf8, uuid, wipe, type RedactedBytes } from '@conclave/kernel'
import { RedisPeerLink, sharedKeyCredentials } from '@conclave/peer-redis'
import { none, RaftError, type NodeId } from '@conclave/raft'
import { SystemClock, SystemRandom, Ticker, type Log } from '@conclave/runtime'
import { StoreMachine } from '@conclave/store'

import type { Settings } from './candidate-options.ts'
import { framed, ofRaft } from './group-message.ts'

/** Long enough for instances that start together to find each other. */
const firstElectionTicks = 5
/** A log of elections is small. */
const segmentSizeBytes = 256 * 1024

export interface ElectionTold {
  /** Role, term or leader may have changed. */
  readonly onRole: () => void
  /** Something that is not Raft's, from another instance. */
  readonly onBytes: (from: string, bytes: Uint8Array) => void
  readonly onTrouble: (why: string) => void
  /** Its disk failed: it must stop. */
  readonly onFatal: (error: unknown) => void
  readonly log: Log
}

/** Raft for one instance, on its own disk, over Redis. What it would replicate is nothing but its terms. */
export class Election {
  readonly #settings: Settings
  readonly #told: ElectionTold
  readonly #journal: Journal
  readonly #replica: Replica
  readonly #driver: ReplicaDriver
  readonly #link: RedisPeerLink
  readonly #ticker: Ticker

  private constructor(
    settings: Settings,
    told: ElectionTold,
    opened: Awaited<ReturnType<typeof openJournal>>,
    store: StoreMachine,
  ) {
    const { id, members, nodeId, kind, key, redis, tickMs } = settings
    const random = new SystemRandom()
    this.#settings = settings
    this.#told = told
    this.#journal = opened.journal
    const send = (to: NodeId, message: PeerMessage): void => {
      this.#link.send(to, framed(ofRaft, encodePeerMessage(message)))
    }
    this.#replica = new Replica({
      nodeId,
      masterId: id,
      bootstrap: { voters: members.map((_, index) => index + 1) },
      recovered: opened.recovered,
      store,
      snapshots: opened.journal,
      random,
      clock: new SystemClock(),
      boot: `${id}:${uuid(random).slice(0, 8)}`,
      emit: () => undefined,
      wake: () => this.#driver.wake(),
      post: (message) => send(message.to, message),
      onFatal: told.onFatal,
      limits: { firstElectionTicks },
    })
    this.#driver = new ReplicaDriver({
      replica: this.#replica,
      journal: opened.journal,
      send,
      onFatal: told.onFatal,
    })
    this.#link = new RedisPeerLink({
      clusterId: groupOf(kind),
      nodeId,
      credentials: sharedKeyCredentials(key),
      redis,
      peers: new Map(members.map((member, index) => [index + 1, { id: member }])),
      onMessage: (from, bytes) => this.#receive(from, bytes),
      onUnreachable: (peer) => this.#replica.unreachable(peer),
      onLost: (peer) => this.#replica.linkLost(peer),
      onTrouble: told.onTrouble,
      log: told.log,
      random,
    })
    this.#ticker = new Ticker(tickMs, () => this.#replica.tick())
    this.#replica.onRole(told.onRole)
  }

  /** @throws JournalCorrupt, JournalLocked, … */
  static async start(settings: Settings, told: ElectionTold): Promise<Election> {
    const key = journalKey(settings.key)
    const opened = await openJournal({
      directory: join(settings.directory, 'journal'),
      key,
      clusterId: groupOf(settings.kind),
      nodeId: settings.nodeId,
      random: new SystemRandom(),
      segmentSizeBytes,
    })
    wipe(key)
    const store = new StoreMachine()
    await restoreStore(store, opened.journal)
    const election = new Election(settings, told, opened, store)
    await election.#link.start()
    election.#ticker.start()
    election.#driver.wake()
    return election
  }

  get isLeader(): boolean {
    return this.#replica.role === 'leader'
  }

  get isCandidate(): boolean {
    return this.#replica.role === 'candidate'
  }

  get term(): number {
    return this.#replica.term
  }

  /** Whom this instance follows, or undefined. */
  get leader(): string | undefined {
    const { leader } = this.#replica
    return leader === none ? undefined : this.#settings.members[leader - 1]
  }

  /** Resolves once a majority has taken this leader's first entry, and so nobody of an earlier term leads. */
  confirm(): Promise<void> {
    return this.#replica.linearize()
  }

  isUp(member: string): boolean {
    return this.#link.isUp(this.#nodeIdOf(member))
  }

  send(member: string, bytes: Uint8Array): void {
    this.#link.send(this.#nodeIdOf(member), bytes)
  }

  /** Asks another instance that is up to take over. Answers whether there is one. */
  handOver(): boolean {
    const next = this.#settings.members.find(
      (member) => member !== this.#settings.id && this.isUp(member),
    )
    if (next === undefined) return false
    this.#replica.transferLeadership(this.#nodeIdOf(next))
    return true
  }

  async stop(): Promise<void> {
    this.#ticker.stop()
    await this.#driver.stop()
    await this.#link.close()
    await this.#end()
  }

  /** As `kill -9` does. Resolves once its files are free. */
  async destroy(): Promise<void> {
    this.#ticker.stop()
    this.#link.destroy()
    await this.#driver.stop()
    await this.#end()
  }

  async #end(): Promise<void> {
    this.#replica.close()
    await this.#journal.close().catch(() => undefined)
  }

  #nodeIdOf(member: string): number {
    return this.#settings.members.indexOf(member) + 1
  }

  #receive(from: number, bytes: Uint8Array): void {
    const rest = bytes.subarray(1)
    if (bytes[0] !== ofRaft) {
      return this.#told.onBytes(this.#settings.members[from - 1] ?? '', rest)
    }
    try {
      const message = decodePeerMessage(rest)
      if (message.from === from) this.#replica.receive(message)
    } catch (error) {
      if (!(error instanceof BytesMalformed || error instanceof RaftError)) throw error
      this.#told.log.warn({ from, err: error }, 'a message of a peer was dropped')
    }
  }
}

/** In channels and keys of Redis, so that no cluster of masters has the same. */
const groupOf = (kind: string): string => `candidates:${kind}`

/** Another key than the one that members prove themselves with, for the files of this one. Wipe it. */
function journalKey(shared: RedactedBytes): Uint8Array {
  const bytes = shared.reveal().slice(0, 32)
  try {
    return AeadKey.of(bytes)
      .derive(new Uint8Array(32), utf8('conclave/candidate/journal/v1'))
      .bytes()
  } finally {
    wipe(bytes)
  }
}

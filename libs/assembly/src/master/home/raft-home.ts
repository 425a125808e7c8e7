import {
  decodePeerMessage,
  encodePeerMessage,
  Replica,
  type PeerMessage,
  type Recovered,
} from '@conclave/actors'
import type { Journal } from '@conclave/journal'
import { BytesMalformed, type Clock, type Random } from '@conclave/kernel'
import { RaftError, type NodeId } from '@conclave/raft'
import type { Log } from '@conclave/runtime'
import { CommandNewer, type StoreMachine } from '@conclave/store'
import { ReplicaDriver } from '../../replica-driver.ts'
import type { MasterOptions, MasterPlace } from '../master-options.ts'
import type { HomeOptions, StateHome } from './state-home.ts'

/** Long enough for the masters of one laptop to find each other. */
const firstElectionTicks = 3
/** How long a leader that stops waits for another one to take over. */
const transferMs = 2000

export interface RaftHomeParts {
  readonly options: MasterOptions
  readonly own: MasterPlace
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  readonly journal: Journal
  readonly recovered: Recovered
  /** In the state of the recovered snapshot. */
  readonly store: StoreMachine
  /** Who begins a new cluster together. A master that joins one knows nobody until it is told. */
  readonly founders: readonly NodeId[]
}

/** The masters' own log: Raft among them, and a journal on each one's disk. */
export class RaftHome implements StateHome {
  readonly group: Replica
  readonly state: StoreMachine
  readonly recoveredEntries: number
  readonly #parts: RaftHomeParts
  readonly #driver: ReplicaDriver
  readonly #told: HomeOptions

  constructor(parts: RaftHomeParts, told: HomeOptions) {
    const { options, own, clock, random, journal, recovered, store, founders } = parts
    this.#parts = parts
    this.#told = told
    this.state = store
    this.recoveredEntries = recovered.entries.length
    const onFatal = (error: unknown): void => told.onFatal(whyStopped(error), error)
    this.group = new Replica({
      nodeId: own.nodeId,
      masterId: own.masterId,
      bootstrap: { voters: founders },
      recovered,
      store,
      snapshots: journal,
      random,
      clock,
      boot: `${own.masterId}:${told.boot}`,
      emit: told.emit,
      wake: () => this.#driver.wake(),
      post: (message) => this.#send(message.to, message),
      onFatal,
      limits: { firstElectionTicks, ...options.replicaLimits },
    })
    this.#driver = new ReplicaDriver({
      replica: this.group,
      journal,
      send: (to, message) => this.#send(to, message),
      onSent: told.onSent,
      onFatal,
    })
  }

  start(): void {
    this.#driver.wake()
  }

  receive(from: NodeId, bytes: Uint8Array): void {
    const { log } = this.#parts
    try {
      const message = decodePeerMessage(bytes)
      if (message.from === from) return this.group.receive(message)
      log.warn({ from, claimed: message.from }, 'a peer speaks in the name of another')
    } catch (error) {
      if (!(error instanceof BytesMalformed || error instanceof RaftError)) throw error
      log.warn({ from, err: error }, 'a message of a peer was dropped')
    }
  }

  unreachable(peer: NodeId): void {
    this.group.unreachable(peer)
  }

  linkLost(peer: NodeId): void {
    this.group.linkLost(peer)
  }

  /** A leader that just leaves would cost the group an election's silence. */
  async handOver(isUp: (peer: NodeId) => boolean): Promise<void> {
    const { voters } = this.group.config
    const next = voters.find((nodeId) => nodeId !== this.#parts.own.nodeId && isUp(nodeId))
    if (this.group.role !== 'leader' || next === undefined) return
    const handedOver = new Promise<void>((resolve) => {
      this.group.onRole(() => {
        if (this.group.role !== 'leader') resolve()
      })
    })
    this.group.transferLeadership(next)
    await Promise.race([handedOver, afterAll(transferMs)])
  }

  stop(): Promise<void> {
    return this.#driver.stop()
  }

  close(): Promise<void> {
    return this.#parts.journal.close()
  }

  #send(to: NodeId, message: PeerMessage): void {
    // Chunks behind everything else, the last and shorter one too, and in their order.
    this.#told.send(to, encodePeerMessage(message), message.type === 'SnapshotChunk')
  }
}

/** What a driver gives up for: its disk, or a log that it must not follow. */
const whyStopped = (error: unknown): string =>
  error instanceof CommandNewer
    ? 'the log holds a command of a newer build: this master stops'
    : 'the journal failed: this master stops'

const afterAll = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })

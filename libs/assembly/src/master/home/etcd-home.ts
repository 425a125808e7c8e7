import { lastTermIn, type Group } from '@conclave/actors'
import { EtcdGroup, type EtcdClient } from '@conclave/engine-etcd'
import type { Random } from '@conclave/kernel'
import type { Log } from '@conclave/runtime'
import type { LiveView, View } from '@conclave/store'
import type { MasterPlace } from '../master-options.ts'
import { whyToWait, type Newcomer } from './admission.ts'
import { noteEngine } from './engine-file.ts'
import type { HomeOptions, StateHome } from './state-home.ts'

export interface EtcdHomeParts {
  readonly client: EtcdClient
  readonly newcomer: Newcomer
  readonly directory: string
  readonly own: MasterPlace
  readonly masters: readonly MasterPlace[]
  readonly random: Random
  readonly log: Log
  /** Ends the connection to etcd, and gives the directory free. */
  readonly close: () => Promise<void>
}

/** An etcd cluster: this master keeps nothing of the state but a copy in its memory. */
export class EtcdHome implements StateHome {
  readonly recoveredEntries = 0
  readonly #parts: EtcdHomeParts
  readonly #group: EtcdGroup
  readonly #told: HomeOptions
  #isNoted = false

  constructor(parts: EtcdHomeParts, told: HomeOptions) {
    const { client, newcomer, own, masters, random, log } = parts
    this.#parts = parts
    this.#told = told
    this.#group = new EtcdGroup({
      client,
      prefix: newcomer.prefix,
      nodeId: own.nodeId,
      masterId: own.masterId,
      masters: masters.map(({ nodeId }) => nodeId),
      random,
      boot: `${own.masterId}:${told.boot}`,
      nowMs: () => performance.now(),
      lastTermIn,
      admit: (state) => this.#admit(state),
      onFatal: (error) => told.onFatal('this master cannot go on with what is in etcd', error),
      onProblem: (what, error) => log.warn({ err: error }, what),
    })
  }

  get group(): Group {
    return this.#group
  }

  get state(): LiveView {
    return this.#group.state
  }

  start(): void {
    this.#group.start()
  }

  receive(): void {
    // Masters have nothing to say to each other: etcd has said it.
  }

  unreachable(): void {
    // Whether another master is there, etcd knows.
  }

  linkLost(): void {
    // The same.
  }

  async handOver(): Promise<void> {
    await this.#group.handOver().catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, 'leadership could not be handed over')
    })
  }

  async stop(): Promise<void> {
    this.#group.close()
  }

  async close(): Promise<void> {
    await this.#parts.close()
  }

  #admit(state: View): string | undefined {
    const { newcomer } = this.#parts
    const waitsFor = whyToWait(newcomer, state)
    if (waitsFor === undefined) this.#noteOnce(newcomer.prefix)
    return waitsFor
  }

  #noteOnce(prefix: string): void {
    if (this.#isNoted) return
    this.#isNoted = true
    noteEngine(this.#parts.directory, prefix).catch((error: unknown) =>
      this.#told.onFatal('it cannot be written down where the state of this master is', error),
    )
  }
}

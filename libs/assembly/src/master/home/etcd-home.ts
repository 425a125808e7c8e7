import { foundingKey, FoundingRecord, lastTermIn, type Group } from '@conclave/actors'
import { EtcdGroup, parseEtcdUrl, type EtcdClient } from '@conclave/engine-etcd'
import type { Random } from '@conclave/kernel'
import { decodeRecord } from '@conclave/model'
import type { Log } from '@conclave/runtime'
import type { LiveView, View } from '@conclave/store'
import { progressKey } from '@conclave/transfer'
import type { MasterPlace } from '../master-options.ts'
import { EngineMismatch, noteEngine } from './engine-file.ts'
import type { EtcdEngine } from './etcd-engine.ts'
import type { HomeOptions, StateHome } from './state-home.ts'

export interface EtcdHomeParts {
  readonly client: EtcdClient
  readonly engine: EtcdEngine
  readonly directory: string
  readonly clusterId: string
  readonly own: MasterPlace
  readonly masters: readonly MasterPlace[]
  /** This master may begin a new cluster. One that has joined may not. */
  readonly isFounder: boolean
  /** It has a log of its own, from before. */
  readonly hasJournal: boolean
  readonly random: Random
  readonly log: Log
}

/** An etcd cluster: this master keeps nothing of the state but a copy in its memory. */
export class EtcdHome implements StateHome {
  readonly recoveredEntries = 0
  readonly #parts: EtcdHomeParts
  readonly #group: EtcdGroup
  readonly #prefix: string
  readonly #told: HomeOptions
  #isNoted = false

  constructor(parts: EtcdHomeParts, told: HomeOptions) {
    const { client, engine, own, masters, random, log } = parts
    this.#parts = parts
    this.#told = told
    this.#prefix = parseEtcdUrl(engine.url).prefix
    this.#group = new EtcdGroup({
      client,
      prefix: this.#prefix,
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
    this.#parts.client.close()
  }

  /** Whether what is below the prefix is this master's, and all of it. */
  #admit(state: View): string | undefined {
    const { clusterId, isFounder, hasJournal } = this.#parts
    if (state.get(progressKey) !== undefined) {
      return 'a copy into etcd has not been finished; run the same conclave store migrate once more'
    }
    const founding = state.get(foundingKey)
    if (founding === undefined) {
      if (!isFounder) return 'no cluster is below that prefix of etcd; this master joins one'
      if (!hasJournal) return this.#admitted()
      throw new EngineMismatch(
        'this master has its state in its own journal, and below that prefix of etcd there is none: start ' +
          'the cluster without --engine, and take the state there with conclave store migrate --from conclave: --to etcd://…',
      )
    }
    const found = decodeRecord(FoundingRecord, foundingKey, founding.value).clusterId
    if (found === clusterId) return this.#admitted()
    throw new EngineMismatch(
      `below ${this.#prefix} in etcd is cluster ${found}, and this master is of ${clusterId}: give another prefix, or the --data of that cluster`,
    )
  }

  #admitted(): undefined {
    if (this.#isNoted) return
    this.#isNoted = true
    noteEngine(this.#parts.directory, this.#prefix).catch((error: unknown) =>
      this.#told.onFatal('it cannot be written down where the state of this master is', error),
    )
  }
}

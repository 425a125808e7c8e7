import { sameBytes, utf8, utf8Text, type Random } from '@conclave/kernel'
import type { EtcdClient } from '../client/etcd-client.ts'
import { EtcdElection, type EtcdLeadership } from '../client/etcd-election.ts'

export interface CandidacyOptions {
  readonly client: EtcdClient
  /** Where the candidates stand. */
  readonly place: Uint8Array
  readonly nodeId: number
  readonly random: Random
  /** How long etcd keeps the key of a master that says nothing. */
  readonly leaseSeconds: number
  readonly nowMs: () => number
  /** Whether the key is still there, as far as has been heard. */
  readonly isStanding: (own: EtcdLeadership) => boolean
  readonly onProblem: (error: unknown) => void
}

/** In a lease's time it is renewed so often. */
const renewalsPerLease = 5
const triedAgainMs = 500

/**
 * One master's standing for election, for as long as it runs: a key under a lease that it keeps alive. It
 * ends its lease by the clock of this machine from when it last asked, so it stops believing in it no later
 * than etcd does.
 */
export class Candidacy {
  readonly #options: CandidacyOptions
  readonly #election: EtcdElection
  readonly #value: Uint8Array
  #lease: number | undefined
  #own: EtcdLeadership | undefined
  #untilMs = Number.NEGATIVE_INFINITY
  #dueMs = Number.NEGATIVE_INFINITY
  #isBusy = false
  #isOver = false

  constructor(options: CandidacyOptions) {
    this.#options = options
    this.#election = new EtcdElection(options.client, options.place)
    this.#value = utf8(String(options.nodeId))
  }

  /** By what it stands, or `undefined`. */
  get own(): EtcdLeadership | undefined {
    return this.isInTouch ? this.#own : undefined
  }

  /** Whether etcd answered this master within the time of a lease. */
  get isInTouch(): boolean {
    return this.#options.nowMs() < this.#untilMs
  }

  tick(): void {
    if (this.#isBusy || this.#isOver || this.#options.nowMs() < this.#dueMs) return
    void this.#step()
  }

  /** The key is gone, as was just read: it stands anew. */
  lost(): void {
    this.#own = undefined
    this.#dueMs = Number.NEGATIVE_INFINITY
  }

  /** Stands no more: the next one need not wait for the lease to end. */
  async end(): Promise<void> {
    this.#isOver = true
    const own = this.#own
    this.#own = undefined
    this.#untilMs = Number.NEGATIVE_INFINITY
    if (own !== undefined) await this.#election.resign(own)
  }

  async #step(): Promise<void> {
    const { leaseSeconds, nowMs, isStanding, onProblem } = this.#options
    this.#isBusy = true
    const askedMs = nowMs()
    try {
      const isAlive = this.#lease === undefined ? await this.#begin() : await this.#renew()
      if (!isAlive || this.#isOver) return
      if (this.#own === undefined || !isStanding(this.#own)) await this.#stand()
      this.#untilMs = askedMs + leaseSeconds * 1000
      this.#dueMs = askedMs + (leaseSeconds * 1000) / renewalsPerLease
    } catch (error) {
      this.#dueMs = nowMs() + triedAgainMs
      onProblem(error)
    } finally {
      this.#isBusy = false
    }
  }

  async #begin(): Promise<boolean> {
    const { client, random, leaseSeconds } = this.#options
    const lease = 1 + random.below(2 ** 48 - 1)
    await client.grantLease(lease, leaseSeconds)
    this.#lease = lease
    return true
  }

  async #renew(): Promise<boolean> {
    const ttl = await this.#options.client.keepAlive(this.#lease ?? 0)
    if (ttl > 0) return true
    this.#lease = undefined
    this.#own = undefined
    this.#untilMs = Number.NEGATIVE_INFINITY
    return false
  }

  async #stand(): Promise<void> {
    if (this.#lease === undefined) return
    await this.#clearEarlierLives()
    this.#own = await this.#election.stand(this.#lease, this.#value)
  }

  /** A process that was killed left its key, which nobody keeps alive and everybody would wait for. */
  async #clearEarlierLives(): Promise<void> {
    for (const { key, value, lease, createRevision } of await this.#election.candidates()) {
      const isOurs = lease !== this.#lease && sameBytes(value, this.#value)
      if (isOurs) await this.#election.resign({ key, createRevision })
    }
  }
}

/** Whose key of the election it is. */
export const candidateIn = (value: Uint8Array): number => Number(utf8Text(value))

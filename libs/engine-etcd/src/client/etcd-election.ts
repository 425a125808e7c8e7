import type { EtcdKeyValue } from '../wire/messages.ts'
import type { EtcdClient } from './etcd-client.ts'
import { prefixRange } from './key-range.ts'

/** Whoever leads an election: its key is there, and is the oldest. */
export interface EtcdLeadership {
  readonly key: Uint8Array
  /** Claim that the key still has it (`createRevision`, `=`) in whatever only a leader may do. */
  readonly createRevision: number
}

/**
 * An election below a prefix, in the way of etcd's own clients: each candidate has a key under a lease of
 * its own, and the oldest key leads. Leadership ends with the lease; nobody is told by a clock, so what a
 * leader does must claim that its key is still there.
 */
export class EtcdElection {
  readonly #client: EtcdClient
  readonly #prefix: Uint8Array

  /** @param prefix ends with a slash */
  constructor(client: EtcdClient, prefix: Uint8Array) {
    this.#client = client
    this.#prefix = prefix
  }

  /**
   * Resolves once this candidate leads; undefined when `signal` aborts before.
   *
   * @param lease is kept alive by the caller for as long as it wants to stand and to lead
   * @param value is told to whoever asks who leads
   */
  async campaign(
    lease: number,
    value: Uint8Array,
    signal: AbortSignal,
  ): Promise<EtcdLeadership | undefined> {
    const { key, createRevision } = await this.stand(lease, value)
    while (!signal.aborted) {
      const { candidates, revision: seen } = await this.#candidates()
      const before = candidates.filter((one) => one.createRevision < createRevision).at(-1)
      if (before === undefined) return { key, createRevision }
      await this.#untilGone(before, seen, signal)
    }
    await this.resign({ key, createRevision })
    return undefined
  }

  /** Becomes a candidate, and answers with what it stands by: it leads once no older key is there. */
  async stand(lease: number, value: Uint8Array): Promise<EtcdLeadership> {
    const key = Buffer.concat([this.#prefix, Buffer.from(lease.toString(16).padStart(16, '0'))])
    // A repetition finds its own key, which nobody else could have made.
    const { revision, succeeded, responses } = await this.#client.txn(
      {
        compare: [{ key, target: 'createRevision', is: '=', operand: 0 }],
        success: [{ do: 'put', key, value, lease }],
        failure: [{ do: 'range', key }],
      },
      'guarded',
    )
    const [found] = responses
    const known = found?.do === 'range' ? found.range.kvs[0]?.createRevision : undefined
    return { key, createRevision: succeeded ? revision : (known ?? revision) }
  }

  /** Lets the next one lead. Harmless when the lease has ended. */
  async resign({ key, createRevision }: EtcdLeadership): Promise<void> {
    await this.#client.txn(
      {
        compare: [{ key, target: 'createRevision', is: '=', operand: createRevision }],
        success: [{ do: 'delete-range', key }],
        failure: [],
      },
      'guarded',
    )
  }

  /** The leader's key and value, or undefined while nobody leads. */
  async leader(): Promise<EtcdKeyValue | undefined> {
    return (await this.candidates())[0]
  }

  /** The oldest first: the leader, and who would lead after it. */
  async candidates(): Promise<readonly EtcdKeyValue[]> {
    return (await this.#candidates()).candidates
  }

  async #candidates(): Promise<{
    readonly candidates: readonly EtcdKeyValue[]
    readonly revision: number
  }> {
    const { kvs, revision } = await this.#client.range(prefixRange(this.#prefix))
    return { candidates: kvs.toSorted((a, b) => a.createRevision - b.createRevision), revision }
  }

  async #untilGone({ key }: EtcdKeyValue, seen: number, signal: AbortSignal): Promise<void> {
    for await (const { events } of this.#client.watch({ key, startRevision: seen + 1 }, signal)) {
      if (events.some(({ type }) => type === 'delete')) return
    }
  }
}

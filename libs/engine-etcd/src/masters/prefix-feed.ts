import { setTimeout as sleep } from 'node:timers/promises'
import type { EtcdClient } from '../client/etcd-client.ts'
import type { EtcdBatch } from '../client/etcd-watch.ts'
import { EtcdCompacted } from '../errors.ts'
import type { EtcdKeyValue, EtcdRange } from '../wire/messages.ts'

/** Values may be of a mebibyte. */
const pageLength = 50
const pauseMs = 250

export interface FeedOptions {
  readonly client: Pick<EtcdClient, 'range' | 'watch'>
  readonly range: EtcdRange
  readonly signal: AbortSignal
  /** All that there is, at `revision`. Answers whether to go on from there; otherwise it is read again. */
  readonly onWhole: (revision: number, kvs: readonly EtcdKeyValue[]) => boolean
  /** What changed since. */
  readonly onBatch: (batch: EtcdBatch) => void
  /** etcd did not answer, or not well; it is asked again. */
  readonly onProblem: (error: unknown) => void
}

/**
 * Tells of all keys in a range and of every change since, for as long as it is wanted. When what comes next
 * was compacted before it could be told, it begins anew. What a listener throws ends it.
 */
export async function followRange(options: FeedOptions): Promise<void> {
  const { client, range, signal, onWhole, onBatch, onProblem } = options
  while (!signal.aborted) {
    const whole = await tried(() => readAll(client, range), options)
    if (whole !== undefined && !signal.aborted && onWhole(whole.revision, whole.kvs)) {
      const batches = client.watch({ ...range, startRevision: whole.revision + 1 }, signal)
      for (;;) {
        const next = await tried(() => batches.next(), options)
        if (next === undefined || next.done === true) break
        onBatch(next.value)
      }
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
  }

  async function tried<T>(ask: () => Promise<T>, told: FeedOptions): Promise<T | undefined> {
    try {
      return await ask()
    } catch (error) {
      const isRoutine = told.signal.aborted || error instanceof EtcdCompacted
      if (!isRoutine) onProblem(error)
      return undefined
    }
  }
}

/** One revision of all keys, page by page. */
async function readAll(
  client: FeedOptions['client'],
  { key: first, rangeEnd }: EtcdRange,
): Promise<{ readonly revision: number; readonly kvs: readonly EtcdKeyValue[] }> {
  const kvs: EtcdKeyValue[] = []
  let revision: number | undefined
  for (let key = first; ;) {
    const page = await client.range({ key, rangeEnd, limit: pageLength, revision })
    revision ??= page.revision
    for (const kv of page.kvs) kvs.push(kv)
    const last = page.kvs.at(-1)
    if (!page.more || last === undefined) return { revision, kvs }
    // The first key behind it is the same with a zero byte at its end.
    key = Uint8Array.of(...last.key, 0)
  }
}

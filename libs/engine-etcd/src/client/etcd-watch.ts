import { EtcdCompacted, EtcdRefused, EtcdUnreachable, grpcCode } from '../errors.ts'
import { readWatch, writeWatch, type EtcdEvent, type WatchRequest } from '../wire/messages.ts'
import type { MessageReader } from '../wire/protobuf.ts'

/** All that one revision changed within the range. */
export interface EtcdBatch {
  readonly revision: number
  readonly events: readonly EtcdEvent[]
}

interface Wire {
  /** Opens the stream on some member. It ends, or fails, when that member does. */
  readonly open: (message: Uint8Array, signal: AbortSignal) => AsyncGenerator<MessageReader>
  readonly pause: () => Promise<void>
}

/**
 * Follows a range over the ends of its streams: each new one begins with the last revision that was
 * told. One earlier than is wanted, in fact: etcd would begin a watch at the very revision up to which
 * it has compacted, where it no longer has what was deleted.
 */
export async function* watchEtcd(
  request: WatchRequest,
  signal: AbortSignal,
  { open, pause }: Wire,
): AsyncGenerator<EtcdBatch> {
  let next = request.startRevision
  while (!signal.aborted) {
    const message = writeWatch({ ...request, startRevision: Math.max(1, next - 1) }).end()
    try {
      for await (const reader of open(message, signal)) {
        const response = readWatch(reader)
        if (response.compactRevision > 0) throw new EtcdCompacted(response.compactRevision)
        if (response.isCanceled) throw refusalOf(response.cancelReason)
        for (const batch of batchesOf(response.events)) {
          if (batch.revision < next) continue
          next = batch.revision + 1
          yield batch
          if (signal.aborted) return
        }
      }
    } catch (error) {
      if (signal.aborted) return
      if (!mayGoOn(error)) throw error
    }
    await pause()
  }
}

/** etcd never splits a revision between two answers unless it is asked to. */
function batchesOf(events: readonly EtcdEvent[]): readonly EtcdBatch[] {
  const byRevision = new Map<number, EtcdEvent[]>()
  for (const event of events) {
    const { modRevision } = event.kv
    const known = byRevision.get(modRevision)
    if (known === undefined) byRevision.set(modRevision, [event])
    else known.push(event)
  }
  return Array.from(byRevision, ([revision, its]) => ({ revision, events: its }))
}

const refusalOf = (reason: string): EtcdRefused => {
  const isForbidden = reason.includes('permission denied')
  return new EtcdRefused(isForbidden ? grpcCode.permissionDenied : grpcCode.unavailable, reason)
}

const mayGoOn = (error: unknown): boolean =>
  error instanceof EtcdUnreachable ||
  (error instanceof EtcdRefused && (error.isPassing || error.grpcCode === grpcCode.unauthenticated))

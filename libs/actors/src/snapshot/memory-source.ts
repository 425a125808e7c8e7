import { chunkDigest, ContentDigest, type SnapshotMeta } from '@conclave/raft'
import type { SnapshotSource } from '../ports.ts'

/** A snapshot in memory, as something to read from. */
export function sourceOf(meta: SnapshotMeta, content: readonly Uint8Array[]): SnapshotSource {
  const digest = new ContentDigest()
  for (const chunk of content) digest.add(chunkDigest(chunk))
  return {
    meta,
    sizeBytes: content.reduce((sum, { length }) => sum + length, 0),
    chunkCount: content.length,
    digest: digest.end(),
    read: (number) => Promise.resolve(content[number]?.slice() ?? new Uint8Array(0)),
    close: () => Promise.resolve(),
  }
}

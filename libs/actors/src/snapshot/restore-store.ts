import type { StoreMachine } from '@conclave/store'
import type { SnapshotDisk } from '../ports.ts'

/**
 * Brings an empty store to the state of the newest snapshot on this member's disk, if there is one, as a
 * replica wants it that goes on from there. Chunk by chunk, so that nothing waits long.
 *
 * @throws SnapshotMalformed when the content is that of another release; errors of the journal
 */
export async function restoreStore(store: StoreMachine, disk: SnapshotDisk): Promise<void> {
  const source = await disk.openSnapshot()
  if (source === undefined) return
  try {
    const reader = store.beginRestore()
    for (let number = 0; number < source.chunkCount; number++) {
      reader.push(await source.read(number))
    }
    store.adopt(reader.end())
  } finally {
    await source.close()
  }
}

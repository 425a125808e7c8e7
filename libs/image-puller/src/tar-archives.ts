import { CopyRefused, type ArchiveEntry, type ArchiveFormat } from '@conclave/runtime/memory'
import { pack, type Pack } from 'tar-stream'
import { ImageRefused } from './errors.ts'
import type { LayerEntry } from './image-tree.ts'
import { archiveEntries, ImageBudget } from './layer.ts'

/** Files of containers as tar archives: plain, gzip and zstd in, plain out. */
export const tarArchives: ArchiveFormat = {
  async entriesOf(archive, { sizeBytesMax, entriesMax }) {
    const compression = compressionOf(archive)
    const budget = new ImageBudget({
      packedSizeBytesMax: Infinity,
      unpackedSizeBytesMax: sizeBytesMax,
      entriesMax,
    })
    try {
      const entries = await archiveEntries(
        inOnePiece(archive),
        compression,
        (length) => budget.unpacked(length),
        () => budget.entry(),
      )
      return entries.map(entryOf)
    } catch (error) {
      if (error instanceof CopyRefused) throw error
      const why = error instanceof ImageRefused ? error.message : 'the image is damaged'
      throw new CopyRefused('failed', why.replace('the image', 'the archive'))
    }
  },

  async *pack(entries) {
    const archive = pack()
    const written = write(archive, entries)
    // Whoever reads hears of it by the stream.
    written.catch((error: unknown) => {
      archive.destroy(error instanceof Error ? error : new Error('the archive broke off'))
    })
    try {
      for await (const bytes of archive) yield bytes as Uint8Array
      await written
    } finally {
      archive.destroy()
    }
  },
}

/** The next one is read once the one before is on its way. */
async function write(archive: Pack, entries: Iterable<ArchiveEntry>): Promise<void> {
  for (const entry of entries) {
    if (archive.destroying) return
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null): void => (error ? reject(error) : resolve())
      const { path: name, mode, uid, gid, modifiedAtMs } = entry
      const header = { name, mode, uid, gid, mtime: new Date(modifiedAtMs) }
      if (entry.kind === 'file') archive.entry({ ...header, type: 'file' }, entry.bytes, done)
      else if (entry.kind === 'directory') archive.entry({ ...header, type: 'directory' }, done)
      else archive.entry({ ...header, type: entry.kind, linkname: entry.target }, done)
    })
  }
  archive.finalize()
}

async function* inOnePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const magics = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
] as const

/** @throws CopyRefused */
function compressionOf(archive: Uint8Array): 'none' | 'gzip' | 'zstd' {
  const [found] = magics.find(([, magic]) => magic.every((byte, at) => archive[at] === byte)) ?? []
  if (found !== 'bzip2' && found !== 'xz') return found ?? 'none'
  throw new CopyRefused('failed', `the archive is packed with ${found}: pack it with gzip or zstd`)
}

/** What no file has counts as 0, as an archive has it that does not say. */
function entryOf(entry: LayerEntry): ArchiveEntry {
  if (entry.kind === 'link') {
    return { ...entry, mode: 0o644, uid: 0, gid: 0, modifiedAtMs: 0 }
  }
  const { uid, gid, modifiedAtMs = 0 } = entry
  return {
    ...entry,
    uid: known(uid),
    gid: known(gid),
    modifiedAtMs: Number.isFinite(modifiedAtMs) ? modifiedAtMs : 0,
  }
}

const known = (id: number): number => (Number.isInteger(id) && id >= 0 && id < 2 ** 32 ? id : 0)

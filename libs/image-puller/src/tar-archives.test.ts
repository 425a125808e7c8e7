import { gzipSync, zstdCompressSync } from 'node:zlib'
import { CopyRefused, type ArchiveEntry } from '@conclave/runtime/memory'
import { pack, type Header } from 'tar-stream'
import { describe, expect, test } from 'vitest'
import { tarArchives } from './tar-archives.ts'

const limits = { sizeBytesMax: 4 * 1024 * 1024, entriesMax: 100 }
const own = { mode: 0o640, uid: 7, gid: 8, modifiedAtMs: 1_700_000_000_000 }
const long = `${'directory/'.repeat(30)}ümlaut`

const entries: readonly ArchiveEntry[] = [
  { kind: 'directory', path: 'site/', ...own, mode: 0o1755 },
  { kind: 'file', path: 'site/index.html', bytes: Buffer.from('<p>'), ...own },
  { kind: 'file', path: 'site/empty', bytes: Buffer.alloc(0), ...own },
  { kind: 'file', path: `site/${long}`, bytes: Buffer.alloc(2 * 1024 * 1024, 'x'), ...own },
  { kind: 'symlink', path: 'site/link', target: `../${long}`, ...own },
]

async function whole(pieces: AsyncIterable<unknown>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece as Uint8Array)
  return Buffer.concat(all)
}

const packed = (of: Iterable<ArchiveEntry>): Promise<Buffer> => whole(tarArchives.pack(of))

/** As somebody else may write it. */
async function archiveOf(...headers: Partial<Header>[]): Promise<Buffer> {
  const archive = pack()
  for (const header of headers) archive.entry({ name: 'x', ...header }, '')
  archive.finalize()
  return whole(archive)
}

const plain = (all: readonly ArchiveEntry[]): unknown =>
  all.map((one) => ('bytes' in one ? { ...one, bytes: Buffer.from(one.bytes).toString() } : one))

describe('IP14: files of containers', () => {
  test.each([
    ['as they are', (archive: Buffer) => archive],
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('come out as they went in: %s', async (_, compress) => {
    const archive = compress(await packed(entries))
    expect(plain(await tarArchives.entriesOf(archive, limits))).toEqual(plain(entries))
  })

  test('another name of a file is one', async () => {
    const first: ArchiveEntry = { kind: 'file', path: 'a', bytes: Buffer.from('x'), ...own }
    const archive = await packed([first, { kind: 'link', path: 'b', target: 'a', ...own }])
    expect((await tarArchives.entriesOf(archive, limits))[1]).toMatchObject({
      kind: 'link',
      path: 'b',
      target: 'a',
    })
  })

  test('are read one after the other, when whoever takes them wants more', async () => {
    let read = 0
    const endless = (function* (): Generator<ArchiveEntry> {
      for (;;) yield { kind: 'file', path: `${read++}`, bytes: Buffer.alloc(64 * 1024), ...own }
    })()
    let taken = 0
    for await (const bytes of tarArchives.pack(endless)) if ((taken += bytes.length) > 1e6) break
    expect(read).toBeLessThan(30)
  })

  test('a file that cannot be read ends the archive before it looks whole', async () => {
    const broken = (function* (): Generator<ArchiveEntry> {
      yield* entries
      throw new CopyRefused('failed', 'gone')
    })()
    await expect(packed(broken)).rejects.toThrow('gone')
  })

  test.each([
    [
      'a device',
      () => archiveOf({ type: 'character-device' }),
      'the archive holds a character-device, which no container gets',
    ],
    [
      'a pipe',
      () => archiveOf({ type: 'fifo' }),
      'the archive holds a fifo, which no container gets',
    ],
    [
      'too much',
      () => packed([{ kind: 'file', path: 'a', bytes: Buffer.alloc(5 * 1024 * 1024), ...own }]),
      'the archive has more than 4194304 bytes, unpacked',
    ],
    [
      'too many',
      () =>
        packed(
          Array.from(
            { length: 101 },
            (_, at) => ({ kind: 'directory', path: `${at}/`, ...own }) as const,
          ),
        ),
      'the archive has more than 100 files',
    ],
    ['noise', async () => Buffer.alloc(2048, 'noise'), 'the archive is damaged'],
    ['half of it', async () => (await packed(entries)).subarray(0, 3000), 'the archive is damaged'],
    [
      'half of it, packed',
      async () => gzipSync(await packed(entries)).subarray(0, 300),
      'the archive is damaged',
    ],
    [
      'bzip2',
      async () => Buffer.from('BZh91AY&SY'),
      'the archive is packed with bzip2: pack it with gzip or zstd',
    ],
  ] as const)('are refused: %s', async (_, make, why) => {
    const refused = tarArchives.entriesOf(await make(), limits)
    await expect(refused).rejects.toThrow(CopyRefused)
    await expect(tarArchives.entriesOf(await make(), limits)).rejects.toThrow(why)
  })

  test('nothing is an archive of nothing', async () => {
    expect(await tarArchives.entriesOf(Buffer.alloc(0), limits)).toEqual([])
    expect(await tarArchives.entriesOf(Buffer.alloc(1024), limits)).toEqual([])
  })
})

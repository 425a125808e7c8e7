import { crc32, inflateRawSync } from 'node:zlib'
import type { ImageBudget, LayerEntry } from '@conclave/image-puller'
import { UriFetchFailed } from './errors.ts'

/*
 * Zip archives, as far as a fetcher needs them: entries that are stored or deflated, read from the
 * directory at the end. Encryption, several volumes and the 64-bit forms are refused. Source: PKWARE's
 * APPNOTE.TXT, 4.3.
 */

const signatures = { end: 0x06054b50, central: 0x02014b50, local: 0x04034b50 } as const
const sizes = { end: 22, central: 46, local: 30 } as const
const commentMax = 0xffff
const isEncrypted = 0x1
const wide = 0xffffffff

/** The kind of a file in the upper half of its attributes, where a Unix wrote them. */
const kinds = { mask: 0o170000, directory: 0o040000, symlink: 0o120000, file: 0o100000 } as const

const faulty = (why: string): UriFetchFailed => new UriFetchFailed(`it cannot be unpacked: ${why}`)

/** @throws UriFetchFailed, and whatever `budget` does */
export function zipEntries(archive: Uint8Array, budget: ImageBudget): readonly LayerEntry[] {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.length)
  const end = endOf(bytes)
  const count = bytes.readUInt16LE(end + 10)
  const entries: LayerEntry[] = []
  let at = bytes.readUInt32LE(end + 16)
  for (let index = 0; index < count; index++) {
    budget.entry()
    const header = part(bytes, at, sizes.central, signatures.central)
    const length = { name: header.readUInt16LE(28), rest: header.readUInt16LE(30) }
    const comment = header.readUInt16LE(32)
    const nameAt = at + sizes.central
    if (nameAt + length.name > bytes.length) throw faulty('it is cut short')
    entries.push(
      entryOf(bytes, header, nameOf(bytes.subarray(nameAt, nameAt + length.name)), budget),
    )
    at = nameAt + length.name + length.rest + comment
  }
  return entries
}

function endOf(bytes: Buffer): number {
  const first = Math.max(0, bytes.length - sizes.end - commentMax)
  for (let at = bytes.length - sizes.end; at >= first; at--) {
    if (bytes.readUInt32LE(at) === signatures.end) return at
  }
  throw faulty('it is no zip archive')
}

/** A header of so many bytes, whose first four say what it is. */
function part(bytes: Buffer, at: number, length: number, signature: number): Buffer {
  if (at + length > bytes.length) throw faulty('it is cut short')
  const found = bytes.subarray(at, at + length)
  if (found.readUInt32LE(0) !== signature) throw faulty('its directory leads elsewhere')
  return found
}

function nameOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw faulty('the name of an entry is not UTF-8')
  }
}

function entryOf(bytes: Buffer, header: Buffer, path: string, budget: ImageBudget): LayerEntry {
  const attributes = header.readUInt32LE(38) >>> 16
  const kind = attributes & kinds.mask
  const owner = { uid: 0, gid: 0 }
  const permissions = attributes & 0o777
  if (path.endsWith('/') || kind === kinds.directory) {
    return { kind: 'directory', path, mode: permissions || 0o755, ...owner }
  }
  if (kind !== 0 && kind !== kinds.file && kind !== kinds.symlink) {
    throw faulty('an entry is neither a file nor a directory nor a link')
  }
  const content = contentOf(bytes, header, budget)
  if (kind === kinds.symlink) {
    return { kind: 'symlink', path, mode: 0o777, ...owner, target: nameOf(content) }
  }
  return { kind: 'file', path, mode: permissions || 0o644, ...owner, bytes: content }
}

function contentOf(bytes: Buffer, header: Buffer, budget: ImageBudget): Buffer {
  const [flags, method] = [header.readUInt16LE(8), header.readUInt16LE(10)]
  const [crc, packed, unpacked] = [16, 20, 24].map((at) => header.readUInt32LE(at))
  const offset = header.readUInt32LE(42)
  if (crc === undefined || packed === undefined || unpacked === undefined)
    throw faulty('it is cut short')
  if ((flags & isEncrypted) !== 0) throw faulty('an entry is encrypted')
  if ([packed, unpacked, offset].includes(wide)) throw faulty('it is of the 64-bit form')
  const local = part(bytes, offset, sizes.local, signatures.local)
  const at = offset + sizes.local + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (at + packed > bytes.length) throw faulty('it is cut short')
  budget.unpacked(unpacked)
  const content = unpackedBytes(bytes.subarray(at, at + packed), method, unpacked)
  if (content.length !== unpacked || crc32(content) !== crc) throw faulty('an entry is damaged')
  return content
}

function unpackedBytes(packed: Buffer, method: number, length: number): Buffer {
  if (method === 0) return packed
  if (method !== 8) throw faulty(`an entry is packed by method ${method}`)
  try {
    // One byte more than it says would be a lie.
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, length) })
  } catch {
    throw faulty('an entry is damaged')
  }
}

import { constants, inflateRawSync, zstdDecompressSync } from 'node:zlib'

/** A member may unpack to this much. One that would give more stops the search: it saw not all. */
export const contentBytesMax = 64 * 1024 * 1024

/** Something unpacks to more than is searched, so nobody can say that nothing is in it. */
export class MemberTooLarge extends Error {
  constructor(kind: string, offset: number) {
    super(`the ${kind} member at ${offset} unpacks to more than ${contentBytesMax} bytes`)
  }
}

/** What begins like something compressed, whether or not it is. */
export interface Candidate {
  readonly kind: 'gzip' | 'deflate' | 'zip' | 'zstd'
  readonly offset: number
}

export function* candidatesIn(bytes: Buffer): Generator<Candidate> {
  for (let offset = 0; offset + 4 <= bytes.length; offset++) {
    const kind = kindAt(bytes, offset)
    if (kind !== undefined) yield { kind, offset }
  }
}

function kindAt(bytes: Buffer, at: number): Candidate['kind'] | undefined {
  const second = bytes[at + 1]
  switch (bytes[at]) {
    case 0x1f:
      return second === 0x8b && bytes[at + 2] === 8 ? 'gzip' : undefined
    case 0x78:
      return second === 0x01 || second === 0x5e || second === 0x9c || second === 0xda
        ? 'deflate'
        : undefined
    case 0x50:
      return second === 0x4b && bytes[at + 2] === 3 && bytes[at + 3] === 4 ? 'zip' : undefined
    case 0x28:
      return second === 0xb5 && bytes[at + 2] === 0x2f && bytes[at + 3] === 0xfd
        ? 'zstd'
        : undefined
    default:
      return undefined
  }
}

/**
 * What the candidate unpacks to, or undefined when it is no member. Headers are stepped over and
 * checksums never reached: a member that is cut off or followed by other bytes gives what it gives.
 *
 * @param bytes from the candidate on, to wherever they end
 */
export function unpack({ kind, offset }: Candidate, bytes: Buffer): Buffer | undefined {
  try {
    if (kind === 'zstd') return zstdDecompressSync(bytes, zstdOptions)
    const begin = headerBytes[kind](bytes)
    return begin === undefined ? undefined : inflateRawSync(bytes.subarray(begin), deflateOptions)
  } catch (error) {
    if (error instanceof RangeError) throw new MemberTooLarge(kind, offset)
    // Two bytes that look like a header are no member yet.
    return undefined
  }
}

const deflateOptions = { maxOutputLength: contentBytesMax, finishFlush: constants.Z_SYNC_FLUSH }
const zstdOptions = { maxOutputLength: contentBytesMax, finishFlush: constants.ZSTD_e_flush }

/** Where the raw deflate stream begins. */
const headerBytes = {
  /** RFC 1950 §2.2: two bytes, and no preset dictionary. */
  deflate: () => 2,

  /** RFC 1952 §2.3: ten bytes, then what the flags announce. */
  gzip(bytes: Buffer): number | undefined {
    const flags = bytes[3] ?? 0
    let at = 10
    if ((flags & 4) !== 0) at += 2 + (bytes[at] ?? 0) + ((bytes[at + 1] ?? 0) << 8)
    for (const flag of [8, 16]) {
      if ((flags & flag) === 0) continue
      const end = bytes.indexOf(0, at)
      if (end === -1) return undefined
      at = end + 1
    }
    return (flags & 2) === 0 ? at : at + 2
  },

  /**
   * APPNOTE.TXT 4.3.7: thirty bytes and two names. Stored members (method 0) need no unpacking:
   * their bytes are searched where they stand.
   */
  zip(bytes: Buffer): number | undefined {
    if (bytes.length < 30 || bytes.readUInt16LE(8) !== 8) return undefined
    return 30 + bytes.readUInt16LE(26) + bytes.readUInt16LE(28)
  },
} as const satisfies Record<string, (bytes: Buffer) => number | undefined>

import { BytesMalformed, ByteReader, ByteWriter } from '@conclave/kernel'

/*
 * What is inside a sealed message, by its first byte (docs/formats/links.md):
 *
 *   1 message  the message
 *   2 begin    uint stream, uint size            a message in pieces follows
 *   3 piece    uint stream, uint offset, bytes   some of it
 *   4 taken    uint stream, uint count           answer: so many of its bytes are here
 *   5 ping     nothing
 *   6 leave    nothing                           the sender ends in good order
 *   7 line     uint line, uint of whom and what, uint number, bytes
 *                                                a word of a conversation, as `line.ts` has it
 */

/** Larger messages travel in pieces, so that a heartbeat never waits behind a snapshot. */
export const wholeBytesMax = 256 * 1024
export const pieceBytes = 64 * 1024

const kinds = ['message', 'begin', 'piece', 'taken', 'ping', 'leave', 'line'] as const
const verbs = ['open', 'ask', 'said', 'taken', 'alive', 'over'] as const
export type LineVerb = (typeof verbs)[number]

/** A word of a conversation that one of two peers has opened. */
export interface LineFrame {
  readonly kind: 'line'
  /** Counted by who has opened it. */
  readonly line: number
  /** Whether who says this has opened it. */
  readonly isOpener: boolean
  readonly verb: LineVerb
  /** Of a message, or of all that were said; or bytes that were taken. */
  readonly number: number
  readonly bytes: Uint8Array
}

export type Frame =
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  | { readonly kind: 'begin'; readonly stream: number; readonly sizeBytes: number }
  | {
      readonly kind: 'piece'
      readonly stream: number
      readonly offset: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'taken'; readonly stream: number; readonly count: number }
  | { readonly kind: 'ping' | 'leave' }
  | LineFrame

export function encodeFrame(frame: Frame): Uint8Array {
  const size = 'bytes' in frame ? frame.bytes.length : 0
  const writer = new ByteWriter(32 + size).u8(kinds.indexOf(frame.kind) + 1)
  switch (frame.kind) {
    case 'message':
      return writer.raw(frame.bytes).end()
    case 'begin':
      return writer.uint(frame.stream).uint(frame.sizeBytes).end()
    case 'piece':
      return writer.uint(frame.stream).uint(frame.offset).raw(frame.bytes).end()
    case 'taken':
      return writer.uint(frame.stream).uint(frame.count).end()
    case 'line': {
      const what = verbs.indexOf(frame.verb) * 2 + (frame.isOpener ? 1 : 0)
      return writer.uint(frame.line).uint(what).uint(frame.number).raw(frame.bytes).end()
    }
    default:
      return writer.end()
  }
}

/** @throws BytesMalformed */
export function decodeFrame(bytes: Uint8Array): Frame {
  const reader = new ByteReader(bytes)
  const kind = kinds[reader.u8() - 1]
  if (kind === undefined) throw new BytesMalformed('a frame of no known kind')
  // A message is most of what travels, and its bytes are nobody else's: no copy.
  if (kind === 'message') return { kind, bytes: bytes.subarray(1) }
  const frame = readFields(kind, reader)
  reader.end()
  return frame
}

function readFields(kind: Exclude<Frame['kind'], 'message'>, reader: ByteReader): Frame {
  switch (kind) {
    case 'begin':
      return { kind, stream: reader.uint(), sizeBytes: reader.uint() }
    case 'piece': {
      const [stream, offset] = [reader.uint(), reader.uint()]
      return { kind, stream, offset, bytes: reader.raw(reader.remaining) }
    }
    case 'taken':
      return { kind, stream: reader.uint(), count: reader.uint() }
    case 'line': {
      const [line, what, number] = [reader.uint(), reader.uint(), reader.uint()]
      const verb = verbs[Math.floor(what / 2)]
      if (verb === undefined) throw new BytesMalformed('a word of no known kind')
      const bytes = reader.raw(reader.remaining)
      return { kind, line, isOpener: what % 2 === 1, verb, number, bytes }
    }
    default:
      return { kind }
  }
}

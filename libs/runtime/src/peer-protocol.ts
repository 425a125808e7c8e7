import { BytesMalformed, ByteReader, ByteWriter } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'

/*
 * What masters say to each other, one frame each (docs/formats/links.md). The first byte is the kind:
 *
 *   1 hello      uint version, text cluster id, uint node id     dialler, first frame
 *   2 welcome    the same                                        answer; only then messages flow
 *   3 message    the message                                     dialler
 *   4 begin      uint stream, uint size                          dialler: a message in pieces follows
 *   5 piece      its next bytes                                  dialler
 *   6 delivered  uint stream                                     answer: the message has arrived whole
 *   7 ping                                                       dialler
 *   8 pong                                                       answer
 *   9 ask        a question                                      caller, instead of hello
 *  10 answer     what is answered to it; then the connection ends
 *  11 open       what a conversation is about                   caller, instead of hello
 *  12 said       one message of it                              either, from then on
 *
 * Pieces belong to the latest `begin`; other messages may stand between them.
 */

export const protocolVersion = 1
/** Larger messages travel in pieces, so that a heartbeat never waits behind a snapshot. */
export const wholeBytesMax = 256 * 1024
export const pieceBytes = 64 * 1024
export const frameBytesMax = wholeBytesMax + 1024

const kinds = [
  'hello',
  'welcome',
  'message',
  'begin',
  'piece',
  'delivered',
  'ping',
  'pong',
  'ask',
  'answer',
  'open',
  'said',
] as const
type Kind = (typeof kinds)[number]

/** Frames that are bytes and nothing else. */
type BytesKind = 'message' | 'piece' | 'ask' | 'answer' | 'open' | 'said'

export interface Greeting {
  readonly version: number
  readonly clusterId: string
  readonly nodeId: NodeId
}

export type PeerFrame =
  | ({ readonly kind: 'hello' | 'welcome' } & Greeting)
  | { readonly kind: BytesKind; readonly bytes: Uint8Array }
  | { readonly kind: 'begin'; readonly stream: number; readonly sizeBytes: number }
  | { readonly kind: 'delivered'; readonly stream: number }
  | { readonly kind: 'ping' | 'pong' }

/** What stands before the bytes of a message: the same each time, so it is not made each time. */
const heads = {
  message: Uint8Array.of(kinds.indexOf('message') + 1),
  piece: Uint8Array.of(kinds.indexOf('piece') + 1),
  ask: Uint8Array.of(kinds.indexOf('ask') + 1),
  answer: Uint8Array.of(kinds.indexOf('answer') + 1),
  open: Uint8Array.of(kinds.indexOf('open') + 1),
  said: Uint8Array.of(kinds.indexOf('said') + 1),
} as const

const isBytesKind = (kind: Kind): kind is BytesKind => Object.hasOwn(heads, kind)

/** The parts of a frame; the bytes of a message are not copied. */
export function encodePeerFrame(frame: PeerFrame): readonly Uint8Array[] {
  if ('bytes' in frame) return [heads[frame.kind], frame.bytes]

  const writer = new ByteWriter(64).u8(kinds.indexOf(frame.kind) + 1)
  switch (frame.kind) {
    case 'hello':
    case 'welcome':
      return [writer.uint(frame.version).text(frame.clusterId).uint(frame.nodeId).end()]
    case 'begin':
      return [writer.uint(frame.stream).uint(frame.sizeBytes).take()]
    case 'delivered':
      return [writer.uint(frame.stream).take()]
    default:
      return [writer.take()]
  }
}

/** @throws BytesMalformed */
export function decodePeerFrame(frame: Uint8Array): PeerFrame {
  const kind = kinds[(frame[0] ?? 0) - 1]
  if (kind === undefined) throw new BytesMalformed('a frame of no known kind')
  if (isBytesKind(kind)) return { kind, bytes: frame.subarray(1) }

  const reader = new ByteReader(frame.subarray(1))
  const decoded = readFields(kind, reader)
  reader.end()
  return decoded
}

function readFields(kind: Exclude<Kind, BytesKind>, reader: ByteReader): PeerFrame {
  switch (kind) {
    case 'hello':
    case 'welcome':
      return { kind, version: reader.uint(), clusterId: reader.text(), nodeId: reader.uint() }
    case 'begin':
      return { kind, stream: reader.uint(), sizeBytes: reader.uint() }
    case 'delivered':
      return { kind, stream: reader.uint() }
    default:
      return { kind }
  }
}

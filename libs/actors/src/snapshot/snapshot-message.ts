import { BytesMalformed, ByteReader, ByteWriter } from '@conclave/kernel'
import { decodeMessage, encodeMessage, type Message, type NodeId } from '@conclave/raft'

/*
 * What members tell each other of a snapshot beside the core (reference raft.md §6.4), drawn in
 * docs/formats/links.md. Any of it may be lost, doubled or overtaken.
 */

/** Here is a snapshot: its chunks follow once the other says which it wants first. */
export interface SnapshotOffer {
  readonly type: 'SnapshotOffer'
  readonly to: NodeId
  readonly from: NodeId
  /** The MsgSnap that the other's core is given once the content has arrived. */
  readonly message: Message
  readonly sizeBytes: number
  readonly chunkCount: number
  /** `ContentDigest` over all chunks. */
  readonly digest: Uint8Array
}

export interface SnapshotChunk {
  readonly type: 'SnapshotChunk'
  readonly to: NodeId
  readonly from: NodeId
  /** Of the snapshot. */
  readonly index: number
  readonly number: number
  /** `chunkDigest` of the bytes. */
  readonly digest: Uint8Array
  readonly bytes: Uint8Array
}

/** Everything before chunk `next` has arrived and is written. */
export interface SnapshotAck {
  readonly type: 'SnapshotAck'
  readonly to: NodeId
  readonly from: NodeId
  readonly index: number
  readonly next: number
  /** The next chunk to send is that one, whatever was sent already. */
  readonly isFromThere: boolean
  /** The core has been given it: nothing more is wanted. */
  readonly isDone: boolean
}

export type SnapshotMessage = SnapshotOffer | SnapshotChunk | SnapshotAck

/** Everything that members tell each other. */
export type PeerMessage = Message | SnapshotMessage

const digestSizeBytes = 32
/** The first bytes of a message of the core are small: they are its version. */
const kinds = { SnapshotOffer: 0x81, SnapshotChunk: 0x82, SnapshotAck: 0x83 } as const

export function isSnapshotMessage(message: PeerMessage): message is SnapshotMessage {
  return Object.hasOwn(kinds, message.type)
}

/** u8 kind, uint to, uint from, then the fields in their order; or a message of the core. */
export function encodePeerMessage(message: PeerMessage): Uint8Array {
  if (!isSnapshotMessage(message)) return encodeMessage(message)
  const size = message.type === 'SnapshotChunk' ? message.bytes.length : 256
  const writer = new ByteWriter(size + 128)
  writer.u8(kinds[message.type]).uint(message.to).uint(message.from)
  switch (message.type) {
    case 'SnapshotOffer':
      writer.uint(message.sizeBytes).uint(message.chunkCount).raw(message.digest)
      return writer.bytes(encodeMessage(message.message)).end()
    case 'SnapshotChunk':
      writer.uint(message.index).uint(message.number).raw(message.digest)
      return writer.bytes(message.bytes).end()
    default:
      writer.uint(message.index).uint(message.next)
      return writer.flag(message.isFromThere).flag(message.isDone).end()
  }
}

/** @throws BytesMalformed when the bytes do not have the layout of {@link encodePeerMessage} */
export function decodePeerMessage(bytes: Uint8Array): PeerMessage {
  const kind = bytes[0] ?? 0
  if (kind < kinds.SnapshotOffer) return decodeMessage(bytes)
  const reader = new ByteReader(bytes.subarray(1))
  const [to, from] = [reader.uint(), reader.uint()]
  const decoded = readFields(kind, { to, from }, reader)
  reader.end()
  return decoded
}

function readFields(
  kind: number,
  ends: { readonly to: NodeId; readonly from: NodeId },
  reader: ByteReader,
): SnapshotMessage {
  switch (kind) {
    case kinds.SnapshotOffer: {
      const [sizeBytes, chunkCount] = [reader.uint(), reader.uint()]
      const digest = reader.raw(digestSizeBytes)
      const message = decodeMessage(reader.bytesView())
      const isOfSame = message.to === ends.to && message.from === ends.from
      if (message.type !== 'MsgSnap' || message.snapshot === undefined || !isOfSame) {
        throw new BytesMalformed('an offer of no snapshot')
      }
      return { type: 'SnapshotOffer', ...ends, message, sizeBytes, chunkCount, digest }
    }
    case kinds.SnapshotChunk: {
      const [index, number] = [reader.uint(), reader.uint()]
      const digest = reader.raw(digestSizeBytes)
      // A view, because a chunk is a frame of its own and is not kept.
      return { type: 'SnapshotChunk', ...ends, index, number, digest, bytes: reader.bytesView() }
    }
    case kinds.SnapshotAck: {
      const [index, next] = [reader.uint(), reader.uint()]
      const [isFromThere, isDone] = [reader.flag(), reader.flag()]
      return { type: 'SnapshotAck', ...ends, index, next, isFromThere, isDone }
    }
    default:
      throw new BytesMalformed('a message of no known kind')
  }
}

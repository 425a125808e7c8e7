import { MessageReader, MessageWriter } from './protobuf.ts'

/*
 * etcd's messages, as far as they are used here. Numbers of fields are those of api/etcdserverpb/rpc.proto
 * and api/mvccpb/kv.proto of etcd 3.4.
 */

export interface EtcdKeyValue {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
  /** 0 without one. */
  readonly lease: number
}

export interface EtcdRange {
  readonly key: Uint8Array
  /** The first key that is not meant. Without it: `key` alone. */
  readonly rangeEnd?: Uint8Array | undefined
}

export interface RangeRequest extends EtcdRange {
  readonly limit?: number | undefined
  /** Linearizable and newest without it. */
  readonly revision?: number | undefined
  readonly keysOnly?: boolean | undefined
  readonly countOnly?: boolean | undefined
}

export interface RangeResponse {
  readonly revision: number
  readonly kvs: readonly EtcdKeyValue[]
  readonly more: boolean
  readonly count: number
}

export type EtcdCompare = {
  readonly key: Uint8Array
  readonly is: '=' | '!=' | '<' | '>'
} & (
  | {
      readonly target: 'version' | 'createRevision' | 'modRevision' | 'lease'
      readonly operand: number
    }
  | { readonly target: 'value'; readonly operand: Uint8Array }
)

export type EtcdOp =
  | ({ readonly do: 'range' } & RangeRequest)
  | {
      readonly do: 'put'
      readonly key: Uint8Array
      readonly value: Uint8Array
      readonly lease?: number | undefined
      /** Answer with what was there before. */
      readonly previous?: boolean
    }
  | ({ readonly do: 'delete-range' } & EtcdRange)
  | { readonly do: 'txn'; readonly txn: EtcdTxn }

export interface EtcdTxn {
  readonly compare: readonly EtcdCompare[]
  readonly success: readonly EtcdOp[]
  readonly failure: readonly EtcdOp[]
}

export type EtcdOpResult =
  | { readonly do: 'range'; readonly range: RangeResponse }
  | { readonly do: 'put'; readonly previous: EtcdKeyValue | undefined }
  | { readonly do: 'delete-range'; readonly count: number }
  | { readonly do: 'txn'; readonly txn: EtcdTxnResult }

export interface EtcdTxnResult {
  readonly revision: number
  readonly succeeded: boolean
  readonly responses: readonly EtcdOpResult[]
}

export interface EtcdEvent {
  readonly type: 'put' | 'delete'
  readonly kv: EtcdKeyValue
  readonly previous: EtcdKeyValue | undefined
}

export interface WatchRequest extends EtcdRange {
  readonly startRevision: number
}

export interface WatchResponse {
  readonly isCreated: boolean
  readonly isCanceled: boolean
  /** Not 0 when what was asked for is gone. */
  readonly compactRevision: number
  readonly cancelReason: string
  readonly events: readonly EtcdEvent[]
}

const operators = { '=': 0, '>': 1, '<': 2, '!=': 3 } as const
const targets = { version: 0, createRevision: 1, modRevision: 2, value: 3, lease: 4 } as const
const operandFields = {
  version: 4,
  createRevision: 5,
  modRevision: 6,
  value: 7,
  lease: 8,
} as const

export const writeRange = (range: RangeRequest): MessageWriter =>
  new MessageWriter()
    .bytes(1, range.key)
    .bytes(2, range.rangeEnd)
    .uint(3, range.limit)
    .uint(4, range.revision)
    .flag(8, range.keysOnly)
    .flag(9, range.countOnly)

export function writeTxn({ compare, success, failure }: EtcdTxn): MessageWriter {
  const writer = new MessageWriter()
  for (const claim of compare) writer.message(1, writeCompare(claim))
  for (const op of success) writer.message(2, writeOp(op))
  for (const op of failure) writer.message(3, writeOp(op))
  return writer
}

export const writeWatch = ({ key, rangeEnd, startRevision }: WatchRequest): MessageWriter =>
  new MessageWriter().message(
    1,
    new MessageWriter().bytes(1, key).bytes(2, rangeEnd).uint(3, startRevision).flag(6, true),
  )

function writeCompare(claim: EtcdCompare): MessageWriter {
  const writer = new MessageWriter()
    .uint(1, operators[claim.is])
    .uint(2, targets[claim.target])
    .bytes(3, claim.key)
  return claim.target === 'value'
    ? writer.block(operandFields.value, claim.operand)
    : writer.choice(operandFields[claim.target], claim.operand)
}

function writeOp(op: EtcdOp): MessageWriter {
  switch (op.do) {
    case 'range':
      return new MessageWriter().message(1, writeRange(op))
    case 'put':
      return new MessageWriter().message(
        2,
        new MessageWriter()
          .bytes(1, op.key)
          .bytes(2, op.value)
          .uint(3, op.lease)
          .flag(4, op.previous),
      )
    case 'delete-range':
      return new MessageWriter().message(
        3,
        new MessageWriter().bytes(1, op.key).bytes(2, op.rangeEnd),
      )
    default:
      return new MessageWriter().message(4, writeTxn(op.txn))
  }
}

export function readRange(reader: MessageReader): RangeResponse {
  return {
    revision: revisionOf(reader),
    kvs: reader.messages(2).map(readKeyValue),
    more: reader.flag(3),
    count: reader.uint(4),
  }
}

export function readTxn(reader: MessageReader): EtcdTxnResult {
  return {
    revision: revisionOf(reader),
    succeeded: reader.flag(2),
    responses: reader.messages(3).map(readOpResult),
  }
}

export function readWatch(reader: MessageReader): WatchResponse {
  return {
    isCreated: reader.flag(3),
    isCanceled: reader.flag(4),
    compactRevision: reader.uint(5),
    cancelReason: reader.text(6),
    events: reader.messages(11).map(readEvent),
  }
}

/** Every response begins with a header, and there the revision of the store. */
export const revisionOf = (reader: MessageReader): number => reader.message(1).uint(3)

function readKeyValue(reader: MessageReader): EtcdKeyValue {
  return {
    // Copies: a view would keep a whole answer alive.
    key: reader.bytes(1).slice(),
    createRevision: reader.uint(2),
    modRevision: reader.uint(3),
    version: reader.uint(4),
    value: reader.bytes(5).slice(),
    lease: reader.uint(6),
  }
}

function readOpResult(reader: MessageReader): EtcdOpResult {
  if (reader.has(1)) return { do: 'range', range: readRange(reader.message(1)) }
  if (reader.has(4)) return { do: 'txn', txn: readTxn(reader.message(4)) }
  if (reader.has(3)) return { do: 'delete-range', count: reader.message(3).uint(2) }
  const [previous] = reader.message(2).messages(2)
  return { do: 'put', previous: previous && readKeyValue(previous) }
}

function readEvent(reader: MessageReader): EtcdEvent {
  const [previous] = reader.messages(3)
  return {
    type: reader.uint(1) === 0 ? 'put' : 'delete',
    kv: readKeyValue(reader.message(2)),
    previous: previous && readKeyValue(previous),
  }
}

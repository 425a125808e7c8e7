import { BytesMalformed, ByteReader, ByteSlabs, ByteWriter } from '@conclave/kernel'
import { CommandNewer, TxnInvalid } from './errors.ts'
import {
  commandFault,
  defaultStoreLimits,
  type Command,
  type Compare,
  type CompareOperator,
  type Op,
  type SessionRef,
} from './txn.ts'

/*
 * The bytes of a command in the log. Layout: docs/formats/command.md. Positions in these two lists
 * and the numbers of `opNumbers` are part of it.
 */

export const commandFormat = 1

const targets = ['value', 'version', 'createRevision', 'modRevision'] as const
const operators: readonly CompareOperator[] = ['=', '!=', '<', '>']
const opNumbers = {
  put: 1,
  delete: 2,
  'delete-prefix': 3,
  'lease-grant': 4,
  'lease-keepalive': 5,
  'lease-revoke': 6,
  'lease-expire': 7,
  'lease-extend-all': 8,
  compact: 9,
} as const

const scratch = new ByteWriter(4096)
/** Commands stay in the log, and leave it, in the order in which they were made. */
const slabs = new ByteSlabs()

/**
 * Bytes that stay as they are for as long as somebody has them, and that nobody may change.
 *
 * @throws TxnInvalid when every replica would refuse the command
 */
export function encodeCommand(command: Command, limits = defaultStoreLimits): Uint8Array {
  const fault = commandFault(command, limits)
  if (fault !== undefined) throw new TxnInvalid(fault)
  const { session, nowMs, compare, success, failure = none } = command
  const writer = scratch.clear()
  writer.u8(commandFormat).flag(session !== undefined)
  if (session !== undefined) writer.text(session.client).uint(session.seq)
  writer.uint(nowMs)
  writer.uint(compare.length)
  for (const claim of compare) writeCompare(writer, claim)
  writeBranch(writer, success)
  writeBranch(writer, failure)
  return slabs.keep(writer.view())
}

/** Whether these bytes say that a newer build wrote them. */
export const isNewerCommand = (bytes: Uint8Array): boolean => (bytes[0] ?? 0) > commandFormat

/**
 * Values in it are views of `bytes`: whoever keeps one makes a copy.
 *
 * @throws BytesMalformed when `bytes` do not follow the layout
 * @throws CommandNewer when they follow one that this build does not know
 */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes)
  const format = reader.u8()
  if (isNewerCommand(bytes)) throw new CommandNewer(format, commandFormat)
  if (format !== commandFormat) throw new BytesMalformed(`command format ${format} is not known`)
  const session = reader.flag() ? readSession(reader) : undefined
  const nowMs = reader.uint()
  const compare = readMany(reader, readCompare)
  const success = readMany(reader, readOp)
  const failure = readMany(reader, readOp)
  reader.end()
  return session === undefined
    ? { nowMs, compare, success, failure }
    : { session, nowMs, compare, success, failure }
}

function readSession(reader: ByteReader): SessionRef {
  return { client: reader.text(), seq: reader.uint() }
}

const none: readonly never[] = []

/** Most commands make one change and claim nothing: a list that grows would be larger than all the rest. */
function readMany<Item>(reader: ByteReader, read: (reader: ByteReader) => Item): readonly Item[] {
  const count = reader.uint()
  if (count === 0) return none
  const items = [read(reader)]
  for (let rest = count - 1; rest > 0; rest--) items.push(read(reader))
  return items
}

function writeCompare(writer: ByteWriter, claim: Compare): void {
  writer.u8(targets.indexOf(claim.target)).u8(operators.indexOf(claim.is)).text(claim.key)
  if (claim.target === 'value') writer.bytes(claim.operand)
  else writer.uint(claim.operand)
}

function readCompare(reader: ByteReader): Compare {
  const target = targets[reader.u8()]
  const is = operators[reader.u8()]
  if (target === undefined || is === undefined) throw new BytesMalformed('an unknown claim')
  const key = reader.text()
  return target === 'value'
    ? { key, target, is, operand: reader.bytesView() }
    : { key, target, is, operand: reader.uint() }
}

function writeBranch(writer: ByteWriter, branch: readonly Op[]): void {
  writer.uint(branch.length)
  for (const op of branch) writeOp(writer, op)
}

function writeOp(writer: ByteWriter, op: Op): void {
  writer.u8(opNumbers[op.do])
  switch (op.do) {
    case 'put':
      // No lease has the id 0.
      writer
        .text(op.key)
        .uint(op.lease ?? 0)
        .bytes(op.value)
      break
    case 'delete':
      writer.text(op.key)
      break
    case 'delete-prefix':
      writer.text(op.prefix)
      break
    case 'lease-grant':
      writer.uint(op.lease).uint(op.ttlMs)
      break
    case 'lease-keepalive':
    case 'lease-revoke':
    case 'lease-expire':
      writer.uint(op.lease)
      break
    case 'lease-extend-all':
      break
    case 'compact':
      writer.uint(op.revision)
  }
}

function readOp(reader: ByteReader): Op {
  const number = reader.u8()
  switch (number) {
    case opNumbers.put: {
      const key = reader.text()
      const lease = reader.uint()
      const value = reader.bytesView()
      return lease === 0 ? { do: 'put', key, value } : { do: 'put', key, value, lease }
    }
    case opNumbers.delete:
      return { do: 'delete', key: reader.text() }
    case opNumbers['delete-prefix']:
      return { do: 'delete-prefix', prefix: reader.text() }
    case opNumbers['lease-grant']:
      return { do: 'lease-grant', lease: reader.uint(), ttlMs: reader.uint() }
    case opNumbers['lease-keepalive']:
      return { do: 'lease-keepalive', lease: reader.uint() }
    case opNumbers['lease-revoke']:
      return { do: 'lease-revoke', lease: reader.uint() }
    case opNumbers['lease-expire']:
      return { do: 'lease-expire', lease: reader.uint() }
    case opNumbers['lease-extend-all']:
      return { do: 'lease-extend-all' }
    case opNumbers.compact:
      return { do: 'compact', revision: reader.uint() }
    default:
      throw new BytesMalformed(`an unknown change, number ${number}`)
  }
}

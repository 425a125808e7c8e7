import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { Redacted, wipe } from '@conclave/kernel'
import {
  CallMalformed,
  demandFields,
  depthMax,
  type AnyKind,
  type AnyMessage,
  type Field,
  type Message,
} from '../message.ts'
import { enumNumbers } from './enum-numbers.ts'
import { fieldNumber } from './field-numbers.ts'

/**
 * Reads protobuf from outside into the same values that JSON is read into, so that one validation serves
 * both. Unknown fields are skipped, an unknown enum value is unset, and of a field that comes twice the
 * last counts, or both are merged when it is a message. `type` is its name in the tables of numbers.
 *
 * @throws CallMalformed when the bytes are no such message. Values read by then are wiped.
 */
export function fromProtobuf<T>(kind: Message<T>, type: string, bytes: Uint8Array): T {
  const read: Reading = { plaintexts: [] }
  try {
    const value = readMessage(
      new BinaryReader(bytes, strictText),
      bytes.length,
      kind,
      type,
      {},
      read,
      0,
    )
    demandFields(kind, value)
    return value as T
  } catch (error) {
    for (const plaintext of read.plaintexts) wipe(plaintext)
    if (error instanceof CallMalformed) throw error
    throw new CallMalformed('it is no such protobuf message', { cause: error })
  }
}

interface Reading {
  readonly plaintexts: Redacted<Uint8Array>[]
}

type Value = Record<string, unknown>

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const strictText = (bytes: Uint8Array): string => decoder.decode(bytes)

interface Place {
  readonly name: string
  readonly field: Field<unknown>
  readonly type: string
}

/** The fields of a message by number, made once for each. */
const places = new WeakMap<AnyMessage, Map<string, ReadonlyMap<number, Place>>>()

function placesOf(kind: AnyMessage, type: string): ReadonlyMap<number, Place> {
  let byType = places.get(kind)
  if (byType === undefined) places.set(kind, (byType = new Map()))
  const known = byType.get(type)
  if (known !== undefined) return known
  const made = new Map<number, Place>()
  for (const [name, field] of Object.entries(kind.fields())) {
    const found = fieldNumber(type, name)
    if (found === undefined || field.reach === 'internal') continue
    made.set(found.number, { name, field, type: found.type })
  }
  byType.set(type, made)
  return made
}

function readMessage(
  reader: BinaryReader,
  end: number,
  kind: AnyMessage,
  type: string,
  value: Value,
  reading: Reading,
  depth: number,
): Value {
  if (depth > depthMax) throw new CallMalformed(`Nested deeper than ${depthMax} messages`)
  const known = placesOf(kind, type)
  for (const [name, field] of Object.entries(kind.fields())) {
    if (field.label === 'repeated') value[name] ??= []
  }
  while (reader.pos < end) {
    const [number, wireType] = reader.tag()
    const place = known.get(number)
    if (place === undefined) reader.skip(wireType, number)
    else readField(reader, wireType, number, place, value, reading, depth)
  }
  if (reader.pos !== end) throw new CallMalformed('a field is longer than its message')
  return value
}

function readField(
  reader: BinaryReader,
  wireType: WireType,
  number: number,
  { name, field, type }: Place,
  value: Value,
  reading: Reading,
  depth: number,
): void {
  const { kind } = field
  const isScalar = wireOf(kind) !== WireType.LengthDelimited
  if (wireType === WireType.LengthDelimited && isScalar && field.label === 'repeated') {
    const packedEnd = lengthEnd(reader)
    while (reader.pos < packedEnd) put(value, name, field, readScalar(reader, kind, type, reading))
    return
  }
  if (wireType !== wireOf(kind)) {
    reader.skip(wireType, number)
    return
  }
  if (kind.is === 'message') {
    const end = lengthEnd(reader)
    const before = field.label === 'repeated' ? {} : ((value[name] ?? {}) as Value)
    put(value, name, field, readMessage(reader, end, kind, type, before, reading, depth + 1))
    return
  }
  if (kind.is === 'map') {
    const [key, item] = readEntry(reader, kind.of, type, reading, depth)
    // Added to what is there, since entries come by the thousand; a key such as `__proto__` is a key like any other.
    const entries = (value[name] ??= {}) as Value
    const shape = { configurable: true, enumerable: true, writable: true }
    Object.defineProperty(entries, key, { value: item, ...shape })
    return
  }
  put(value, name, field, readScalar(reader, kind, type, reading))
}

function put(value: Value, name: string, { label }: Field<unknown>, item: unknown): void {
  if (item === undefined) return
  if (label === 'repeated') (value[name] as unknown[]).push(item)
  else value[name] = item
}

function lengthEnd(reader: BinaryReader): number {
  const length = reader.uint32()
  const end = reader.pos + length
  if (end > reader.len) throw new CallMalformed('a field is longer than its message')
  return end
}

function readEntry(
  reader: BinaryReader,
  of: AnyKind,
  type: string,
  reading: Reading,
  depth: number,
): [string, unknown] {
  const end = lengthEnd(reader)
  let key = ''
  const holder: Value = {}
  const field: Field<unknown> = { label: 'optional', kind: of, reach: 'open' }
  while (reader.pos < end) {
    const [number, wireType] = reader.tag()
    if (number === 1 && wireType === WireType.LengthDelimited) key = reader.string()
    else if (number === 2) {
      readField(reader, wireType, number, { name: 'value', field, type }, holder, reading, depth)
    } else reader.skip(wireType, number)
  }
  return [key, holder['value'] ?? emptyOf(of)]
}

/** What an entry without a value has. */
function emptyOf(kind: AnyKind): unknown {
  if (kind.is !== 'message') return ''
  const lists = Object.entries(kind.fields()).filter(([, { label }]) => label === 'repeated')
  return Object.fromEntries(lists.map(([name]) => [name, []]))
}

function wireOf({ is }: AnyKind): WireType {
  if (is === 'double') return WireType.Bit64
  const isVarint = is === 'int' || is === 'uint' || is === 'boolean' || is === 'enumeration'
  return isVarint ? WireType.Varint : WireType.LengthDelimited
}

function readScalar(reader: BinaryReader, kind: AnyKind, type: string, reading: Reading): unknown {
  switch (kind.is) {
    case 'text':
      return reader.string()
    case 'double':
      return reader.double()
    case 'int':
      return Number(reader.int64())
    case 'uint':
      return Number(reader.uint64())
    case 'boolean':
      return reader.bool()
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64')
    case 'plaintext': {
      // A copy, since the body that it came in is wiped.
      const plaintext = new Redacted(new Uint8Array(reader.bytes()))
      reading.plaintexts.push(plaintext)
      return plaintext
    }
    case 'enumeration': {
      const index = reader.int32()
      return kind.names.find((name) => enumNumbers[type]?.[name] === index)
    }
    case 'message':
    case 'map':
      break
  }
  return undefined
}

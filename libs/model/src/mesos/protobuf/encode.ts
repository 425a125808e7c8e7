import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { RedactedBytes } from '@conclave/kernel'
import {
  isWritten,
  openly,
  type AnyKind,
  type AnyMessage,
  type Message,
  type Writing,
} from '../message.ts'
import { enumNumbers } from './enum-numbers.ts'
import { fieldNumber } from './field-numbers.ts'

/**
 * A message as protobuf. `type` is its name in the tables of numbers, such as `master.Response`. What is
 * written is what `toJson` writes: a secret loses its value unless `writing` says otherwise. Defaults are
 * left to the reader.
 */
export function toProtobuf<T>(
  kind: Message<T>,
  type: string,
  value: T,
  writing: Writing = openly,
): Uint8Array {
  const writer = new BinaryWriter()
  writeFields(writer, kind, type, value as Fields, writing)
  return writer.finish()
}

type Fields = Readonly<Record<string, unknown>>

function writeFields(
  writer: BinaryWriter,
  kind: AnyMessage,
  message: string,
  value: Fields,
  writing: Writing,
): void {
  for (const [name, field] of Object.entries(kind.fields())) {
    const item = value[name]
    const found = fieldNumber(message, name)
    if (item === undefined || found === undefined || !isWritten(field.reach, writing)) continue
    const items: readonly unknown[] = Array.isArray(item) ? item : [item]
    for (const one of items) writeField(writer, field.kind, found, one, writing)
  }
}

interface Place {
  readonly number: number
  readonly type: string
}

function writeField(
  writer: BinaryWriter,
  kind: AnyKind,
  { number, type }: Place,
  value: unknown,
  writing: Writing,
): void {
  const tag = (wireType: WireType): BinaryWriter => writer.tag(number, wireType)
  switch (kind.is) {
    case 'text':
      tag(WireType.LengthDelimited).string(value as string)
      return
    case 'double':
      tag(WireType.Bit64).double(value as number)
      return
    case 'int':
      tag(WireType.Varint).int64(whole(value as number))
      return
    case 'uint':
      tag(WireType.Varint).uint64(whole(value as number))
      return
    case 'boolean':
      tag(WireType.Varint).bool(value as boolean)
      return
    case 'bytes':
      tag(WireType.LengthDelimited).bytes(Buffer.from(value as string, 'base64'))
      return
    case 'plaintext':
      tag(WireType.LengthDelimited).bytes((value as RedactedBytes).reveal())
      return
    case 'enumeration': {
      const index = enumNumbers[type]?.[value as string]
      if (index !== undefined) tag(WireType.Varint).int32(index)
      return
    }
    case 'message':
      tag(WireType.LengthDelimited).fork()
      writeFields(writer, kind, type, value as Fields, writing)
      writer.join()
      return
    case 'map':
      for (const [key, item] of Object.entries(value as Fields)) {
        tag(WireType.LengthDelimited).fork()
        writer.tag(1, WireType.LengthDelimited).string(key)
        writeField(writer, kind.of, { number: 2, type }, item, writing)
        writer.join()
      }
  }
}

/** Beyond what is exact, as text: JSON numbers may be larger than protobuf's. */
const whole = (value: number): number | string =>
  Number.isSafeInteger(value) ? value : BigInt(Math.trunc(value)).toString()

import { utf8, utf8Text } from '@conclave/kernel'
import { EtcdMalformed } from '../errors.ts'

/*
 * As much of protobuf as etcd's messages need: varints, bytes, and messages in messages. Fields that
 * nobody asks for are passed over. Source: protobuf.dev/programming-guides/encoding.
 */

const varintKind = 0
const fixed64Kind = 1
const lengthKind = 2
const fixed32Kind = 5

/** A message that is being written. Fields stand in the order of the calls. */
export class MessageWriter {
  readonly #parts: Uint8Array[] = []

  /** Leaves out a zero, which is what a missing number means. */
  uint(field: number, value: number | undefined): this {
    return value === undefined || value === 0 ? this : this.choice(field, value)
  }

  /** Writes a zero too: in a `oneof` it says which one it is. */
  choice(field: number, value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new EtcdMalformed(`${value} is not an unsigned integer below 2^53`)
    }
    this.#parts.push(varint(field * 8 + varintKind), varint(value))
    return this
  }

  flag(field: number, value: boolean | undefined): this {
    return this.uint(field, value === true ? 1 : 0)
  }

  /** Without the field when there are no bytes. */
  bytes(field: number, value: Uint8Array | undefined): this {
    return value === undefined || value.length === 0 ? this : this.block(field, value)
  }

  text(field: number, value: string): this {
    return this.bytes(field, utf8(value))
  }

  message(field: number, message: MessageWriter): this {
    return this.block(field, message.end())
  }

  /** Bytes that stand there even when there are none. */
  block(field: number, value: Uint8Array): this {
    this.#parts.push(varint(field * 8 + lengthKind), varint(value.length), value)
    return this
  }

  end(): Uint8Array {
    const whole = new Uint8Array(this.#parts.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const part of this.#parts) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }
}

/** The fields of a message. Values are views of its bytes. @throws EtcdMalformed */
export class MessageReader {
  readonly #fields = new Map<number, (bigint | Uint8Array)[]>()

  constructor(bytes: Uint8Array) {
    const cursor = new Cursor(bytes)
    while (!cursor.isAtEnd) {
      const tag = cursor.varint()
      const field = Number(tag >> 3n)
      const value = cursor.value(Number(tag & 7n))
      const known = this.#fields.get(field)
      if (known === undefined) this.#fields.set(field, [value])
      else known.push(value)
    }
  }

  /** 0 when it is missing. */
  uint(field: number): number {
    const value = this.#fields.get(field)?.at(-1) ?? 0n
    if (typeof value !== 'bigint' || value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new EtcdMalformed(`field ${field} is not an unsigned integer below 2^53`)
    }
    return Number(value)
  }

  flag(field: number): boolean {
    return this.uint(field) !== 0
  }

  bytes(field: number): Uint8Array {
    return this.#blocks(field).at(-1) ?? new Uint8Array(0)
  }

  text(field: number): string {
    return utf8Text(this.bytes(field))
  }

  has(field: number): boolean {
    return this.#fields.has(field)
  }

  /** An empty one when it is missing. */
  message(field: number): MessageReader {
    return new MessageReader(this.bytes(field))
  }

  messages(field: number): readonly MessageReader[] {
    return this.#blocks(field).map((block) => new MessageReader(block))
  }

  #blocks(field: number): readonly Uint8Array[] {
    return (this.#fields.get(field) ?? []).map((value) => {
      if (typeof value === 'bigint') throw new EtcdMalformed(`field ${field} is no bytes`)
      return value
    })
  }
}

class Cursor {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** Unsigned and of 64 bits: ids of members need them all. */
  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new EtcdMalformed('a message ends inside a number')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new EtcdMalformed('a number of more than ten bytes')
  }

  value(kind: number): bigint | Uint8Array {
    switch (kind) {
      case varintKind:
        return this.varint()
      case lengthKind:
        return this.#take(Number(this.varint()))
      case fixed64Kind:
        return this.#take(8)
      case fixed32Kind:
        return this.#take(4)
      default:
        throw new EtcdMalformed(`a field of kind ${kind}`)
    }
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) {
      throw new EtcdMalformed('a message ends inside a field')
    }
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}

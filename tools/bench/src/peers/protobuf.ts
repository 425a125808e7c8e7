/*
 * As much of protobuf as etcd's Put, Range and Txn need: fields of bytes and of varints, and reading
 * past what is not wanted. Source: protobuf.dev/programming-guides/encoding.
 */

/** Field number and bytes, and nested messages likewise. */
export type Field = readonly [number: number, value: Uint8Array | number]

/** A message of `fields`, in their order. */
export function encodeFields(fields: readonly Field[]): Buffer {
  const parts: Uint8Array[] = []
  for (const [number, value] of fields) {
    if (typeof value === 'number') parts.push(varint(number << 3), varint(value))
    else parts.push(varint((number << 3) | 2), varint(value.length), value)
  }
  return Buffer.concat(parts)
}

/** The fields of a message. @throws RangeError when it ends inside one, or has a kind that etcd never sends */
export function decodeFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = []
  let at = 0
  const readVarint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++]
      if (byte === undefined) throw new RangeError('a message ends inside a number')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = readVarint()
    const kind = tag & 7
    const value = readVarint()
    if (kind === 0) {
      fields.push([tag >>> 3, value])
    } else if (kind === 2) {
      if (at + value > bytes.length) throw new RangeError('a message ends inside a field')
      fields.push([tag >>> 3, bytes.subarray(at, at + value)])
      at += value
    } else {
      throw new RangeError(`a field of kind ${kind}`)
    }
  }
  return fields
}

/** The first field with this number that holds bytes. */
export function bytesOf(fields: readonly Field[], number: number): Uint8Array | undefined {
  const found = fields.find(([one, value]) => one === number && typeof value !== 'number')
  return found?.[1] as Uint8Array | undefined
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

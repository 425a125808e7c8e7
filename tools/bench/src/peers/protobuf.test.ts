import { expect, test } from 'vitest'
import { bytesOf, decodeFields, encodeFields } from './protobuf.ts'

test('fields come back as they were written, whatever their size', () => {
  const value = new Uint8Array(300).fill(7)
  const bytes = encodeFields([
    [1, value],
    [2, 5],
    [2000, 2 ** 40],
  ])

  const fields = decodeFields(bytes)

  expect(fields.map(([number]) => number)).toEqual([1, 2, 2000])
  expect(bytesOf(fields, 1)).toEqual(Buffer.from(value))
  expect(fields[2]?.[1]).toBe(2 ** 40)
})

test('is what protobuf says of an example', () => {
  // protobuf.dev, "A Simple Message": field 1 is 150; "Length-Delimited Records": field 2 is "testing".
  expect(encodeFields([[1, 150]]).toString('hex')).toBe('089601')
  expect(encodeFields([[2, Buffer.from('testing')]]).toString('hex')).toBe('120774657374696e67')
})

test('refuses a message that ends inside a field', () => {
  expect(() => decodeFields(Uint8Array.of(0x12, 7, 1))).toThrow(RangeError)
  expect(() => decodeFields(Uint8Array.of(0x08, 0x96))).toThrow(RangeError)
})

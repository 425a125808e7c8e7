import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { EtcdMalformed } from '../errors.ts'
import { MessageReader, MessageWriter } from './protobuf.ts'

const field = fc.integer({ min: 1, max: 2 ** 20 })

test('EE1: what is written is read again, in fields of any number', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(
        fc.record({ field, value: fc.oneof(fc.maxSafeNat(), fc.uint8Array({ minLength: 1 })) }),
        { selector: (one) => one.field },
      ),
      (fields) => {
        const writer = new MessageWriter()
        for (const one of fields) {
          if (typeof one.value === 'number') writer.uint(one.field, one.value)
          else writer.bytes(one.field, one.value)
        }
        const reader = new MessageReader(writer.end())
        const read = fields.map((one) =>
          typeof one.value === 'number' ? reader.uint(one.field) : reader.bytes(one.field),
        )
        expect(read.map((value) => (typeof value === 'number' ? value : [...value]))).toEqual(
          fields.map(({ value }) => (typeof value === 'number' ? value : [...value])),
        )
      },
    ),
  )
})

/** What reading fails with that is not the refusal of what is malformed. */
function otherFailure(bytes: Uint8Array, number: number): unknown {
  try {
    const reader = new MessageReader(bytes)
    reader.uint(number)
    reader.messages(number)
    return undefined
  } catch (error) {
    return error instanceof EtcdMalformed ? undefined : error
  }
}

test('EE1: bytes that are no message are refused, whatever they are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), field, (bytes, number) => {
      expect(otherFailure(bytes, number)).toBeUndefined()
    }),
  )
  expect(() => new MessageReader(Uint8Array.of(0x08))).toThrow(EtcdMalformed)
  expect(() => new MessageReader(Uint8Array.of(0x0a, 5, 1))).toThrow(EtcdMalformed)
})

test('EE1: a number of 64 bits may stand where nobody asks for it, and is refused where somebody does', () => {
  const whole = Uint8Array.of(0x08, ...Array.from({ length: 9 }, () => 0xff), 1, 0x10, 7)

  const reader = new MessageReader(whole)

  expect(reader.uint(2)).toBe(7)
  expect(() => reader.uint(1)).toThrow(EtcdMalformed)
  expect(() => new MessageWriter().uint(1, 2 ** 53)).toThrow(EtcdMalformed)
})

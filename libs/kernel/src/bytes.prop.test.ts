import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BytesMalformed,
  ByteReader,
  ByteWriter,
  hasBytesAt,
  sameBytes,
  utf8,
  utf8Text,
} from './bytes.ts'

type Field =
  | { readonly as: 'u8' | 'uint'; readonly value: number }
  | { readonly as: 'flag'; readonly value: boolean }
  | { readonly as: 'bytes'; readonly value: Uint8Array }
  | { readonly as: 'text'; readonly value: string }

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ as: fc.constant('u8' as const), value: fc.nat(255) }),
  fc.record({ as: fc.constant('uint' as const), value: fc.maxSafeNat() }),
  fc.record({ as: fc.constant('flag' as const), value: fc.boolean() }),
  fc.record({ as: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ as: fc.constant('text' as const), value: fc.string({ unit: 'grapheme' }) }),
)

function write(writer: ByteWriter, one: Field): void {
  switch (one.as) {
    case 'u8':
    case 'uint':
      writer[one.as](one.value)
      break
    case 'flag':
      writer.flag(one.value)
      break
    case 'bytes':
      writer.bytes(one.value)
      break
    case 'text':
      writer.text(one.value)
  }
}

const written = (fields: readonly Field[]): Uint8Array => {
  const writer = new ByteWriter(1)
  for (const one of fields) write(writer, one)
  return writer.take()
}

describe('KE3: binary fields', () => {
  test('are read back as they were written, with nothing left over', () => {
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const reader = new ByteReader(written(fields))
        for (const { as, value } of fields) expect(reader[as]()).toEqual(value)
        reader.end()
      }),
    )
  })

  test('are refused when any byte at the end is missing, never read past it', () => {
    fc.assert(
      fc.property(fc.array(field, { minLength: 1 }), fc.nat(), (fields, cut) => {
        const whole = written(fields)
        const part = whole.subarray(0, cut % Math.max(1, whole.length))
        const readAll = (): void => {
          const reader = new ByteReader(part)
          for (const { as } of fields) reader[as]()
        }
        expect(readAll).toThrow(BytesMalformed)
      }),
    )
  })

  test.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])(
    'have no unsigned integer %d',
    (value) => {
      expect(() => new ByteWriter().uint(value)).toThrow(BytesMalformed)
    },
  )

  test('refuse an integer of 2^53 or more, a flag that is none, and bytes too many', () => {
    const large = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
    expect(() => new ByteReader(large).uint()).toThrow('2^53')
    expect(() => new ByteReader(Uint8Array.of(2)).flag()).toThrow('no flag')
    expect(() => new ByteReader(Uint8Array.of(1)).end()).toThrow('1 bytes too many')
  })

  test('are copies out of a Buffer, too, which would slice a view of itself', () => {
    const source = Buffer.from(new ByteWriter().bytes(Uint8Array.of(1, 2, 3)).take())

    const read = new ByteReader(source).bytes()
    source.fill(9)

    expect(read).toEqual(Uint8Array.of(1, 2, 3))
    expect(read.buffer).not.toBe(source.buffer)
  })

  test('are copies: what was read does not change with its source', () => {
    const source = new ByteWriter().bytes(Uint8Array.of(1, 2)).take()
    const read = new ByteReader(source).bytes()
    source.fill(0)
    expect(read).toEqual(Uint8Array.of(1, 2))
  })
})

test('bytes are the same to the last one, and stand only where they stand', () => {
  const bytes = Uint8Array.of(1, 2, 3)

  expect(sameBytes(bytes, Uint8Array.of(1, 2, 3))).toBe(true)
  expect(sameBytes(bytes, Uint8Array.of(1, 2, 4))).toBe(false)
  expect(sameBytes(bytes, Uint8Array.of(1, 2))).toBe(false)
  expect(sameBytes(Uint8Array.of(1, 2), bytes)).toBe(false)
  expect(hasBytesAt(bytes, 1, Uint8Array.of(2, 3))).toBe(true)
  expect(hasBytesAt(bytes, 0, Uint8Array.of(2, 3))).toBe(false)
  expect(hasBytesAt(bytes, 2, Uint8Array.of(3, 0))).toBe(false)
})

test('text is UTF-8, and other bytes are refused without being shown', () => {
  expect(utf8Text(utf8('grüße'))).toBe('grüße')
  expect(() => utf8Text(Uint8Array.of(0x73, 0xff))).toThrow(/^not valid UTF-8$/)
})

test('a writer that ends gives what it wrote, and begins with nothing again', () => {
  const writer = new ByteWriter(1).text('first')
  const first = writer.end()

  const second = writer.text('second').end()

  expect(first).toEqual(new ByteWriter().text('first').take())
  expect(second).toEqual(new ByteWriter().text('second').take())
})

test('KE3: a text is its UTF-8 bytes behind their number, short and plain or not', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 200 }),
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.constantFrom('x'.repeat(127), 'x'.repeat(128), 'é', 'x\u0080', '\ud800'),
  )
  fc.assert(
    fc.property(texts, fc.nat(3), (text, before) => {
      const prefix = new Uint8Array(before)
      const bytes = new ByteWriter(1).raw(prefix).text(text).take()

      expect(bytes).toEqual(new ByteWriter(1).raw(prefix).bytes(utf8(text)).take())
    }),
  )
})
test('a writer is used again in the same memory', () => {
  const writer = new ByteWriter(4).text('first')
  const first = writer.view()
  expect(utf8Text(first)).toBe('\u0005first')

  expect(utf8Text(writer.clear().text('next').view())).toBe('\u0004next')
  expect(utf8Text(first)).toBe('\u0004nextt')
})

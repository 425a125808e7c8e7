import { isUtf8 } from 'node:buffer'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BytesMalformed, utf8, utf8Text } from './bytes.ts'
import { readJsonField, takeJsonField, writeJsonString } from './json-bytes.ts'

const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed())

/** What `JSON.parse` says is at a field: `=` and its text, or which kind of no text. */
function expected(json: unknown, field: string): string {
  const record = json as Record<string, unknown>
  if (!Object.hasOwn(record, field)) return 'absent'
  const value = record[field]
  if (value === null) return 'null'
  return typeof value === 'string' ? `=${value}` : 'other'
}

function found(json: string | Uint8Array, field: string): string {
  const answer = readJsonField(typeof json === 'string' ? utf8(json) : json, field)
  return answer.kind === 'string' ? `=${utf8Text(answer.bytes)}` : answer.kind
}

function foundOrRefused(json: string | Uint8Array): string {
  try {
    return found(json, 'value')
  } catch (error) {
    if (error instanceof BytesMalformed) return 'refused'
    throw error
  }
}

describe('KE4: a field of JSON read as bytes', () => {
  test('is what JSON.parse finds there', () => {
    const value = fc.oneof(fc.jsonValue(), text)
    const object = fc.dictionary(fc.oneof(fc.constantFrom('value', 'a', ''), text), value)
    fc.assert(
      fc.property(
        object,
        fc.constantFrom('value', 'a', ''),
        fc.constantFrom(0, 2),
        (record, field, indent) => {
          const json = JSON.stringify(record, null, indent)
          const same = JSON.parse(json) as unknown
          expect(found(json, field)).toBe(expected(same, field))
        },
      ),
    )
  })

  test('accepts and refuses the same texts as JSON.parse, but for halves of surrogate pairs', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"value"',
      '"a\\u0041"',
      '"\\n"',
      '"\\x"',
      '"',
      ' ',
      'true',
      'null',
      '1',
      '-0.5e+3',
      '01',
      '1.',
      '\t',
      '\\',
      '\u0000',
      '"é😀"',
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 14 }), (parts) => {
        const json = parts.join('')
        let parsed: unknown
        try {
          parsed = JSON.parse(json)
        } catch {
          parsed = undefined
        }
        const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
        expect(foundOrRefused(json)).toBe(isObject ? expected(parsed, 'value') : 'refused')
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['{"value":"\\ud83d\\ude00"}', '=😀'],
    ['{"value":"1","value":"2"}', '=2'],
    ['{"value":"1","value":2}', 'other'],
    ['{"\\u0076alue":"named in escapes"}', '=named in escapes'],
    ['{"inner":{"value":"not this one"}}', 'absent'],
  ])('of %s is %j', (json, answer) => {
    expect(found(json, 'value')).toBe(answer)
  })

  test.each([
    ['{"value":"s3cr3t', 16],
    ['{"value":"\\ud83d"}', 16],
    ['{"value":"s3cr3t"} x', 19],
  ])('is refused in %j with an offset and nothing of the text', (json) => {
    const read = (): unknown => readJsonField(utf8(json), 'value')
    expect(read).toThrow(/^not valid JSON at byte \d+$/)
  })

  test.each(['', ' ', '["s3cr3t"]', '"s3cr3t"', 'null', '\ufeff{}'])(
    'is refused in %j, which is no object, with nothing of the text',
    (json) => {
      expect(() => readJsonField(utf8(json), 'value')).toThrow(/^no JSON object$/)
    },
  )

  test('is refused where a strict decoder refuses the bytes, and nowhere else', () => {
    const piece = fc.oneof(
      text.map((value) => utf8(value)),
      fc.uint8Array({ maxLength: 4, min: 0x7f }),
      fc
        .constantFrom('c080', 'e0a0', 'ed9fbf', 'eda080', 'f0908080', 'f48fbfbf', 'f4908080')
        .map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 4 }), (pieces) => {
        const string = Buffer.concat(pieces).filter(
          (byte) => byte >= 0x20 && byte !== 0x22 && byte !== 0x5c,
        )
        const json = Buffer.concat([utf8('{"value":"'), string, utf8('"}')])
        const isText = isUtf8(json)
        expect(foundOrRefused(json)).toBe(isText ? `=${utf8Text(string)}` : 'refused')
      }),
      { numRuns: 2000 },
    )
    expect(() => readJsonField(Buffer.from([0x7b, 0xff]), 'value')).toThrow('UTF-8 at byte 1')
  })

  test('is refused when nested deeper than 64', () => {
    const deep = `{"a":${'['.repeat(64)}${']'.repeat(64)}}`
    expect(() => readJsonField(utf8(deep), 'value')).toThrow('deeper than 64')
  })
})

describe('KE4: a JSON string written from bytes', () => {
  test('parses to the same text', () => {
    fc.assert(
      fc.property(text, (value) => {
        expect(JSON.parse(utf8Text(writeJsonString(utf8(value))))).toBe(value)
      }),
    )
  })
})

describe('what was taken', () => {
  test('is what is read there, and nothing of it is left in JSON that is otherwise the same', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.string({ minLength: 8, unit: 'grapheme' }),
        (others, value) => {
          const whole = JSON.stringify({ ...others, Data: value })
          const json = utf8(whole)
          const read = readJsonField(json, 'Data')
          expect(takeJsonField(json, 'Data')).toEqual(read)
          // Not `others`: a zero below zero is a plain one in JSON.
          const before = JSON.parse(whole) as object
          const left = JSON.parse(utf8Text(json)) as { Data: string }
          expect(left).toEqual({ ...before, Data: expect.stringMatching(/^0*$/) as string })
        },
      ),
    )
  })

  test('is every string of that name', () => {
    const json = utf8('{"Data":"first", "Data" : "sec\\"ond" , "x":{"Data":"inner"}}')
    expect(takeJsonField(json, 'Data')).toEqual({ kind: 'string', bytes: utf8('sec"ond') })
    expect(utf8Text(json)).toBe('{"Data":"00000", "Data" : "00000000" , "x":{"Data":"inner"}}')
  })
})

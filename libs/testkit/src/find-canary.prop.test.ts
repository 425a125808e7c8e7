import { createHash, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Canary, canary, findCanary, type Found } from './index.ts'
import { contentBytesMax, MemberTooLarge } from './members.ts'

const planted = new Canary('cnry7h3kq2vx9m4tz8wn5bpd6gjr0fsl', 'example')
const bytes = Buffer.from(planted.text)
const pairs = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'))
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const indexed = (bytesIn: Uint8Array): object =>
  Object.fromEntries(Array.from(bytesIn, (byte, index) => [index, byte]))

/** A zip file of one deflated member, without its central directory. */
function zipped(content: string): Buffer {
  const header = Buffer.alloc(30)
  header.write('PK\x03\x04', 'latin1')
  header.writeUInt16LE(8, 8)
  header.writeUInt16LE(5, 26)
  return Buffer.concat([header, Buffer.from('a.txt'), deflateRawSync(content)])
}

const lines = (text: string, width: number): string =>
  text.match(new RegExp(`.{1,${width}}`, 'g'))?.join('\r\n') ?? ''

const planting: readonly [string, string | Uint8Array, string][] = [
  ['as it is', planted.text, 'raw'],
  ['UTF-16LE', Buffer.from(planted.text, 'utf16le'), 'utf-16'],
  ['UTF-16BE', Buffer.from(planted.text, 'utf16le').swap16(), 'utf-16'],
  ['hex', pairs.join(''), 'hex'],
  ['HEX', pairs.join('').toUpperCase(), 'hex'],
  ['hex with colons', pairs.join(':'), 'hex'],
  ['hex in lines', lines(pairs.join(' '), 48), 'hex'],
  ['a printed Buffer', inspect(bytes), 'hex'],
  ['C escapes', pairs.map((pair) => `\\x${pair}`).join(''), 'hex'],
  ['C numbers', pairs.map((pair) => `0x${pair}`).join(', '), 'hex'],
  ['%xx', pairs.map((pair) => `%${pair}`).join(''), 'percent-encoded'],
  ['%XX', pairs.map((pair) => `%${pair.toUpperCase()}`).join(''), 'percent-encoded'],
  ['JSON escapes', pairs.map((pair) => `\\u00${pair}`).join(''), 'json-escaped'],
  ['base64', base64(planted.text), 'base64'],
  ['base64 after one byte', base64(`x${planted.text}`), 'base64'],
  ['base64 after two bytes', base64(`xy${planted.text}z`), 'base64'],
  ['base64url', Buffer.from(`~?${planted.text}~`).toString('base64url'), 'base64'],
  ['base64 in lines', lines(base64(planted.text), 16), 'base64'],
  ['base64 in a JSON string of lines', JSON.stringify(lines(base64(planted.text), 16)), 'base64'],
  ['base64 of base64', base64(base64(planted.text)), 'base64 of base64'],
  ['base64 of base64, shifted', base64(`"${base64(`x${planted.text}`)}"`), 'base64 of base64'],
  ['a Buffer in JSON', JSON.stringify(bytes), 'byte array'],
  ['a Buffer in indented JSON', JSON.stringify({ a: { b: bytes } }, null, 8), 'byte array'],
  ['a Uint8Array in JSON', JSON.stringify(indexed(bytes)), 'byte array'],
  ['a printed Uint8Array', inspect(new Uint8Array(bytes)), 'byte array'],
  ['a printed object of bytes', inspect(indexed(bytes)), 'byte array'],
  ['JSON in JSON', JSON.stringify(JSON.stringify(indexed(bytes), null, 1)), 'byte array'],
  ['its first 8 characters', planted.text.slice(0, 8), 'truncated'],
  ['8 of its middle', planted.text.slice(13, 21), 'truncated'],
  ['its last 20', planted.text.slice(-20), 'truncated'],
  ['its digest', createHash('sha256').update(bytes).digest(), 'sha256'],
  ['its digest in hex', createHash('sha256').update(bytes).digest('hex'), 'sha256'],
  ['its digest in base64', createHash('sha256').update(bytes).digest('base64'), 'sha256'],
  ['its digest in base64url', createHash('sha256').update(bytes).digest('base64url'), 'sha256'],
  ['gzip', gzipSync(`a ${planted.text} b`), 'gzip > raw'],
  ['deflate', deflateSync(base64(planted.text)), 'deflate > base64'],
  ['zip', zipped(planted.text), 'zip > raw'],
  ['zstd', zstdCompressSync(planted.text), 'zstd > raw'],
]

/** What does not compress is stored, and would be found without unpacking. */
const padded = (content: Uint8Array): Buffer => Buffer.concat([content, Buffer.alloc(4096)])

/** Bytes in which nothing can be mistaken for a neighbour of the planted form. */
const noise = fc
  .array(fc.constantFrom(0x21, 0x3b, 0x5f, 0x7e, 0xf0), { maxLength: 70 })
  .map((codes) => Buffer.from(codes))

describe('a planted canary', () => {
  test.each(planting)('TK1: is found as %s, wherever it stands', (_name, form, expected) => {
    fc.assert(
      fc.property(noise, noise, (before, after) => {
        const haystack = Buffer.concat([before, Buffer.from(form), after])

        const found = findCanary(haystack, planted)

        expect(found.some((hit) => hit.form.startsWith(expected))).toBe(true)
        for (const { offset } of found) {
          expect(offset).toBeGreaterThanOrEqual(before.length)
          expect(offset).toBeLessThan(before.length + form.length)
        }
      }),
      { numRuns: 40 },
    )
  })

  test('TK1: is found four members deep, and no deeper', () => {
    const one = gzipSync(`${'abc'.repeat(500)}${planted.text}`)
    const four = zstdCompressSync(padded(gzipSync(padded(deflateSync(padded(one))))))

    expect(findCanary(four, planted).map(({ form }) => form)).toContain(
      'zstd > gzip > deflate > gzip > raw',
    )
    expect(findCanary(gzipSync(padded(four)), planted)).toEqual([])
  })

  test('TK1: is found in a member that is cut off, or followed by other bytes', () => {
    const member = gzipSync(Buffer.concat([bytes, randomBytes(4096)]))
    const places = [member.subarray(0, 2048), Buffer.concat([member, randomBytes(99)])]

    for (const place of places) {
      expect(findCanary(place, planted)).toContainEqual<Found>({ form: 'gzip > raw', offset: 0 })
    }
  })

  test('TK1: in more than is unpacked stops the search, which cannot say that nothing is there', () => {
    const bomb = gzipSync(Buffer.alloc(contentBytesMax + 1))

    expect(() => findCanary(bomb, planted)).toThrow(MemberTooLarge)
  })

  test('TK1: is told once, with its place, and not by its fragments as well', () => {
    const haystack = Buffer.from(`one ${planted.text} two ${planted.text}`)

    expect(findCanary(haystack, planted)).toEqual([
      { form: 'raw', offset: 4 },
      { form: 'raw', offset: 41 },
    ])
  })

  test('TK1: places are those of the bytes as they were given', () => {
    const haystack = Buffer.from(`: : "0x: ${pairs.join(' : ')}`)

    expect(findCanary(haystack, planted)).toEqual([{ form: 'hex', offset: 9 }])
  })
})

describe('what was not planted', () => {
  test('TK2: a decoy is found in none of the forms', () => {
    const decoy = canary('example')
    const haystack = Buffer.concat(planting.map(([, form]) => Buffer.from(form)))

    expect(findCanary(haystack, decoy)).toEqual([])
  })

  test('TK2: seven characters, and noise, are nothing', () => {
    const haystack = Buffer.concat([Buffer.from(planted.text.slice(0, 7)), randomBytes(100_000)])

    expect(findCanary(haystack, planted)).toEqual([])
  })
})

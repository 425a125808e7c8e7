import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byteString } from '../byte-string.ts'
import { record, runToEnd, testMachine } from '../testing/index.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { formatFloat, formatInteger } from './printf.ts'

const bytes = fc.uint8Array({ maxLength: 3000 })

/** What a script makes of the file `in`. */
function pipe(input: Uint8Array, script: string): Buffer {
  const made = testMachine()
  made.fs.put('/tmp/in', input)
  const chunks: Uint8Array[] = []
  made.machine.start({
    argv: ['sh', '-c', script],
    env: new Map([['PATH', '/bin']]),
    cwd: '/tmp',
    stdout: (chunk) => chunks.push(chunk),
    stderr: (chunk) => chunks.push(chunk),
  })
  runToEnd(made)
  return Buffer.concat(chunks)
}

const lines = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

describe('bytes of any value', () => {
  test('come back from base64, which is what Node makes of them', () => {
    fc.assert(
      fc.property(bytes, (input) => {
        const text = Buffer.from(input).toString('base64')
        expect(encodeBase64(input)).toBe(text)
        expect(decodeBase64(text)).toEqual(input)
      }),
    )
    fc.assert(
      fc.property(bytes, (input) => {
        expect(pipe(input, 'base64 in | base64 -d')).toEqual(Buffer.from(input))
      }),
      { numRuns: 30 },
    )
  })

  test('come through cat, tee, dd, xxd, tac twice and sed unharmed', () => {
    fc.assert(
      fc.property(bytes, (input) => {
        const script = 'cat in | tee copy | dd bs=7 2>/dev/null | xxd -p | xxd -r -p'
        expect(pipe(input, script)).toEqual(Buffer.from(input))
        expect(pipe(input, 'sed -n p in')).toEqual(Buffer.from(input))
      }),
      { numRuns: 30 },
    )
  })

  test.each(['md5', 'sha1', 'sha256', 'sha512'])('have the %s that Node computes', (algorithm) => {
    fc.assert(
      fc.property(bytes, (input) => {
        const hex = createHash(algorithm).update(input).digest('hex')
        expect(pipe(input, `${algorithm}sum < in`).toString()).toBe(`${hex}  -\n`)
      }),
      { numRuns: 20 },
    )
  })

  test('are deleted by tr as a filter would', () => {
    fc.assert(
      fc.property(bytes, (input) => {
        const kept = input.filter((byte) => byte < 0x30 || byte > 0x39)
        expect(pipe(input, 'tr -d 0-9 < in')).toEqual(Buffer.from(kept))
      }),
      { numRuns: 30 },
    )
  })
})

const text = fc
  .array(fc.string({ unit: fc.constantFrom('a', 'b', 'B', ' ', '1', '0', 'é'), maxLength: 8 }), {
    maxLength: 60,
  })
  .map((all) => all.map((line) => `${line}\n`).join(''))

describe('lines', () => {
  test('are sorted by their bytes', () => {
    fc.assert(
      fc.property(text, (input) => {
        const encoded = Buffer.from(input)
        const wanted = lines(byteString(encoded)).toSorted()
        expect(pipe(encoded, 'sort in').toString('latin1')).toBe(
          wanted.map((line) => `${line}\n`).join(''),
        )
      }),
      { numRuns: 50 },
    )
  })

  test('sort -u, and sort | uniq, leave each once', () => {
    fc.assert(
      fc.property(text, (input) => {
        const once = pipe(Buffer.from(input), 'sort -u in').toString()
        expect(new Set(lines(once)).size).toBe(lines(once).length)
        expect(pipe(Buffer.from(input), 'sort in | uniq').toString()).toBe(once)
      }),
      { numRuns: 30 },
    )
  })

  test('are counted alike by wc, grep, awk, sed and nl', () => {
    fc.assert(
      fc.property(text, (input) => {
        const script = `wc -l < in; grep -c '' in; awk 'END {print NR}' in; cat -n in | tail -n 1 | awk '{print $1+0}'`
        const counts = lines(pipe(Buffer.from(input), script).toString())
        const count = String(lines(input).length)
        const wanted = count === '0' ? [count, count, count] : [count, count, count, count]
        expect(counts).toEqual(wanted)
      }),
      { numRuns: 30 },
    )
  })

  test('diff finds the difference that patches one file into the other', () => {
    fc.assert(
      fc.property(text, text, (one, two) => {
        const made = testMachine()
        made.fs.put('/tmp/one', one)
        made.fs.put('/tmp/two', two)
        const recording = record(made.machine, ['diff', '-U', '100000', 'one', 'two'])
        runToEnd(made)
        const body = lines(recording.out).slice(3)
        const side = (mark: string): string =>
          body
            .filter((line) => line.startsWith(' ') || line.startsWith(mark))
            .map((line) => `${line.slice(1)}\n`)
            .join('')
        expect(recording.exit?.exitCode).toBe(one === two ? 0 : 1)
        if (one === two) return
        expect(side('-')).toBe(one)
        expect(side('+')).toBe(two)
      }),
    )
  })
})

describe('printf', () => {
  const plain = { flags: '', width: 0, precision: undefined }

  test('writes integers in the base that is asked for', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(formatInteger(value, 'd', plain)).toBe(value.toString())
        expect(formatInteger(value, 'x', plain)).toBe(BigInt.asUintN(64, value).toString(16))
        expect(formatInteger(value, 'o', plain)).toBe(BigInt.asUintN(64, value).toString(8))
      }),
    )
  })

  test('writes numbers that read back as themselves at seventeen digits', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(formatFloat(value, 'g', { ...plain, precision: 17 }))).toBe(value)
        expect(Number(formatFloat(value, 'e', { ...plain, precision: 16 }))).toBe(value)
      }),
    )
  })

  test('prints any argument without a NUL as it is', () => {
    const argument = fc
      .string({ unit: 'binary', maxLength: 50 })
      .filter((value) => !value.includes('\0'))
    fc.assert(
      fc.property(argument, (value) => {
        const made = testMachine()
        const recording = record(made.machine, ['printf', '%s', value])
        runToEnd(made)
        expect(recording.out).toBe(new TextDecoder().decode(new TextEncoder().encode(value)))
      }),
      { numRuns: 50 },
    )
  })
})

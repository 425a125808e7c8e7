import { byteString, bytesOf, type ByteString } from '../byte-string.ts'
import type { Invocation, Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Task } from '../wait-set.ts'
import { drain } from './lines.ts'
import { magnitude } from './magnitude.ts'

const hexByte = (byte: number): string => byte.toString(16).padStart(2, '0')

interface Span {
  readonly skip: number
  readonly length: number
  readonly rowBytes: number
}

/** Every byte becomes several, so that a tick is a small piece. */
const readSizeBytes = 512

/** Cuts all inputs, one behind the other, into rows of equal size; the last one may be shorter. */
function* rows(
  invocation: Invocation,
  operands: readonly ByteString[],
  { skip, length, rowBytes }: Span,
  each: (row: Uint8Array, offset: number) => void,
): Task<{ readonly status: number; readonly end: number }> {
  let kept = ''
  let offset = skip
  let skipped = 0
  let left = length
  const status = yield* invocation.eachInput(operands, function* (input) {
    while (left > 0) {
      const bytes = yield* invocation.read(input, readSizeBytes)
      if (bytes.length === 0) return
      const drop = Math.min(skip - skipped, bytes.length)
      skipped += drop
      const taken = byteString(bytes.subarray(drop)).slice(0, left)
      left -= taken.length
      kept += taken
      let at = 0
      for (; at + rowBytes <= kept.length; at += rowBytes) {
        each(bytesOf(kept.slice(at, at + rowBytes)), offset)
        offset += rowBytes
      }
      kept = kept.slice(at)
      if (kept.length > invocation.stringBytesMax) throw new ScriptFault('row too long', 1)
      if (invocation.isFull) yield* drain(invocation)
      yield
    }
  })
  if (kept !== '') each(bytesOf(kept), offset)
  return { status, end: offset + kept.length }
}

function limit(
  values: ReadonlyMap<string, readonly ByteString[]>,
  letter: string,
  absent: number,
): number {
  const text = values.get(letter)?.at(-1)
  if (text === undefined) return absent
  const hex = /^0x[0-9a-fA-F]{1,12}$/.test(text) ? Number(text) : undefined
  const value = hex ?? magnitude(text)
  if (value === undefined) throw new ScriptFault(`invalid -${letter} argument '${text}'`, 1)
  return value
}

/** How `od` writes one unit of input: its size, its width, its text. */
interface UnitFormat {
  readonly sizeBytes: number
  readonly width: number
  readonly show: (bytes: Uint8Array) => string
}

const names = [
  'nul soh stx etx eot enq ack bel bs ht nl vt ff cr so si',
  'dle dc1 dc2 dc3 dc4 nak syn etb can em sub esc fs gs rs us sp',
]
  .join(' ')
  .split(' ')

const cEscapes: Readonly<Record<number, string>> = {
  0: '\\0',
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
}

const asCharacter: UnitFormat = {
  sizeBytes: 1,
  width: 3,
  show: ([byte = 0]) =>
    cEscapes[byte] ??
    (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : byte.toString(8).padStart(3, '0')),
}

const asName: UnitFormat = {
  sizeBytes: 1,
  width: 3,
  show: ([byte = 0]) => {
    const low = byte & 0x7f
    return names[low] ?? (low === 127 ? 'del' : String.fromCharCode(low))
  },
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n
  for (let at = bytes.length - 1; at >= 0; at--) value = (value << 8n) | BigInt(bytes[at] ?? 0)
  return value
}

function unitFormat(type: ByteString): UnitFormat {
  if (type === 'c') return asCharacter
  if (type === 'a') return asName
  const match = /^([xodu])([1248CSIL]?)$/.exec(type)
  if (match === null) throw new ScriptFault(`invalid type string '${type}'`, 1)
  const [, letter = '', size = ''] = match
  const sizeBytes = { C: 1, S: 2, I: 4, L: 8, '': 4 }[size] ?? Number(size)
  const bits = sizeBytes * 8
  if (letter === 'x') {
    const width = sizeBytes * 2
    return {
      sizeBytes,
      width,
      show: (bytes) => littleEndian(bytes).toString(16).padStart(width, '0'),
    }
  }
  if (letter === 'o') {
    const width = Math.ceil(bits / 3)
    return {
      sizeBytes,
      width,
      show: (bytes) => littleEndian(bytes).toString(8).padStart(width, '0'),
    }
  }
  const largest = (2n ** BigInt(letter === 'd' ? bits - 1 : bits)).toString().length
  return {
    sizeBytes,
    width: letter === 'd' ? largest + 1 : largest,
    show: (bytes) => {
      const value = littleEndian(bytes)
      return String(letter === 'd' ? BigInt.asIntN(bits, value) : value)
    },
  }
}

const oldForms: Readonly<Record<string, string>> = {
  a: 'a',
  b: 'o1',
  c: 'c',
  d: 'u2',
  o: 'o2',
  s: 'd2',
  x: 'x2',
}

const roomOf = ({ width, sizeBytes }: UnitFormat): number => (width + 1) / sizeBytes

export const od: Program = function* (invocation) {
  const { flags, values, operands } = invocation.options('A:t:N:j:w:vabcdosx', {
    'address-radix': 'A',
    format: 't',
    'read-bytes': 'N',
    'skip-bytes': 'j',
    width: 'w',
    'output-duplicates': 'v',
  })
  const types = (values.get('t') ?? []).flatMap(
    (text) => text.match(/[a-z][0-9CSIL]*z?/g) ?? [text],
  )
  for (const [letter, type] of Object.entries(oldForms)) if (flags.has(letter)) types.push(type)
  if (types.length === 0) types.push('o2')
  const formats = types.map(unitFormat)
  const radix = values.get('A')?.at(-1) ?? 'o'
  if (!['d', 'o', 'x', 'n'].includes(radix)) {
    throw new ScriptFault(`invalid output address radix '${radix}'`, 1)
  }
  const address = (offset: number): string => {
    if (radix === 'n') return ''
    if (radix === 'x') return offset.toString(16).padStart(6, '0')
    return offset.toString(radix === 'd' ? 10 : 8).padStart(7, '0')
  }
  const rowBytes = Math.max(1, limit(values, 'w', 16))
  const span = { skip: limit(values, 'j', 0), length: limit(values, 'N', Infinity), rowBytes }
  // Several formats are set below each other, so all get the room the widest needs for a byte.
  const room = Math.max(...formats.map(roomOf))
  let last = ''
  let isRepeating = false
  const { status, end } = yield* rows(invocation, operands, span, (row, offset) => {
    const text = byteString(row)
    if (!flags.has('v') && text === last && row.length === rowBytes) {
      if (!isRepeating) invocation.put('*\n')
      isRepeating = true
      return
    }
    last = text
    isRepeating = false
    for (const [index, format] of formats.entries()) {
      const start = address(offset)
      invocation.put(index === 0 ? start : ' '.repeat(start.length))
      for (let at = 0; at < row.length; at += format.sizeBytes) {
        const unit = new Uint8Array(format.sizeBytes)
        unit.set(row.subarray(at, at + format.sizeBytes))
        invocation.put(format.show(unit).padStart(Math.round(room * format.sizeBytes)))
      }
      invocation.put('\n')
    }
  })
  if (radix !== 'n') invocation.put(`${address(end)}\n`)
  return status
}

const printable = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('')

export const hexdump: Program = function* (invocation) {
  const isCanonicalName = invocation.name === 'hd'
  const { flags, values, operands } = invocation.options('Cvn:s:x', {
    canonical: 'C',
    'no-squeezing': 'v',
    length: 'n',
    skip: 's',
  })
  const isCanonical = isCanonicalName || flags.has('C')
  const span = { skip: limit(values, 's', 0), length: limit(values, 'n', Infinity), rowBytes: 16 }
  const digits = isCanonical ? 8 : 7
  let last = ''
  let isRepeating = false
  const { status, end } = yield* rows(invocation, operands, span, (row, offset) => {
    const text = byteString(row)
    if (!flags.has('v') && text === last) {
      if (!isRepeating) invocation.put('*\n')
      isRepeating = true
      return
    }
    last = text
    isRepeating = false
    const start = offset.toString(16).padStart(digits, '0')
    invocation.put(isCanonical ? canonical(start, row) : words(start, row, flags.has('x')))
  })
  if (end > span.skip) invocation.put(`${end.toString(16).padStart(digits, '0')}\n`)
  return status
}

function canonical(start: string, row: Uint8Array): string {
  const half = (from: number): string =>
    Array.from(row.subarray(from, from + 8), (byte) => ` ${hexByte(byte)}`)
      .join('')
      .padEnd(24)
  return `${start} ${half(0)} ${half(8)}  |${printable(row)}|\n`
}

function words(start: string, row: Uint8Array, isWide: boolean): string {
  let text = start
  for (let at = 0; at < 16; at += 2) {
    const width = isWide ? 8 : 5
    const value = ((row[at + 1] ?? 0) << 8) | (row[at] ?? 0)
    text +=
      at < row.length ? value.toString(16).padStart(4, '0').padStart(width) : ' '.repeat(width)
  }
  return `${text}\n`
}

/** `xxd`, `xxd -p` and back with `xxd -r`. */
export const xxd: Program = (invocation) => {
  const { flags, values, operands } = invocation.options('prc:g:l:s:ui', {})
  const [path = '-', extra] = operands
  if (extra !== undefined) throw new ScriptFault('writing to a file is not supported', 1)
  if (flags.has('i')) throw new ScriptFault(`invalid option -- 'i'`, 1)
  if (flags.has('r')) return undump(invocation, path, flags.has('p'))
  return dump(invocation, path, flags, values)
}

function* dump(
  invocation: Invocation,
  path: ByteString,
  flags: ReadonlySet<string>,
  values: ReadonlyMap<string, readonly ByteString[]>,
): Task<number> {
  const isPlain = flags.has('p')
  const rowBytes = limit(values, 'c', isPlain ? 30 : 16) || (isPlain ? Number.MAX_SAFE_INTEGER : 16)
  if (!isPlain && rowBytes > 256) {
    throw new ScriptFault('invalid number of columns (max. 256).', 1)
  }
  const group = limit(values, 'g', 2) || rowBytes
  const span = { skip: limit(values, 's', 0), length: limit(values, 'l', Infinity), rowBytes }
  const show = (byte: number): string =>
    flags.has('u') ? hexByte(byte).toUpperCase() : hexByte(byte)
  const { status } = yield* rows(invocation, [path], span, (row, offset) => {
    if (isPlain) {
      invocation.put(`${Array.from(row, show).join('')}\n`)
      return
    }
    let text = ''
    for (let at = 0; at < rowBytes; at++) {
      if (at % group === 0) text += ' '
      text += at < row.length ? show(row[at] ?? 0) : '  '
    }
    invocation.put(`${offset.toString(16).padStart(8, '0')}:${text}  ${printable(row)}\n`)
  })
  return status
}

function undump(invocation: Invocation, path: ByteString, isPlain: boolean): Task<number> {
  return invocation.eachInput([path], function* (input) {
    const text = yield* invocation.readText(input)
    for (const line of text.split('\n')) {
      const body = isPlain ? line : (/^[0-9a-fA-F]+:\s?(.*?)(?: {2}.*)?$/.exec(line)?.[1] ?? '')
      const digits = body.replace(/[^0-9a-fA-F]/g, '')
      const bytes = new Uint8Array(digits.length >> 1)
      for (let at = 0; at < bytes.length; at++) {
        bytes[at] = Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16)
      }
      invocation.put(byteString(bytes))
      if (invocation.isFull) yield* drain(invocation)
    }
  })
}

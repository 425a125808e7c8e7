import { utf8, utf8Text } from '@conclave/kernel'
import { shownName } from './template-invalid.ts'
import { isFields, isText, isTrue, kindOf, ofField, printed, type Value } from './value.ts'

/*
 * The functions that every template of Go's has, as far as values of this kind need them. `and` and `or` are not
 * here: they look at no more of their operands than they have to.
 */

/** What a function was called with makes no sense. Said in Go's words, without a value. */
export class CallInvalid extends Error {}

export interface Made {
  /** Bytes that were put together, of so many at most: whoever expands wipes them. */
  readonly keep: (pieces: readonly Uint8Array[]) => Uint8Array
  /** Bytes that are on the way into something else. */
  readonly note: (bytes: Uint8Array) => Uint8Array
}

type Builtin = (values: readonly Value[], made: Made) => Value

const counted =
  (least: number, most: number, name: string, builtin: Builtin): Builtin =>
  (values, made) => {
    if (values.length >= least && values.length <= most) return builtin(values, made)
    throw new WrongCount(name, least, values.length)
  }

export class WrongCount extends CallInvalid {
  constructor(name: string, want: number | `at least ${number}`, got: number) {
    super(`wrong number of args for ${name}: want ${want} got ${got}`)
  }
}

/** What was given in this place is no text. */
export class NoText extends CallInvalid {
  readonly place: number
  readonly value: Value

  constructor(place: number, value: Value) {
    super('expected string')
    this.place = place
    this.value = value
  }
}

/** What was given in a place, which must be a text. */
export function textIn(value: Value, place: number): Uint8Array {
  if (isText(value)) return value
  throw new NoText(place, value)
}

function isSame(a: Value, b: Value): boolean {
  if (isFields(a) || isFields(b)) throw new CallInvalid('non-comparable type')
  if (kindOf(a) !== kindOf(b)) throw new CallInvalid('incompatible types for comparison')
  return isText(a) && isText(b) ? Buffer.compare(a, b) === 0 : a === b
}

/** Below 0, 0, or above it. */
function order(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (isText(a) && isText(b)) return Buffer.compare(a, b)
  const isOfOneKind = kindOf(a) === kindOf(b)
  throw new CallInvalid(
    isOfOneKind ? 'invalid type for comparison' : 'incompatible types for comparison',
  )
}

const compared = (name: string, holds: (order: number) => boolean): Builtin =>
  counted(2, 2, name, ([a = 0, b = 0]) => holds(order(a, b)))

/** Beside `and` and `or`. */
export const builtins: Readonly<Record<string, Builtin>> = {
  not: counted(1, 1, 'not', ([value = false]) => !isTrue(value)),
  eq: ([first, ...others]) => {
    if (first === undefined) throw new WrongCount('eq', 'at least 1', 0)
    if (others.length === 0) throw new CallInvalid('missing argument for comparison')
    return others.some((other) => isSame(first, other))
  },
  ne: counted(2, 2, 'ne', ([a = 0, b = 0]) => !isSame(a, b)),
  lt: compared('lt', (by) => by < 0),
  le: compared('le', (by) => by <= 0),
  gt: compared('gt', (by) => by > 0),
  ge: compared('ge', (by) => by >= 0),
  len: counted(1, 1, 'len', ([value = 0]) => {
    if (isText(value)) return value.length
    if (isFields(value)) return Object.keys(value).length
    throw new CallInvalid(`len of type ${kindOf(value)}`)
  }),
  index: counted(2, 2, 'index', ([of = 0, key = 0]) => {
    if (!isFields(of)) throw new CallInvalid('it is for labels alone')
    const name = utf8Text(textIn(key, 1))
    return ofField(Object.hasOwn(of, name) ? (of[name] ?? '') : '')
  }),
  join: ([separator, ...texts], { keep }) => {
    if (separator === undefined) throw new WrongCount('join', 'at least 1', 0)
    const between = textIn(separator, 0)
    const pieces = texts.map((text, at) => textIn(text, at + 1))
    return keep(pieces.flatMap((piece, at) => (at === 0 ? [piece] : [between, piece])))
  },
  print: (values, { keep }) =>
    keep(
      values.flatMap((value, at) => {
        const before = values[at - 1]
        // Go puts a blank between two operands of which neither is a text.
        const isApart = before !== undefined && !isText(before) && !isText(value)
        return isApart ? [blank, printed(value)] : [printed(value)]
      }),
    ),
  println: (values, { keep }) =>
    keep([
      ...values.flatMap((value, at) => (at === 0 ? [printed(value)] : [blank, printed(value)])),
      utf8('\n'),
    ]),
  printf: ([format, ...values], made) => {
    if (format === undefined) throw new WrongCount('printf', 'at least 1', 0)
    return made.keep(formatted(textIn(format, 0), values, made))
  },
}

const blank = utf8(' ')
const percent = '%'.charCodeAt(0)
const widthMax = 1000

/** As Go formats, with the verbs that texts, numbers and booleans have; others are refused. */
function formatted(
  format: Uint8Array,
  values: readonly Value[],
  made: Made,
): readonly Uint8Array[] {
  const pieces: Uint8Array[] = []
  let next = 0
  for (let at = 0; at < format.length;) {
    const begin = format.indexOf(percent, at)
    const end = begin === -1 ? format.length : begin
    pieces.push(format.subarray(at, end))
    if (begin === -1) break
    // A verb is plain letters: what is looked at is never a value.
    const head = Buffer.from(format.subarray(begin, begin + 16)).toString('latin1')
    const found = /^%([-+0]*)(\d{0,4})([a-zA-Z%])/.exec(head)
    if (found === null) throw new CallInvalid('printf: a verb that is not supported')
    const [whole, flags = '', width = '', verb = ''] = found
    at = begin + whole.length
    if (verb === '%') {
      pieces.push(utf8('%'))
      continue
    }
    const value = values[next++]
    if (value === undefined) throw new CallInvalid(`printf: nothing is given for %${verb}`)
    pieces.push(...padded(shownAs(verb, flags, value, made), flags, Number(width), value))
  }
  if (next < values.length) throw new CallInvalid('printf: more is given than the format says')
  return pieces
}

function shownAs(verb: string, flags: string, value: Value, made: Made): Uint8Array {
  const isNumber = typeof value === 'number'
  const sign = isNumber && value >= 0 && flags.includes('+') ? '+' : ''
  switch (verb) {
    case 'v':
      return isNumber ? utf8(`${sign}${value}`) : printed(value)
    case 's':
      if (isText(value)) return value
      break
    case 'd':
      if (isNumber) return utf8(`${sign}${value}`)
      break
    case 't':
      if (typeof value === 'boolean') return utf8(String(value))
      break
    case 'x':
      if (isNumber) return utf8(`${sign}${value.toString(16)}`)
      if (isText(value)) return made.note(hex(value, '0123456789abcdef'))
      break
    case 'X':
      if (isNumber) return utf8(`${sign}${value.toString(16).toUpperCase()}`)
      if (isText(value)) return made.note(hex(value, '0123456789ABCDEF'))
      break
    default:
      throw new CallInvalid(`printf: %${shownName(verb)} is not supported`)
  }
  throw new CallInvalid(`printf: %${verb} is not for a ${kindOf(value)}`)
}

/** In bytes all the way: it may be a secret. */
function hex(bytes: Uint8Array, digits: string): Uint8Array {
  const shown = new Uint8Array(bytes.length * 2)
  for (const [at, byte] of bytes.entries()) {
    shown[at * 2] = digits.charCodeAt(byte >> 4)
    shown[at * 2 + 1] = digits.charCodeAt(byte & 15)
  }
  return shown
}

function padded(
  shown: Uint8Array,
  flags: string,
  width: number,
  value: Value,
): readonly Uint8Array[] {
  if (width > widthMax) throw new CallInvalid('printf: the width is too large')
  const missing = Math.max(0, width - runesIn(shown))
  if (missing === 0) return [shown]
  if (flags.includes('-')) return [shown, utf8(' '.repeat(missing))]
  if (!flags.includes('0')) return [utf8(' '.repeat(missing)), shown]
  const isSigned = typeof value === 'number' && (shown[0] === 0x2d || shown[0] === 0x2b)
  const zeros = utf8('0'.repeat(missing))
  return isSigned ? [shown.subarray(0, 1), zeros, shown.subarray(1)] : [zeros, shown]
}

/** Go counts characters: bytes that begin one. */
const runesIn = (text: Uint8Array): number =>
  text.reduce((count, byte) => count + ((byte & 0xc0) === 0x80 ? 0 : 1), 0)

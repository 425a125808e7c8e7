import type { ByteString } from '../byte-string.ts'
import type { Invocation, Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Task } from '../wait-set.ts'
import { drain } from './lines.ts'

/** Text behind its escapes, and whether `\c` in it ends all output. */
interface Unescaped {
  readonly text: ByteString
  readonly isLast: boolean
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  e: '\u001b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
}

/**
 * Replaces escapes.
 *
 * @param hasZeroOctal whether octal is `\0nnn`, as `echo` and `%b` want it, beside `\nnn` of a format
 */
export function unescape(source: ByteString, hasZeroOctal: boolean): Unescaped {
  if (!source.includes('\\')) return { text: source, isLast: false }
  let text = ''
  let at = 0
  while (at < source.length) {
    const character = source[at] ?? ''
    if (character !== '\\' || at + 1 === source.length) {
      text += character
      at++
      continue
    }
    const letter = source[at + 1] ?? ''
    if (letter === 'c') return { text, isLast: true }
    const octal = (hasZeroOctal ? /^(?:0([0-7]{0,3})|([1-7][0-7]{0,2}))/ : /^()([0-7]{1,3})/).exec(
      source.slice(at + 1, at + 5),
    )
    const hex = /^x([0-9a-fA-F]{1,2})/.exec(source.slice(at + 1, at + 4))
    const simple = Object.hasOwn(simpleEscapes, letter) ? simpleEscapes[letter] : undefined
    if (simple !== undefined) {
      text += simple
      at += 2
    } else if (octal !== null) {
      text += String.fromCharCode(Number.parseInt(octal[1] || octal[2] || '0', 8) & 0xff)
      at += 1 + octal[0].length
    } else if (hex !== null) {
      text += String.fromCharCode(Number.parseInt(hex[1] ?? '', 16))
      at += 1 + hex[0].length
    } else {
      text += `\\${letter}`
      at += 2
    }
  }
  return { text, isLast: false }
}

/**
 * `echo`, as dash has it: escapes are replaced. Beside `-n` it knows `-e` and `-E` of other shells,
 * since scripts written for those would print them.
 */
export const echo: Program = (invocation) => {
  const words = [...invocation.args]
  let isEnded = true
  let escapes = true
  while (/^-[neE]+$/.test(words[0] ?? '')) {
    const letters = words.shift() ?? ''
    if (letters.includes('n')) isEnded = false
    if (letters.includes('E')) escapes = false
    if (letters.includes('e')) escapes = true
  }
  const line = words.join(' ')
  const { text, isLast } = escapes ? unescape(line, true) : { text: line, isLast: false }
  return invocation.answer(isEnded && !isLast ? `${text}\n` : text)
}

/** One piece of a format: text as it is, or a conversion with what stands between `%` and its letter. */
export type Piece =
  | { readonly type: 'text'; readonly text: ByteString }
  | {
      readonly type: 'conversion'
      readonly letter: string
      readonly flags: string
      readonly width: string
      readonly precision: string | undefined
    }

const conversion = /%([-+ 0#]*)(\*|\d*)(?:\.(\*|-?\d*))?(?:hh|h|ll|l|L|q|j|z|t)?([a-zA-Z%])/y

/**
 * Takes a format apart.
 *
 * @param hasEscapes whether backslashes in its text are still to be read
 * @throws ScriptFault for a conversion that nobody knows
 */
export function parseFormat(
  format: ByteString,
  hasEscapes = true,
): {
  readonly pieces: readonly Piece[]
  readonly isLast: boolean
} {
  const pieces: Piece[] = []
  let at = 0
  while (at < format.length) {
    const percent = format.indexOf('%', at)
    const end = percent < 0 ? format.length : percent
    if (end > at) {
      const source = format.slice(at, end)
      const { text, isLast } = hasEscapes
        ? unescape(source, false)
        : { text: source, isLast: false }
      pieces.push({ type: 'text', text })
      if (isLast) return { pieces, isLast }
    }
    if (percent < 0) break
    conversion.lastIndex = percent
    const match = conversion.exec(format)
    if (match === null)
      throw new ScriptFault(`${format.slice(percent)}: missing format character`, 1)
    const [whole, flags = '', width = '', precision, letter = ''] = match
    if (!'%bcsdiuoxXeEfFgGq'.includes(letter)) {
      throw new ScriptFault(`${whole}: invalid directive`, 1)
    }
    if (letter === '%') pieces.push({ type: 'text', text: '%' })
    else pieces.push({ type: 'conversion', letter, flags, width, precision })
    at = percent + whole.length
  }
  return { pieces, isLast: false }
}

/** How wide a field may be made: beyond it nobody reads, and memory would go. */
export const widthMax = 65_536

/** One number, width and precision as C's `printf` writes it. */
export interface Shape {
  readonly flags: string
  readonly width: number
  readonly precision: number | undefined
}

export function pad(text: ByteString, { flags, width }: Shape, isNumber = false): ByteString {
  if (text.length >= width) return text
  if (flags.includes('-')) return text.padEnd(width)
  if (!isNumber || !flags.includes('0')) return text.padStart(width)
  const sign = /^[-+ ]?(0[xX])?/.exec(text)?.[0] ?? ''
  return sign + text.slice(sign.length).padStart(width - sign.length, '0')
}

/** An integer of 64 bits in the base that `letter` asks for. */
export function formatInteger(value: bigint, letter: string, shape: Shape): ByteString {
  const { flags, precision } = shape
  const isSigned = letter === 'd' || letter === 'i'
  const whole = isSigned ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)
  const base = letter === 'o' ? 8 : letter === 'x' || letter === 'X' ? 16 : 10
  let digits = (whole < 0n ? -whole : whole).toString(base)
  if (letter === 'X') digits = digits.toUpperCase()
  if (precision === 0 && whole === 0n) digits = ''
  digits = digits.padStart(precision ?? 0, '0')
  if (flags.includes('#') && base === 8 && !digits.startsWith('0')) digits = `0${digits}`
  if (flags.includes('#') && base === 16 && whole !== 0n) digits = `0${letter}${digits}`
  const plus = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
  const sign = whole < 0n ? '-' : isSigned ? plus : ''
  const fillsZeros = precision === undefined
  return pad(
    sign + digits,
    fillsZeros ? shape : { ...shape, flags: flags.replaceAll('0', '') },
    true,
  )
}

/** A floating-point number as `%e %f %g` write it. */
export function formatFloat(value: number, letter: string, shape: Shape): ByteString {
  const { flags } = shape
  const precision = Math.min(shape.precision ?? 6, decimalsMax)
  const plus = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
  const isNegative = value < 0 || Object.is(value, -0)
  const magnitude = Math.abs(value)
  let digits: string
  if (!Number.isFinite(value)) {
    digits = Number.isNaN(value) ? 'nan' : 'inf'
    if (letter >= 'A' && letter <= 'Z') digits = digits.toUpperCase()
    const sign = isNegative ? '-' : plus
    return pad(sign + digits, { ...shape, flags: flags.replaceAll('0', '') })
  }
  const kind = letter.toLowerCase()
  if (kind === 'f') digits = fixed(magnitude, precision)
  else if (kind === 'e') digits = exponential(magnitude, precision)
  else digits = general(magnitude, precision, flags.includes('#'))
  if (letter === 'E' || letter === 'G') digits = digits.toUpperCase()
  return pad((isNegative ? '-' : plus) + digits, shape, true)
}

/**
 * JavaScript rounds 0.5 up where C rounds to the even neighbour. Only a value that lies exactly between
 * two neighbours is rounded anew: its decimals end with a 5 right behind the last one that is kept.
 *
 * @param exact many more decimals than `rounded`, up to where the value ends
 */
function halfToEven(rounded: string, exact: string): string {
  const [digits = ''] = /^[\d.]+/.exec(rounded) ?? []
  const [all = ''] = /^[\d.]+/.exec(exact) ?? []
  const tail = all.slice(digits.length).replace('.', '')
  if (!/^50*$/.test(tail) || rounded.length - digits.length !== exact.length - all.length)
    return rounded
  const truncated = all.slice(0, digits.length)
  const isEven = '02468'.includes(truncated.at(-1) ?? '')
  return isEven ? truncated + rounded.slice(digits.length) : rounded
}

const decimalsMax = 100

// `toFixed` gives up at 10^21 and answers with an exponent.
function fixed(magnitude: number, precision: number): string {
  if (magnitude < 1e21) {
    return halfToEven(magnitude.toFixed(precision), magnitude.toFixed(decimalsMax))
  }
  const whole = BigInt(magnitude).toString()
  return precision === 0 ? whole : `${whole}.${'0'.repeat(precision)}`
}

function exponential(magnitude: number, precision: number): string {
  const text = halfToEven(magnitude.toExponential(precision), magnitude.toExponential(decimalsMax))
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

function general(magnitude: number, precision: number, keepsZeros: boolean): string {
  const digits = Math.max(precision, 1)
  const exponent = magnitude === 0 ? 0 : Number(exponential(magnitude, digits - 1).split('e')[1])
  if (exponent < -4 || exponent >= digits) {
    const [mantissa = '', power = ''] = exponential(magnitude, digits - 1).split('e')
    return `${keepsZeros ? mantissa : trimZeros(mantissa)}e${power}`
  }
  const text = fixed(magnitude, Math.min(digits - 1 - exponent, decimalsMax))
  return keepsZeros ? text : trimZeros(text)
}

const trimZeros = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)

/** What a numeric argument holds, and what is wrong with it. */
function numeric(argument: ByteString): { value: bigint; fault?: string } {
  if (argument === '') return { value: 0n }
  if (argument.startsWith("'") || argument.startsWith('"')) {
    return { value: BigInt(argument.length > 1 ? argument.charCodeAt(1) : 0) }
  }
  const match = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)/.exec(argument)
  if (match === null) return { value: 0n, fault: `${argument}: expected numeric value` }
  const [whole, sign = '', digits = '0'] = match
  const isOctal = /^0[0-7]+$/.test(digits)
  const magnitude = BigInt(isOctal ? `0o${digits.slice(1)}` : digits)
  const value = sign === '-' ? -magnitude : magnitude
  if (whole.length < argument.length)
    return { value, fault: `${argument}: not completely converted` }
  return { value }
}

function floating(argument: ByteString): { value: number; fault?: string } {
  const match = /^\s*[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf|nan)/i.exec(
    argument,
  )
  if (argument === '') return { value: 0 }
  if (match === null)
    return { value: Number(numeric(argument).value), fault: `${argument}: expected numeric value` }
  const text = match[0].trim().toLowerCase()
  const value = text.endsWith('inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text)
  if (match[0].length < argument.length)
    return { value, fault: `${argument}: not completely converted` }
  return { value }
}

/** `printf FORMAT [ARGUMENT]...`: the format is used again until the arguments are gone. */
export const printf: Program = (invocation) => {
  const args = invocation.args[0] === '--' ? invocation.args.slice(1) : invocation.args
  const [format, ...operands] = args
  if (format === undefined) throw new ScriptFault('usage: printf format [arg ...]', 2)
  const { pieces, isLast } = parseFormat(format)
  const hasConversions = pieces.some(({ type }) => type === 'conversion')
  if (!hasConversions)
    return invocation.answer(
      pieces.map((piece) => (piece.type === 'text' ? piece.text : '')).join(''),
    )
  return print(invocation, pieces, operands, isLast)
}

function* print(
  invocation: Invocation,
  pieces: readonly Piece[],
  operands: readonly ByteString[],
  isLast: boolean,
): Task<number> {
  let at = 0
  let status = 0
  const next = (): ByteString => operands[at++] ?? ''
  for (;;) {
    for (const piece of pieces) {
      if (piece.type === 'text') {
        invocation.put(piece.text)
        continue
      }
      let { flags } = piece
      let width = Number(piece.width === '*' ? numeric(next()).value : piece.width)
      if (width < 0) {
        flags += '-'
        width = -width
      }
      const given = piece.precision === '*' ? String(numeric(next()).value) : piece.precision
      const precision = given === undefined || given.startsWith('-') ? undefined : Number(given)
      const shape = {
        flags,
        width: Math.min(width, widthMax),
        precision: precision === undefined ? undefined : Math.min(precision, widthMax),
      }
      const argument = next()
      if (piece.letter === 'b') {
        const unescaped = unescape(argument, true)
        invocation.put(pad(unescaped.text.slice(0, precision), shape))
        if (unescaped.isLast) return status
        continue
      }
      const { text, fault } = converted(piece.letter, argument, shape)
      if (fault !== undefined) {
        yield* invocation.flush()
        yield* invocation.complain(fault)
        status = 1
      }
      invocation.put(text)
      if (invocation.isFull) yield* drain(invocation)
    }
    if (at >= operands.length || isLast) return status
    yield
  }
}

function converted(
  letter: string,
  argument: ByteString,
  shape: Shape,
): { readonly text: ByteString; readonly fault?: string | undefined } {
  if (letter === 's') return { text: pad(argument.slice(0, shape.precision), shape) }
  if (letter === 'c') return { text: pad(argument.slice(0, 1), shape) }
  if (letter === 'q') return { text: pad(quoted(argument), shape) }
  if ('eEfFgG'.includes(letter)) {
    const { value, fault } = floating(argument)
    return { text: formatFloat(value, letter, shape), fault }
  }
  const { value, fault } = numeric(argument)
  return { text: formatInteger(value, letter, shape), fault }
}

const quoted = (text: ByteString): ByteString =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`

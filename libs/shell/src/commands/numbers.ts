import type { ByteString } from '../byte-string.ts'
import type { Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { compileRegex, RegexMalformed } from '../regex/posix.ts'
import type { Task } from '../wait-set.ts'
import { drain } from './lines.ts'
import { leadingOptions, withArguments } from './arguments.ts'
import { formatFloat, pad } from './printf.ts'

const decimal = /^[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d{1,3})?$/i

/** Counting in units of the last decimal has to stay exact. */
const precisionMax = 15

const places = (text: ByteString): number => /\.(\d+)/.exec(text)?.[1]?.length ?? 0

export const seq: Program = function* (invocation) {
  // A negative number is an operand, not an option.
  const cut = invocation.args.findIndex((arg) => decimal.test(arg))
  const args =
    cut < 0
      ? invocation.args
      : [...invocation.args.slice(0, cut), '--', ...invocation.args.slice(cut)]
  const { flags, values, operands } = leadingOptions(withArguments(invocation, args), 'ws:f:t:', {
    'equal-width': 'w',
    separator: 's',
    format: 'f',
  })
  const numbers = operands.filter((text) => text !== '--')
  if (numbers.length === 0) throw new ScriptFault('missing operand', 1)
  if (numbers.length > 3) throw new ScriptFault(`extra operand '${numbers[3] ?? ''}'`, 1)
  for (const text of numbers) {
    if (!decimal.test(text)) throw new ScriptFault(`invalid floating point argument: '${text}'`, 1)
  }
  const [firstText = '1', stepText = '1', lastText = ''] =
    numbers.length === 1
      ? ['1', '1', numbers[0]]
      : numbers.length === 2
        ? [numbers[0], '1', numbers[1]]
        : numbers
  const step = Number(stepText)
  if (step === 0) throw new ScriptFault(`invalid Zero increment value: '${stepText}'`, 1)
  const precision = Math.max(places(firstText), places(stepText))
  if (precision > precisionMax) throw new ScriptFault(`too many decimals: '${firstText}'`, 1)
  // Counted in units of the last decimal place, so that 0.1 + 0.2 stays 0.3.
  const scale = 10 ** precision
  const first = Math.round(Number(firstText) * scale)
  const increment = Math.round(step * scale)
  const last = Number(lastText) * scale
  const format = values.get('f')?.at(-1)
  const show = (units: number): string => (units / scale).toFixed(precision)
  const count = Math.floor((last - first) / increment + 1e-9)
  const width = flags.has('w')
    ? Math.max(show(first).length, show(first + Math.max(0, count) * increment).length)
    : 0
  const separator = values.get('s')?.at(-1) ?? '\n'
  for (let at = 0; at <= count; at++) {
    const text =
      format === undefined
        ? show(first + at * increment)
        : formatted(format, (first + at * increment) / scale)
    const shape = { flags: '0', width, precision: undefined }
    invocation.put((at === 0 ? '' : separator) + pad(text, shape, true))
    if (invocation.isFull) yield* drain(invocation)
    if (at % 200 === 199) yield
  }
  if (count >= 0) invocation.put('\n')
  return 0
}

function formatted(format: ByteString, value: number): ByteString {
  const match = /^((?:[^%]|%%)*)%([-+ 0#]*)(\d*)(?:\.(\d+))?([efgEFG])((?:[^%]|%%)*)$/.exec(format)
  if (match === null) throw new ScriptFault(`format '${format}' has no % directive`, 1)
  const [, before = '', flags = '', width = '', precision, letter = '', behind = ''] = match
  const shape = {
    flags,
    width: Math.min(Number(width), 4096),
    precision: precision === undefined ? undefined : Number(precision),
  }
  return (
    before.replaceAll('%%', '%') + formatFloat(value, letter, shape) + behind.replaceAll('%%', '%')
  )
}

const depthMax = 100

/** `expr`: 0 when the result is neither empty nor zero, 1 when it is, 2 when it is no expression. */
export const expr: Program = function* (invocation) {
  const words = invocation.args[0] === '--' ? invocation.args.slice(1) : invocation.args
  if (words.length === 0) throw new ScriptFault('missing operand', 2)
  const value = yield* new Expression(words).whole()
  invocation.put(`${value}\n`)
  return isNull(value) ? 1 : 0
}

const isNull = (value: ByteString): boolean => value === '' || /^-?0+$/.test(value)

const isInteger = (text: ByteString): boolean => /^-?\d{1,1000}$/.test(text)

function integer(text: ByteString): bigint {
  if (!isInteger(text)) throw new ScriptFault('non-integer argument', 2)
  return BigInt(text)
}

const precedence: readonly ReadonlySet<string>[] = [
  new Set(['|']),
  new Set(['&']),
  new Set(['<', '<=', '=', '==', '!=', '>=', '>']),
  new Set(['+', '-']),
  new Set(['*', '/', '%']),
  new Set([':']),
]

class Expression {
  readonly #words: readonly ByteString[]
  #at = 0
  #depth = 0

  constructor(words: readonly ByteString[]) {
    this.#words = words
  }

  *whole(): Task<ByteString> {
    const value = yield* this.#level(0)
    const rest = this.#words[this.#at]
    if (rest !== undefined) throw new ScriptFault(`syntax error: unexpected argument '${rest}'`, 2)
    return value
  }

  *#level(level: number): Task<ByteString> {
    const operators = precedence[level]
    if (operators === undefined) return yield* this.#primary()
    let left = yield* this.#level(level + 1)
    for (;;) {
      const operator = this.#words[this.#at]
      if (operator === undefined || !operators.has(operator)) return left
      this.#at++
      left = yield* apply(operator, left, yield* this.#level(level + 1))
    }
  }

  *#primary(): Task<ByteString> {
    if (++this.#depth > depthMax) throw new ScriptFault('expression too deep', 2)
    const word = this.#next()
    const value = yield* this.#term(word)
    this.#depth--
    return value
  }

  *#term(word: ByteString): Task<ByteString> {
    switch (word) {
      case '(': {
        const value = yield* this.#level(0)
        if (this.#next() !== ')') throw new ScriptFault("syntax error: expecting ')'", 2)
        return value
      }
      case '+':
        return this.#next()
      case 'length':
        return String((yield* this.#primary()).length)
      case 'match': {
        const text = yield* this.#primary()
        return yield* apply(':', text, yield* this.#primary())
      }
      case 'index': {
        const text = yield* this.#primary()
        const letters = yield* this.#primary()
        const at = Array.from(text).findIndex((letter) => letters.includes(letter))
        return String(at + 1)
      }
      case 'substr': {
        const text = yield* this.#primary()
        const from = yield* this.#primary()
        const length = yield* this.#primary()
        if (!isInteger(from) || !isInteger(length)) return ''
        const start = Number(from)
        const count = Number(length)
        return start < 1 || count < 1 ? '' : text.slice(start - 1, start - 1 + count)
      }
      default:
        return word
    }
  }

  #next(): ByteString {
    const word = this.#words[this.#at++]
    if (word === undefined) {
      const last = this.#words.at(-1) ?? ''
      throw new ScriptFault(`syntax error: missing argument after '${last}'`, 2)
    }
    return word
  }
}

function* apply(operator: ByteString, left: ByteString, right: ByteString): Task<ByteString> {
  switch (operator) {
    case '|':
      return isNull(left) ? (isNull(right) ? '0' : right) : left
    case '&':
      return isNull(left) || isNull(right) ? '0' : left
    case '+':
      return String(integer(left) + integer(right))
    case '-':
      return String(integer(left) - integer(right))
    case '*':
      return String(integer(left) * integer(right))
    case '/':
    case '%': {
      const divisor = integer(right)
      if (divisor === 0n) throw new ScriptFault('division by zero', 2)
      return String(operator === '/' ? integer(left) / divisor : integer(left) % divisor)
    }
    case ':':
      return yield* matched(left, right)
    default:
      return compare(operator, left, right) ? '1' : '0'
  }
}

function compare(operator: ByteString, left: ByteString, right: ByteString): boolean {
  const areNumbers = isInteger(left) && isInteger(right)
  const order = areNumbers
    ? Number(BigInt(left) > BigInt(right)) - Number(BigInt(left) < BigInt(right))
    : Number(left > right) - Number(left < right)
  switch (operator) {
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '!=':
      return order !== 0
    case '>=':
      return order >= 0
    case '>':
      return order > 0
    default:
      return order === 0
  }
}

/** What the first group matched, or how many bytes all of it did. Always from the start of the text. */
function* matched(text: ByteString, pattern: ByteString): Task<ByteString> {
  try {
    const regex = compileRegex(pattern, 'basic', { needsGroups: true })
    const match = yield* regex.search(text)
    const hasGroup = regex.groupCount > 0
    if (match === undefined || match.start !== 0) return hasGroup ? '' : '0'
    if (!hasGroup) return String(match.end)
    const start = match.groups[2] ?? -1
    return start < 0 ? '' : text.slice(start, match.groups[3])
  } catch (refusal) {
    if (refusal instanceof RegexMalformed) throw new ScriptFault(refusal.message, 2)
    throw refusal
  }
}

/* oxlint-disable typescript/consistent-return -- the compiler proves that the switches are exhaustive */
import type { ByteString } from '../byte-string.ts'
import { ScriptFault } from './script-fault.ts'

/** A signed 64-bit integer: a number while it is a safe one, else a bigint. */
export type Integer = number | bigint

export type Expression =
  | { readonly type: 'number'; readonly value: Integer }
  | { readonly type: 'variable'; readonly name: ByteString }
  | { readonly type: 'unary'; readonly operator: string; readonly operand: Expression }
  | {
      readonly type: 'binary'
      readonly operator: string
      readonly left: Expression
      readonly right: Expression
    }
  | {
      readonly type: 'ternary'
      readonly test: Expression
      readonly whenTrue: Expression
      readonly whenFalse: Expression
    }
  | {
      readonly type: 'assign'
      readonly name: ByteString
      /** `` for plain `=`, or the operator of `+=` and its like. */
      readonly operator: string
      readonly value: Expression
    }
  | {
      readonly type: 'step'
      readonly name: ByteString
      readonly by: 1 | -1
      readonly isPrefix: boolean
    }

/** The variables an expression reads and writes. */
export interface ArithmeticVariables {
  getVariable(name: ByteString): ByteString | undefined
  setVariable(name: ByteString, value: ByteString): void
}

const precedence: Readonly<Record<string, number>> = {
  '||': 1,
  '&&': 2,
  '|': 3,
  '^': 4,
  '&': 5,
  '==': 6,
  '!=': 6,
  '<': 7,
  '<=': 7,
  '>': 7,
  '>=': 7,
  '<<': 8,
  '>>': 8,
  '+': 9,
  '-': 9,
  '*': 10,
  '/': 10,
  '%': 10,
  '**': 12,
}

const assignments = new Set(['=', '+=', '-=', '*=', '/=', '%=', '<<=', '>>=', '&=', '|=', '^='])

const tokenPattern =
  /[ \t\n\r]*(?:(0[xX][0-9a-fA-F]+|[0-9]+(?:#[0-9a-zA-Z@_]+)?)|([A-Za-z_][A-Za-z0-9_]*)|(<<=|>>=|\*\*|\+\+|--|&&|\|\||<<|>>|[-+*/%&|^<>=!]=|[-+*/%&|^<>=!~?:(),]))/y

const endPattern = /[ \t\n\r]*$/y

const depthMax = 200

// A sum of so many terms is a tree that deep.
const tokensMax = 4000

/**
 * Parses an arithmetic expression of the shell: C's operators, `**` and `base#digits` on top.
 *
 * @throws ScriptFault when it is none
 */
export function parseArithmetic(source: ByteString): Expression {
  endPattern.lastIndex = 0
  if (endPattern.test(source)) return { type: 'number', value: 0 }
  const parser = new Parser(source)
  const expression = parser.comma()
  parser.expectEnd()
  return expression
}

interface Token {
  readonly type: 'number' | 'name' | 'operator' | 'end'
  readonly text: string
}

class Parser {
  readonly #source: string
  #at = 0
  #next: Token
  #depth = 0
  #tokens = 0

  constructor(source: string) {
    this.#source = source
    this.#next = this.#scan()
  }

  comma(): Expression {
    let left = this.#assignment()
    while (this.#take(',')) {
      left = { type: 'binary', operator: ',', left, right: this.#assignment() }
    }
    return left
  }

  expectEnd(): void {
    if (this.#next.type !== 'end') throw this.#malformed()
  }

  #assignment(): Expression {
    if (++this.#depth > depthMax) throw new ScriptFault('arithmetic expression: too deep')
    const left = this.#ternary()
    const operator = this.#next.text
    let result = left
    if (this.#next.type === 'operator' && assignments.has(operator)) {
      if (left.type !== 'variable') throw this.#malformed()
      this.#advance()
      const value = this.#assignment()
      result = { type: 'assign', name: left.name, operator: operator.slice(0, -1), value }
    }
    this.#depth--
    return result
  }

  #ternary(): Expression {
    const test = this.#binary(1)
    if (!this.#take('?')) return test
    const whenTrue = this.comma()
    if (!this.#take(':')) throw this.#malformed()
    return { type: 'ternary', test, whenTrue, whenFalse: this.#assignment() }
  }

  #binary(lowest: number): Expression {
    let left = this.#unary()
    for (;;) {
      const operator = this.#next.text
      const strength = this.#next.type === 'operator' ? precedence[operator] : undefined
      if (strength === undefined || strength < lowest) return left
      this.#advance()
      const right = this.#binary(operator === '**' ? strength : strength + 1)
      left = { type: 'binary', operator, left, right }
    }
  }

  #unary(): Expression {
    if (++this.#depth > depthMax) throw new ScriptFault('arithmetic expression: too deep')
    const result = this.#unaryWithin()
    this.#depth--
    return result
  }

  #unaryWithin(): Expression {
    const { type, text } = this.#next
    if (type !== 'operator') return this.#primary()
    if (text === '+' || text === '-' || text === '!' || text === '~') {
      this.#advance()
      return { type: 'unary', operator: text, operand: this.#unary() }
    }
    if (text === '++' || text === '--') {
      this.#advance()
      const operand = this.#unary()
      if (operand.type !== 'variable') {
        // `--5` and `- -x` are two signs, as in dash.
        const once: Expression = { type: 'unary', operator: text[0] ?? '', operand }
        return { type: 'unary', operator: text[0] ?? '', operand: once }
      }
      return { type: 'step', name: operand.name, by: text === '++' ? 1 : -1, isPrefix: true }
    }
    return this.#primary()
  }

  #primary(): Expression {
    const { type, text } = this.#next
    if (type === 'number') {
      this.#advance()
      return { type: 'number', value: literal(text) }
    }
    if (type === 'name') {
      this.#advance()
      for (const [operator, by] of [
        ['++', 1],
        ['--', -1],
      ] as const) {
        if (this.#take(operator)) return { type: 'step', name: text, by, isPrefix: false }
      }
      return { type: 'variable', name: text }
    }
    if (!this.#take('(')) throw this.#malformed()
    const inner = this.comma()
    if (!this.#take(')')) throw this.#malformed()
    return inner
  }

  #take(operator: string): boolean {
    if (this.#next.type !== 'operator' || this.#next.text !== operator) return false
    this.#advance()
    return true
  }

  #advance(): void {
    if (++this.#tokens > tokensMax) throw new ScriptFault('arithmetic expression: too long')
    this.#next = this.#scan()
  }

  #scan(): Token {
    tokenPattern.lastIndex = this.#at
    const match = tokenPattern.exec(this.#source)
    if (match === null) {
      endPattern.lastIndex = this.#at
      if (!endPattern.test(this.#source)) throw this.#malformed()
      this.#at = this.#source.length
      return { type: 'end', text: '' }
    }
    this.#at = tokenPattern.lastIndex
    const [, number, name, operator] = match
    if (number !== undefined) return { type: 'number', text: number }
    if (name !== undefined) return { type: 'name', text: name }
    return { type: 'operator', text: operator ?? '' }
  }

  #malformed(): ScriptFault {
    return new ScriptFault(`arithmetic expression: syntax error: "${this.#source.slice(0, 80)}"`)
  }
}

// Longer than any 64-bit number in any base; BigInt would take long over a million digits.
const literalLengthMax = 80

function literal(text: string): Integer {
  if (text.length > literalLengthMax)
    throw new ScriptFault('arithmetic expression: number too long')
  const hash = text.indexOf('#')
  if (hash > 0) return basedLiteral(Number(text.slice(0, hash)), text.slice(hash + 1))
  if (text.length > 1 && text[0] === '0') {
    if (text[1] === 'x' || text[1] === 'X') return narrow(BigInt(text))
    if (!/^[0-7]+$/.test(text)) throw new ScriptFault(`Illegal number: ${text}`)
    return narrow(BigInt(`0o${text.slice(1)}`))
  }
  return text.length < 16 ? Number(text) : narrow(BigInt(text))
}

const digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ@_'

function basedLiteral(base: number, text: string): Integer {
  let value = 0n
  for (const character of base <= 36 ? text.toLowerCase() : text) {
    const digit = digits.indexOf(character)
    if (base < 2 || base > 64 || digit < 0 || digit >= base) {
      throw new ScriptFault(`Illegal number: ${base}#${text}`)
    }
    value = value * BigInt(base) + BigInt(digit)
  }
  return narrow(value)
}

/** Wraps to 64 bits, as the C type does, and back to a number where that is exact. */
function narrow(value: bigint): Integer {
  const wrapped = BigInt.asIntN(64, value)
  const number = Number(wrapped)
  return Number.isSafeInteger(number) ? number : wrapped
}

const plain = /^[ \t\n]*([-+]?[0-9]+)[ \t\n]*$/

/** The integer a variable holds; nothing counts as 0. @throws ScriptFault for other text */
export function integerOf(text: ByteString | undefined): Integer {
  if (text === undefined || text === '') return 0
  const match = plain.exec(text)
  const decimal = match?.[1]
  if (decimal !== undefined && decimal.length < 16 && !/^[-+]?0[0-9]/.test(decimal)) {
    return Number(decimal)
  }
  const trimmed = text.trim()
  const isNegative = trimmed.startsWith('-')
  const digitsOnly = trimmed.replace(/^[-+]/, '')
  if (!/^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*|[0-9]+#[0-9a-zA-Z@_]+)$/.test(digitsOnly)) {
    throw new ScriptFault(`Illegal number: ${text.slice(0, 80)}`)
  }
  const value = literal(digitsOnly)
  return isNegative ? subtract(0, value) : value
}

const subtract = (left: Integer, right: Integer): Integer => binary('-', left, right)

const isTrue = (value: Integer): boolean => value !== 0

/** The value of an expression. Assignments in it happen. @throws ScriptFault as on division by zero */
export function evaluate(expression: Expression, variables: ArithmeticVariables): Integer {
  switch (expression.type) {
    case 'number':
      return expression.value
    case 'variable':
      return integerOf(variables.getVariable(expression.name))
    case 'unary':
      return unary(expression.operator, evaluate(expression.operand, variables))
    case 'binary': {
      const { operator } = expression
      const left = evaluate(expression.left, variables)
      if (operator === '&&') {
        return isTrue(left) && isTrue(evaluate(expression.right, variables)) ? 1 : 0
      }
      if (operator === '||') {
        return isTrue(left) || isTrue(evaluate(expression.right, variables)) ? 1 : 0
      }
      return binary(operator, left, evaluate(expression.right, variables))
    }
    case 'ternary': {
      const { test, whenTrue, whenFalse } = expression
      return evaluate(isTrue(evaluate(test, variables)) ? whenTrue : whenFalse, variables)
    }
    case 'assign': {
      const { name, operator } = expression
      const value = evaluate(expression.value, variables)
      const before = operator === '' ? 0 : integerOf(variables.getVariable(name))
      const result = operator === '' ? value : binary(operator, before, value)
      variables.setVariable(name, String(result))
      return result
    }
    case 'step': {
      const before = integerOf(variables.getVariable(expression.name))
      const after = binary('+', before, expression.by)
      variables.setVariable(expression.name, String(after))
      return expression.isPrefix ? after : before
    }
  }
}

function unary(operator: string, value: Integer): Integer {
  if (operator === '!') return isTrue(value) ? 0 : 1
  if (operator === '~') return subtract(-1, value)
  return operator === '-' ? subtract(0, value) : value
}

const small = (value: Integer): value is number =>
  typeof value === 'number' && value >= 0 && value <= 0x3fffffff

function binary(operator: string, left: Integer, right: Integer): Integer {
  if (typeof left === 'number' && typeof right === 'number') {
    const quick = binaryOfNumbers(operator, left, right)
    // -0 would print as 0, but divide and compare as something else.
    if (quick !== undefined && Number.isSafeInteger(quick)) return quick + 0
  }
  return binaryOfBigints(operator, BigInt(left), BigInt(right))
}

function binaryOfNumbers(operator: string, left: number, right: number): number | undefined {
  switch (operator) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return right === 0 ? undefined : Math.trunc(left / right)
    case '%':
      return right === 0 ? undefined : left % right
    case '&':
      return small(left) && small(right) ? left & right : undefined
    case '|':
      return small(left) && small(right) ? left | right : undefined
    case '^':
      return small(left) && small(right) ? left ^ right : undefined
    case ',':
      return right
    default:
      return compare(operator, left, right)
  }
}

function binaryOfBigints(operator: string, left: bigint, right: bigint): Integer {
  switch (operator) {
    case '+':
      return narrow(left + right)
    case '-':
      return narrow(left - right)
    case '*':
      return narrow(left * right)
    case '**':
      return power(left, right)
    case '/':
    case '%':
      if (right === 0n) throw new ScriptFault('arithmetic expression: division by zero')
      return narrow(operator === '/' ? left / right : left % right)
    case '<<':
      return narrow(left << (right & 63n))
    case '>>':
      return narrow(left >> (right & 63n))
    case '&':
      return narrow(left & right)
    case '|':
      return narrow(left | right)
    case '^':
      return narrow(left ^ right)
    case ',':
      return narrow(right)
  }
  const truth = compare(operator, left, right)
  if (truth === undefined) throw new ScriptFault('arithmetic expression: syntax error')
  return truth
}

/** 1 or 0; undefined when `operator` compares nothing. */
function compare<T extends number | bigint>(
  operator: string,
  left: T,
  right: T,
): number | undefined {
  switch (operator) {
    case '==':
      return left === right ? 1 : 0
    case '!=':
      return left === right ? 0 : 1
    case '<':
      return left < right ? 1 : 0
    case '<=':
      return left <= right ? 1 : 0
    case '>':
      return left > right ? 1 : 0
    case '>=':
      return left >= right ? 1 : 0
    default:
      return undefined
  }
}

function power(base: bigint, exponent: bigint): Integer {
  if (exponent < 0n) throw new ScriptFault('arithmetic expression: negative exponent')
  let result = 1n
  let square = base
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = BigInt.asIntN(64, result * square)
    square = BigInt.asIntN(64, square * square)
  }
  return narrow(result)
}

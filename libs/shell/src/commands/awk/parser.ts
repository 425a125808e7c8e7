import type { ByteString } from '../../byte-string.ts'
import { fault, tokens, type Token } from './lexer.ts'
import type { Expression, AwkFunction, Place, Rule, Script, Statement } from './syntax.ts'

const depthMax = 200

/** Parses a program of awk. @throws ScriptFault that names the line */
export const parseAwk = (source: ByteString): Script => new Parser(tokens(source)).whole()

const assignments: ReadonlySet<string> = new Set(['+=', '-=', '*=', '/=', '%=', '^='])

const comparisons: ReadonlySet<string> = new Set(['<', '<=', '==', '!=', '>', '>='])

const isPlace = (expression: Expression): expression is Place =>
  expression.type === 'variable' || expression.type === 'element' || expression.type === 'field'

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0
  /** Inside `print a > b`, where `>` is not a comparison. */
  #isInPrint = false

  constructor(all: readonly Token[]) {
    this.#tokens = all
  }

  whole(): Script {
    const rules: Rule[] = []
    const functions = new Map<string, AwkFunction>()
    this.#skipEnds()
    while (this.#peek().type !== 'end') {
      if (this.#is('keyword', 'function') || this.#is('keyword', 'func')) {
        const made = this.#function()
        if (functions.has(made.name)) throw this.#fault(`function ${made.name} is defined twice`)
        functions.set(made.name, made)
      } else rules.push(this.#rule())
      this.#skipEnds()
    }
    return { rules, functions }
  }

  #rule(): Rule {
    for (const [word, type] of [
      ['BEGIN', 'begin'],
      ['END', 'end'],
    ] as const) {
      if (!this.#take('keyword', word)) continue
      return { type, from: undefined, to: undefined, body: this.#block() }
    }
    if (this.#is('symbol', '{')) {
      return { type: 'main', from: undefined, to: undefined, body: this.#block() }
    }
    const from = this.#expression()
    let to: Expression | undefined
    if (this.#take('symbol', ',')) {
      this.#skipNewlines()
      to = this.#expression()
    }
    const body = this.#is('symbol', '{') ? this.#block() : undefined
    return { type: 'main', from, to, body }
  }

  #function(): AwkFunction {
    this.#at++
    const token = this.#next()
    if (token.type !== 'name' && token.type !== 'call') throw this.#fault('syntax error')
    this.#need('(')
    const parameters: string[] = []
    while (!this.#take('symbol', ')')) {
      const parameter = this.#next()
      if (parameter.type !== 'name') throw this.#fault('syntax error')
      parameters.push(parameter.text)
      this.#skipNewlines()
      if (!this.#is('symbol', ')')) this.#need(',')
      this.#skipNewlines()
    }
    this.#skipNewlines()
    return { name: token.text, parameters, body: this.#block() }
  }

  #block(): Statement {
    this.#need('{')
    const body: Statement[] = []
    this.#skipEnds()
    while (!this.#take('symbol', '}')) {
      body.push(this.#statement())
      this.#skipEnds()
    }
    return { type: 'block', body }
  }

  #statement(): Statement {
    this.#deeper()
    const statement = this.#bareStatement()
    this.#depth--
    return statement
  }

  #bareStatement(): Statement {
    if (this.#is('symbol', '{')) return this.#block()
    const token = this.#peek()
    if (token.type === 'keyword') {
      switch (token.text) {
        case 'if':
          return this.#if()
        case 'while': {
          this.#at++
          const test = this.#parenthesized()
          if (this.#take('symbol', ';')) {
            return { type: 'while', test, body: { type: 'block', body: [] } }
          }
          return { type: 'while', test, body: this.#body() }
        }
        case 'do': {
          this.#at++
          const body = this.#body()
          this.#skipEnds()
          if (!this.#take('keyword', 'while')) throw this.#fault('syntax error')
          return { type: 'do', body, test: this.#parenthesized() }
        }
        case 'for':
          return this.#for()
        case 'next':
        case 'nextfile':
        case 'break':
        case 'continue':
          this.#at++
          this.#endStatement()
          return { type: 'leave', how: token.text }
        case 'exit':
        case 'return': {
          this.#at++
          const value = this.#isAtEnd() ? undefined : this.#expression()
          this.#endStatement()
          return { type: token.text, value }
        }
        default:
      }
    }
    const statement = this.#simple()
    this.#endStatement()
    return statement
  }

  #if(): Statement {
    this.#at++
    const test = this.#parenthesized()
    const yes = this.#body()
    const before = this.#at
    this.#skipEnds()
    if (this.#take('keyword', 'else')) return { type: 'if', test, yes, no: this.#body() }
    this.#at = before
    return { type: 'if', test, yes, no: undefined }
  }

  #for(): Statement {
    this.#at++
    this.#need('(')
    const [variable, word, name, close] = this.#tokens.slice(this.#at, this.#at + 4)
    const isOverKeys =
      variable?.type === 'name' &&
      word?.type === 'keyword' &&
      word.text === 'in' &&
      name?.type === 'name' &&
      close?.type === 'symbol' &&
      close.text === ')'
    if (isOverKeys) {
      this.#at += 4
      return { type: 'for-in', variable: variable.text, name: name.text, body: this.#body() }
    }
    const first = this.#is('symbol', ';') ? undefined : this.#simple()
    this.#need(';')
    this.#skipNewlines()
    const test = this.#is('symbol', ';') ? undefined : this.#expression()
    this.#need(';')
    this.#skipNewlines()
    const step = this.#is('symbol', ')') ? undefined : this.#simple()
    this.#need(')')
    if (this.#take('symbol', ';')) {
      return { type: 'for', first, test, step, body: { type: 'block', body: [] } }
    }
    return { type: 'for', first, test, step, body: this.#body() }
  }

  /** What a condition or a loop governs. */
  #body(): Statement {
    this.#skipNewlines()
    if (this.#take('symbol', ';')) return { type: 'block', body: [] }
    return this.#statement()
  }

  #simple(): Statement {
    if (this.#is('keyword', 'print') || this.#is('keyword', 'printf')) return this.#print()
    if (!this.#take('keyword', 'delete')) return { type: 'expression', value: this.#expression() }
    const name = this.#next()
    if (name.type !== 'name') throw this.#fault('syntax error')
    if (!this.#take('symbol', '[')) return { type: 'delete', name: name.text, keys: undefined }
    const keys = this.#list(']')
    return { type: 'delete', name: name.text, keys }
  }

  #print(): Statement {
    const token = this.#next()
    const type = token.type === 'keyword' && token.text === 'printf' ? 'printf' : 'print'
    const before = this.#isInPrint
    this.#isInPrint = true
    let args: readonly Expression[] = []
    if (
      !this.#isAtEnd() &&
      !this.#is('symbol', '>') &&
      !this.#is('symbol', '>>') &&
      !this.#is('symbol', '|')
    ) {
      args = this.#printArguments()
    }
    this.#isInPrint = before
    if (this.#is('symbol', '|')) throw this.#fault('output into commands is not supported')
    const isAppended = this.#take('symbol', '>>')
    const path = isAppended || this.#take('symbol', '>') ? this.#concatenation() : undefined
    return { type, args, path, isAppended }
  }

  /** `print (a, b) > c`: the parenthesis is the list when nothing but the end follows it. */
  #printArguments(): readonly Expression[] {
    if (this.#is('symbol', '(')) {
      const before = this.#at
      this.#at++
      this.#isInPrint = false
      const args = this.#list(')')
      this.#isInPrint = true
      const isWhole =
        this.#isAtEnd() || ['>', '>>', '|'].some((symbol) => this.#is('symbol', symbol))
      if (isWhole) return args
      this.#at = before
    }
    const args = [this.#expression()]
    while (this.#take('symbol', ',')) {
      this.#skipNewlines()
      args.push(this.#expression())
    }
    return args
  }

  #list(close: string): readonly Expression[] {
    const before = this.#isInPrint
    this.#isInPrint = false
    const list: Expression[] = []
    this.#skipNewlines()
    while (!this.#take('symbol', close)) {
      if (list.length > 0) this.#need(',')
      this.#skipNewlines()
      list.push(this.#expression())
      this.#skipNewlines()
    }
    this.#isInPrint = before
    return list
  }

  #parenthesized(): Expression {
    this.#need('(')
    const [test, ...more] = this.#list(')')
    if (test === undefined || more.length > 0) throw this.#fault('syntax error')
    return test
  }

  #expression(): Expression {
    this.#deeper()
    const left = this.#choice()
    this.#depth--
    if (!isPlace(left)) return left
    const token = this.#peek()
    if (token.type !== 'symbol') return left
    if (token.text === '=') {
      this.#at++
      this.#skipNewlines()
      return { type: 'assign', place: left, value: this.#expression() }
    }
    if (!assignments.has(token.text)) return left
    this.#at++
    this.#skipNewlines()
    return {
      type: 'update',
      place: left,
      operator: token.text.slice(0, -1),
      value: this.#expression(),
    }
  }

  #choice(): Expression {
    const test = this.#or()
    if (!this.#take('symbol', '?')) return test
    this.#skipNewlines()
    const yes = this.#expression()
    this.#skipNewlines()
    this.#need(':')
    this.#skipNewlines()
    return { type: 'choice', test, yes, no: this.#expression() }
  }

  #or(): Expression {
    let left = this.#and()
    while (this.#take('symbol', '||')) {
      this.#skipNewlines()
      left = { type: 'logical', operator: '||', left, right: this.#and() }
    }
    return left
  }

  #and(): Expression {
    let left = this.#in()
    while (this.#take('symbol', '&&')) {
      this.#skipNewlines()
      left = { type: 'logical', operator: '&&', left, right: this.#in() }
    }
    return left
  }

  #in(): Expression {
    let left = this.#match()
    while (this.#take('keyword', 'in')) {
      const name = this.#next()
      if (name.type !== 'name') throw this.#fault('syntax error')
      left = { type: 'in', keys: [left], name: name.text }
    }
    return left
  }

  #match(): Expression {
    let left = this.#comparison()
    for (;;) {
      const isNegated = this.#is('symbol', '!~')
      if (!isNegated && !this.#is('symbol', '~')) return left
      this.#at++
      left = { type: 'match', isNegated, text: left, pattern: this.#comparison() }
    }
  }

  #comparison(): Expression {
    const left = this.#concatenation()
    const token = this.#peek()
    if (token.type !== 'symbol' || !comparisons.has(token.text)) return left
    if (token.text === '>' && this.#isInPrint) return left
    this.#at++
    return { type: 'binary', operator: token.text, left, right: this.#concatenation() }
  }

  #concatenation(): Expression {
    let left = this.#additive()
    while (this.#startsOperand()) {
      left = { type: 'binary', operator: ' ', left, right: this.#additive() }
    }
    return left
  }

  /** Whether a value follows without an operator. A sign there would be a sum, so it does not count. */
  #startsOperand(): boolean {
    const token = this.#peek()
    switch (token.type) {
      case 'number':
      case 'string':
      case 'regex':
      case 'name':
      case 'call':
      case 'builtin':
        return true
      case 'symbol':
        return ['(', '$', '!', '++', '--'].includes(token.text)
      default:
        return false
    }
  }

  #additive(): Expression {
    let left = this.#multiplicative()
    for (;;) {
      const operator = ['+', '-'].find((symbol) => this.#is('symbol', symbol))
      if (operator === undefined) return left
      this.#at++
      left = { type: 'binary', operator, left, right: this.#multiplicative() }
    }
  }

  #multiplicative(): Expression {
    let left = this.#unary()
    for (;;) {
      const operator = ['*', '/', '%'].find((symbol) => this.#is('symbol', symbol))
      if (operator === undefined) return left
      this.#at++
      left = { type: 'binary', operator, left, right: this.#unary() }
    }
  }

  #unary(): Expression {
    const operator = ['!', '-', '+'].find((symbol) => this.#is('symbol', symbol))
    if (operator === undefined) return this.#power()
    this.#at++
    this.#deeper()
    const operand = this.#unary()
    this.#depth--
    return { type: 'unary', operator, operand }
  }

  #power(): Expression {
    const left = this.#postfix()
    if (!this.#take('symbol', '^')) return left
    this.#deeper()
    const isSigned = this.#is('symbol', '-') || this.#is('symbol', '+')
    const right = isSigned ? this.#unary() : this.#power()
    this.#depth--
    return { type: 'binary', operator: '^', left, right }
  }

  #postfix(): Expression {
    for (const [symbol, by] of [
      ['++', 1],
      ['--', -1],
    ] as const) {
      if (!this.#take('symbol', symbol)) continue
      const place = this.#primary()
      if (!isPlace(place)) throw this.#fault('syntax error')
      return { type: 'step', place, by, isPrefix: true }
    }
    const operand = this.#primary()
    if (!isPlace(operand)) return operand
    if (this.#take('symbol', '++')) return { type: 'step', place: operand, by: 1, isPrefix: false }
    if (this.#take('symbol', '--')) return { type: 'step', place: operand, by: -1, isPrefix: false }
    return operand
  }

  #primary(): Expression {
    const token = this.#next()
    switch (token.type) {
      case 'number':
        return { type: 'number', value: token.value }
      case 'string':
      case 'regex':
        return { type: token.type, text: token.text }
      case 'name': {
        if (!this.#take('symbol', '[')) return { type: 'variable', name: token.text }
        const keys = this.#list(']')
        if (keys.length === 0) throw this.#fault('syntax error')
        return { type: 'element', name: token.text, keys }
      }
      case 'call':
        this.#need('(')
        return { type: 'call', name: token.text, args: this.#list(')') }
      case 'builtin': {
        if (this.#take('symbol', '('))
          return { type: 'builtin', name: token.text, args: this.#list(')') }
        if (token.text !== 'length') throw this.#fault(`syntax error at or near ${token.text}`)
        return { type: 'builtin', name: 'length', args: [] }
      }
      case 'symbol':
        if (token.text === '$') {
          this.#deeper()
          const index = this.#postfixOfField()
          this.#depth--
          return { type: 'field', index }
        }
        if (token.text === '(') return this.#grouping()
        break
      case 'keyword':
        if (token.text === 'getline') return this.#getline()
        break
      default:
    }
    this.#at--
    throw this.#fault(`syntax error at or near ${this.#shown(token)}`)
  }

  /** What `$` takes: `$NF-1` is `($NF)-1`, and `$i++` is `($i)++`. */
  #postfixOfField(): Expression {
    if (this.#is('symbol', '-') || this.#is('symbol', '+') || this.#is('symbol', '!')) {
      const operator = this.#symbol()
      return { type: 'unary', operator, operand: this.#postfixOfField() }
    }
    if (this.#is('symbol', '++') || this.#is('symbol', '--')) return this.#postfix()
    return this.#primary()
  }

  #grouping(): Expression {
    const list = this.#list(')')
    const [only] = list
    if (list.length === 1 && only !== undefined) return { type: 'group', inner: only }
    if (list.length > 1 && this.#take('keyword', 'in')) {
      const name = this.#next()
      if (name.type === 'name') return { type: 'in', keys: list, name: name.text }
    }
    throw this.#fault('syntax error')
  }

  #getline(): Expression {
    let place: Place | undefined
    const token = this.#peek()
    if (token.type === 'name' || (token.type === 'symbol' && token.text === '$')) {
      const target = this.#primary()
      if (isPlace(target)) place = target
    }
    const path = this.#take('symbol', '<') ? this.#primary() : undefined
    return { type: 'getline', place, path }
  }

  #symbol(): string {
    const token = this.#next()
    return token.type === 'symbol' ? token.text : ''
  }

  /** @throws ScriptFault before a program nested too deep could exhaust the stack */
  #deeper(): void {
    if (++this.#depth > depthMax) throw this.#fault('too deep')
  }

  #endStatement(): void {
    if (this.#is('symbol', '}')) return
    const token = this.#peek()
    if (token.type === 'end') return
    if (token.type === 'newline' || this.#is('symbol', ';')) this.#at++
    else throw this.#fault(`syntax error at or near ${this.#shown(token)}`)
  }

  #isAtEnd(): boolean {
    const token = this.#peek()
    if (token.type === 'newline' || token.type === 'end') return true
    return this.#is('symbol', ';') || this.#is('symbol', '}')
  }

  #skipNewlines(): void {
    while (this.#peek().type === 'newline') this.#at++
  }

  #skipEnds(): void {
    while (this.#peek().type === 'newline' || this.#is('symbol', ';')) this.#at++
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { type: 'end', line: 0 }
  }

  #next(): Token {
    const token = this.#peek()
    this.#at++
    return token
  }

  #is(type: 'keyword' | 'symbol', text: string): boolean {
    const token = this.#peek()
    return token.type === type && token.text === text
  }

  #take(type: 'keyword' | 'symbol', text: string): boolean {
    const isThere = this.#is(type, text)
    if (isThere) this.#at++
    return isThere
  }

  #need(symbol: string): void {
    if (!this.#take('symbol', symbol)) {
      throw this.#fault(`syntax error at or near ${this.#shown(this.#peek())}`)
    }
  }

  #shown(token: Token): string {
    if ('text' in token) return token.text
    if (token.type === 'number') return String(token.value)
    return token.type === 'end' ? 'end of file' : 'end of line'
  }

  #fault(message: string) {
    return fault(this.#peek().line, message)
  }
}

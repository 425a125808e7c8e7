import { bytesOf, type ByteString } from '../../byte-string.ts'
import type { Description } from '../../description.ts'
import { FileSystemError } from '../../file-system.ts'
import { complaint, type Invocation } from '../../invocation.ts'
import { environmentValue } from '../../kernel.ts'
import { ScriptFault } from '../../language/script-fault.ts'
import { compileRegex, RegexMalformed } from '../../regex/posix.ts'
import type { Regex } from '../../regex/regex.ts'
import type { Task } from '../../wait-set.ts'
import { asciiLower, asciiUpper } from '../ascii.ts'
import { formatTime } from '../calendar.ts'
import { formatFloat, formatInteger, pad, parseFormat, widthMax } from '../printf.ts'
import { drain, writeInto } from '../lines.ts'
import { unescapeString } from './lexer.ts'
import { calculate, holds } from './operators.ts'
import { RecordReader } from './record-reader.ts'
import { AwkRecord, splitFields } from './record.ts'
import { posixSource } from './regex-source.ts'
import { replacementPieces, substring } from './strings.ts'
import type { Expression, Place, Rule, Script, Statement } from './syntax.ts'
import {
  cell,
  compareValues,
  inputValue,
  isTrue,
  tableOf,
  toNumber,
  toText,
  type Cell,
  type Table,
  type Value,
} from './value.ts'

/** How a statement was left before its end. */
type Leave = 'next' | 'nextfile' | 'break' | 'continue' | 'exit' | 'return' | undefined

/** How many expressions are one tick. */
const workPerTick = 100

/** How deep functions may call each other, and how many files may be open. */
const recursionMax = 200
const openFilesMax = 32

/** How much a script may have held, in strings of the longest kind; half of it at one time. */
const heldStringsMax = 16

const bytesPerEntry = 64

const regexesMax = 500

/** Runs one script of awk: every method that may take long is a generator. */
export class Run {
  readonly #invocation: Invocation
  readonly #script: Script
  readonly #globals = new Map<string, Cell>()
  readonly #record = new AwkRecord()
  readonly #insideRanges = new Set<Rule>()
  readonly #regexes = new Map<ByteString, Regex>()
  readonly #writers = new Map<ByteString, Description>()
  readonly #readers = new Map<ByteString, RecordReader>()
  readonly #frames: Map<string, Cell>[] = []
  #locals: Map<string, Cell> | undefined
  /** At least as much as the script holds; counted anew when it would be too much. */
  #heldBytes = 0
  #depth = 0
  #work = 0
  #status = 0
  #returned: Value
  #input: RecordReader | undefined
  #operandAt = 1
  #hasReadOperand = false
  #isInputOver = false
  #seed = 0
  #dice = 0

  constructor(invocation: Invocation, script: Script, operands: readonly ByteString[]) {
    this.#invocation = invocation
    this.#script = script
    const set = (name: string, value: Value): void => {
      this.#globals.set(name, cell(value))
    }
    for (const [name, value] of [
      ['FS', ' '],
      ['OFS', ' '],
      ['RS', '\n'],
      ['ORS', '\n'],
      ['SUBSEP', '\u001c'],
      ['CONVFMT', '%.6g'],
      ['OFMT', '%.6g'],
      ['NR', 0],
      ['FNR', 0],
      ['RSTART', 0],
      ['RLENGTH', -1],
      ['FILENAME', undefined],
      ['ARGC', operands.length + 1],
    ] as const) {
      set(name, value)
    }
    const argv = tableOf(this.#cell('ARGV'))
    argv.set('0', 'awk')
    for (const [index, operand] of operands.entries())
      argv.set(String(index + 1), inputValue(operand))
    const environ = tableOf(this.#cell('ENVIRON'))
    for (const [name, value] of invocation.environment) {
      environ.set(name, inputValue(environmentValue(value)))
    }
  }

  /** An assignment of the command line: `name=value`, with escapes. */
  assign(name: string, text: ByteString): void {
    this.#cell(name).value = inputValue(unescapeString(text))
  }

  *whole(): Task<number> {
    try {
      const rules = (type: Rule['type']): Rule[] =>
        this.#script.rules.filter((rule) => rule.type === type)
      let leave = yield* this.#leaving(this.#all(rules('begin')))
      const main = rules('main')
      const ends = rules('end')
      if (leave !== 'exit' && (main.length > 0 || ends.length > 0)) {
        while (leave !== 'exit' && (yield* this.#nextRecord())) {
          leave = yield* this.#leaving(this.#matching(main))
          if (leave === 'nextfile') this.#skipFile()
          if (this.#invocation.isFull) yield* drain(this.#invocation)
        }
      }
      yield* this.#leaving(this.#all(ends))
      return this.#status
    } finally {
      for (const writer of this.#writers.values()) writer.release()
      for (const reader of this.#readers.values()) reader.close()
      this.#input?.close()
    }
  }

  /** `exit` inside of a function left every expression around it. */
  *#leaving(work: Task<Leave>): Task<Leave> {
    try {
      return yield* work
    } catch (fault) {
      if (!(fault instanceof ExitFromFunction)) throw fault
      this.#locals = undefined
      this.#frames.length = 0
      this.#depth = 0
      return 'exit'
    }
  }

  *#all(rules: readonly Rule[]): Task<Leave> {
    for (const { body } of rules) {
      const leave = body === undefined ? undefined : yield* this.#statement(body)
      if (leave === 'exit') return leave
    }
    return undefined
  }

  *#matching(rules: readonly Rule[]): Task<Leave> {
    for (const rule of rules) {
      if (!(yield* this.#isSelected(rule))) continue
      if (rule.body === undefined) {
        this.#invocation.put((yield* this.#wholeRecord()) + this.#text('ORS'))
        continue
      }
      const leave = yield* this.#statement(rule.body)
      if (leave !== undefined) return leave
    }
    return undefined
  }

  *#isSelected(rule: Rule): Task<boolean> {
    if (rule.from === undefined) return true
    if (rule.to === undefined) return isTrue(yield* this.#value(rule.from))
    if (!this.#insideRanges.has(rule)) {
      if (!isTrue(yield* this.#value(rule.from))) return false
      this.#insideRanges.add(rule)
    }
    if (isTrue(yield* this.#value(rule.to))) this.#insideRanges.delete(rule)
    return true
  }

  // Input

  *#nextRecord(): Task<boolean> {
    const text = yield* this.#nextText()
    if (text === undefined) return false
    this.#record.set(text)
    return true
  }

  *#nextText(): Task<ByteString | undefined> {
    while (!this.#isInputOver) {
      if (this.#input === undefined && !(yield* this.#openNext())) break
      const text = yield* this.#input?.next(this.#text('RS')) ?? nothing()
      if (text !== undefined) {
        this.#cell('NR').value = toNumber(this.#cell('NR').value) + 1
        this.#cell('FNR').value = toNumber(this.#cell('FNR').value) + 1
        return text
      }
      this.#skipFile()
    }
    return undefined
  }

  #skipFile(): void {
    this.#input?.close()
    this.#input = undefined
  }

  /** Opens the next operand that is no assignment; standard input when there was none at all. */
  *#openNext(): Task<boolean> {
    const argv = tableOf(this.#cell('ARGV'))
    while (this.#operandAt < toNumber(this.#cell('ARGC').value)) {
      const operand = this.#show(argv.get(String(this.#operandAt++)))
      if (operand === '') continue
      const [, name, text = ''] = /^([A-Za-z_]\w*)=([^]*)$/.exec(operand) ?? []
      if (name !== undefined) {
        this.assign(name, text)
        continue
      }
      this.#hasReadOperand = true
      try {
        this.#input = this.#reader(operand)
      } catch (refusal) {
        yield* this.#invocation.flush()
        yield* this.#invocation.complain(`cannot open "${operand}" (${complaint(refusal)})`)
        this.#status = 2
        continue
      }
      this.#cell('FILENAME').value = operand
      this.#cell('FNR').value = 0
      return true
    }
    if (this.#hasReadOperand) {
      this.#isInputOver = true
      return false
    }
    this.#hasReadOperand = true
    this.#input = this.#reader('-')
    this.#cell('FNR').value = 0
    return true
  }

  #reader(path: ByteString): RecordReader {
    return new RecordReader(this.#invocation, this.#invocation.openInput(path))
  }

  *#cut(): Task<void> {
    if (!this.#record.isUncut) return
    const isParagraph = this.#text('RS') === ''
    const separator = this.#text('FS')
    const compile = (source: ByteString): Regex => this.#compiled(source)
    this.#record.cut(yield* splitFields(this.#record.rawText, separator, compile, isParagraph))
  }

  // oxlint-disable-next-line require-yield
  *#wholeRecord(): Task<ByteString> {
    return this.#record.text(this.#text('OFS'), (value) => this.#show(value))
  }

  // Names

  #cell(name: string): Cell {
    const local = this.#locals?.get(name)
    if (local !== undefined) return local
    let global = this.#globals.get(name)
    if (global === undefined) {
      global = cell()
      this.#globals.set(name, global)
    }
    return global
  }

  #text(name: string): ByteString {
    return this.#show(this.#globals.get(name)?.value)
  }

  #show(value: Value): ByteString {
    if (typeof value === 'string') return value
    const format = this.#globals.get('CONVFMT')?.value
    return toText(value, typeof format === 'string' ? format : '%.6g')
  }

  #table(name: string): Table {
    const found = this.#cell(name)
    if (found.table === undefined && found.value !== undefined) {
      throw new ScriptFault(`can't use scalar ${name} as array`, 2)
    }
    return tableOf(found)
  }

  *#key(keys: readonly Expression[]): Task<ByteString> {
    const texts: ByteString[] = []
    for (const key of keys) texts.push(this.#show(yield* this.#value(key)))
    return texts.join(this.#text('SUBSEP'))
  }

  *#get(place: Place): Task<Value> {
    switch (place.type) {
      case 'variable': {
        if (place.name === 'NF') {
          yield* this.#cut()
          return this.#record.count
        }
        const found = this.#cell(place.name)
        if (found.table !== undefined) {
          throw new ScriptFault(`can't read value of ${place.name}; it's an array name.`, 2)
        }
        return found.value
      }
      case 'element': {
        const table = this.#table(place.name)
        const key = yield* this.#key(place.keys)
        if (!table.has(key)) {
          table.set(key, undefined)
          this.#hold(bytesPerEntry + key.length)
        }
        return table.get(key)
      }
      default: {
        const index = fieldIndex(toNumber(yield* this.#value(place.index)))
        if (index === 0) return inputValue(yield* this.#wholeRecord())
        yield* this.#cut()
        return this.#record.field(index)
      }
    }
  }

  *#set(place: Place, value: Value): Task<void> {
    this.#guard(value)
    switch (place.type) {
      case 'variable':
        if (place.name === 'NF') {
          yield* this.#cut()
          this.#record.setCount(fieldIndex(toNumber(value)))
          return
        }
        if (this.#cell(place.name).table !== undefined) {
          throw new ScriptFault(`can't assign to ${place.name}; it's an array name.`, 2)
        }
        this.#cell(place.name).value = value
        this.#hold(sizeOf(value))
        return
      case 'element': {
        const key = yield* this.#key(place.keys)
        this.#table(place.name).set(key, value)
        this.#hold(bytesPerEntry + key.length + sizeOf(value))
        return
      }
      default: {
        const index = fieldIndex(toNumber(yield* this.#value(place.index)))
        if (index === 0) {
          this.#record.set(this.#show(value))
          return
        }
        yield* this.#cut()
        this.#record.setField(index, value)
      }
    }
  }

  #hold(sizeBytes: number): void {
    const max = heldStringsMax * this.#invocation.stringBytesMax
    this.#heldBytes += sizeBytes
    if (this.#heldBytes <= max) return
    this.#heldBytes = 0
    for (const names of [this.#globals, ...this.#frames]) {
      for (const { value, table } of names.values()) {
        this.#heldBytes += sizeOf(value) + (table === undefined ? 0 : sizeOfTable(table))
      }
    }
    // Half of it has to be free again, or everything would be counted again and again.
    if (this.#heldBytes > max / 2) throw new ScriptFault('out of memory', 2)
  }

  #guard(value: Value): void {
    if (typeof value === 'string' && value.length > this.#invocation.stringBytesMax) {
      throw new ScriptFault('string too long', 2)
    }
  }

  // Statements

  *#statement(statement: Statement): Task<Leave> {
    if (++this.#work % workPerTick === 0) yield
    switch (statement.type) {
      case 'block':
        for (const one of statement.body) {
          const leave = yield* this.#statement(one)
          if (leave !== undefined) return leave
        }
        return undefined
      case 'expression':
        yield* this.#value(statement.value)
        return undefined
      case 'print':
      case 'printf':
        yield* this.#print(statement)
        return undefined
      case 'if': {
        const chosen = isTrue(yield* this.#value(statement.test)) ? statement.yes : statement.no
        return chosen === undefined ? undefined : yield* this.#statement(chosen)
      }
      case 'while':
        return yield* this.#loop(statement.test, statement.body, undefined)
      case 'do': {
        const leave = yield* this.#statement(statement.body)
        if (leave === 'break') return undefined
        if (leave !== undefined && leave !== 'continue') return leave
        return yield* this.#loop(statement.test, statement.body, undefined)
      }
      case 'for':
        if (statement.first !== undefined) yield* this.#statement(statement.first)
        return yield* this.#loop(statement.test, statement.body, statement.step)
      case 'for-in':
        // The keys there are now: the body may add and delete.
        for (const key of Array.from(this.#table(statement.name).keys())) {
          yield* this.#set({ type: 'variable', name: statement.variable }, inputValue(key))
          const leave = yield* this.#statement(statement.body)
          if (leave === 'break') break
          if (leave !== undefined && leave !== 'continue') return leave
        }
        return undefined
      case 'delete':
        if (statement.keys === undefined) this.#table(statement.name).clear()
        else this.#table(statement.name).delete(yield* this.#key(statement.keys))
        return undefined
      case 'leave':
        return statement.how
      case 'return':
        this.#returned =
          statement.value === undefined ? undefined : yield* this.#value(statement.value)
        return 'return'
      default:
        if (statement.value !== undefined) {
          this.#status = toNumber(yield* this.#value(statement.value)) & 0xff
        }
        return 'exit'
    }
  }

  *#loop(test: Expression | undefined, body: Statement, step: Statement | undefined): Task<Leave> {
    for (;;) {
      if (test !== undefined && !isTrue(yield* this.#value(test))) break
      const leave = yield* this.#statement(body)
      if (leave === 'break') break
      if (leave !== undefined && leave !== 'continue') return leave
      if (step !== undefined) yield* this.#statement(step)
      if (++this.#work % workPerTick === 0) yield
    }
    return undefined
  }

  *#print(statement: Extract<Statement, { type: 'print' | 'printf' }>): Task<void> {
    const values: Value[] = []
    for (const arg of statement.args) values.push(yield* this.#value(arg))
    let text: ByteString
    if (statement.type === 'printf') {
      const [format, ...rest] = values
      text = this.#formatted(this.#show(format), rest)
    } else if (values.length === 0) text = (yield* this.#wholeRecord()) + this.#text('ORS')
    else {
      const format = this.#text('OFMT')
      const shown = values.map((value) => toText(value, format))
      text = shown.join(this.#text('OFS')) + this.#text('ORS')
    }
    if (statement.path === undefined) {
      this.#invocation.put(text)
      if (this.#invocation.isFull) yield* drain(this.#invocation)
      return
    }
    const path = this.#show(yield* this.#value(statement.path))
    if (path === '/dev/stdout' || path === '-') {
      this.#invocation.put(text)
      return
    }
    const writer = this.#writer(path, statement.isAppended)
    yield* writeInto(writer, bytesOf(text))
  }

  #writer(path: ByteString, isAppended: boolean): Description {
    const open = this.#writers.get(path)
    if (open !== undefined) return open
    if (this.#writers.size >= openFilesMax) throw new ScriptFault('too many open files', 2)
    const flags = { write: true, create: true, append: isAppended, truncate: !isAppended }
    try {
      const writer = this.#invocation.files.open(path, flags).retain()
      this.#writers.set(path, writer)
      return writer
    } catch (refusal) {
      throw new ScriptFault(`cannot open "${path}" for output (${complaint(refusal)})`, 2)
    }
  }

  // Expressions

  *#value(expression: Expression): Task<Value> {
    if (++this.#work % workPerTick === 0) yield
    switch (expression.type) {
      case 'number':
        return expression.value
      case 'string':
        return expression.text
      case 'group':
        return yield* this.#value(expression.inner)
      case 'variable':
      case 'element':
      case 'field':
        return yield* this.#get(expression)
      case 'regex': {
        const regex = this.#compiled(expression.text)
        return (yield* regex.search(yield* this.#wholeRecord())) === undefined ? 0 : 1
      }
      case 'assign': {
        const value = yield* this.#value(expression.value)
        yield* this.#set(expression.place, value)
        return value
      }
      case 'update': {
        const right = toNumber(yield* this.#value(expression.value))
        const left = toNumber(yield* this.#get(expression.place))
        const value = calculate(expression.operator, left, right)
        yield* this.#set(expression.place, value)
        return value
      }
      case 'step': {
        const before = toNumber(yield* this.#get(expression.place))
        yield* this.#set(expression.place, before + expression.by)
        return expression.isPrefix ? before + expression.by : before
      }
      case 'binary':
        return yield* this.#binary(expression)
      case 'logical': {
        const left = isTrue(yield* this.#value(expression.left))
        if (left !== (expression.operator === '&&')) return left ? 1 : 0
        return isTrue(yield* this.#value(expression.right)) ? 1 : 0
      }
      case 'unary': {
        const operand = yield* this.#value(expression.operand)
        if (expression.operator === '!') return isTrue(operand) ? 0 : 1
        return expression.operator === '-' ? -toNumber(operand) : toNumber(operand)
      }
      case 'match': {
        const text = this.#show(yield* this.#value(expression.text))
        const regex = yield* this.#pattern(expression.pattern)
        const isFound = (yield* regex.search(text)) !== undefined
        return isFound === expression.isNegated ? 0 : 1
      }
      case 'in':
        return this.#table(expression.name).has(yield* this.#key(expression.keys)) ? 1 : 0
      case 'choice':
        return isTrue(yield* this.#value(expression.test))
          ? yield* this.#value(expression.yes)
          : yield* this.#value(expression.no)
      case 'call':
        return yield* this.#call(expression.name, expression.args)
      case 'builtin':
        return yield* this.#builtin(expression.name, expression.args)
      default:
        return yield* this.#getline(expression)
    }
  }

  *#binary({ operator, left, right }: Extract<Expression, { type: 'binary' }>): Task<Value> {
    const one = yield* this.#value(left)
    const two = yield* this.#value(right)
    if (operator === ' ') {
      const text = this.#show(one) + this.#show(two)
      this.#guard(text)
      return text
    }
    if (!/^[<>=!]/.test(operator)) return calculate(operator, toNumber(one), toNumber(two))
    const order = compareValues(one, two, this.#text('CONVFMT'))
    return holds(operator, order) ? 1 : 0
  }

  /** A regular expression as it is written, or the text of any other value as one. */
  *#pattern(expression: Expression): Task<Regex> {
    if (expression.type === 'regex') return this.#compiled(expression.text)
    return this.#compiled(this.#show(yield* this.#value(expression)))
  }

  #compiled(source: ByteString): Regex {
    const known = this.#regexes.get(source)
    if (known !== undefined) return known
    try {
      const regex = compileRegex(posixSource(source), 'extended')
      if (this.#regexes.size >= regexesMax) this.#regexes.clear()
      this.#regexes.set(source, regex)
      return regex
    } catch (refusal) {
      if (!(refusal instanceof RegexMalformed)) throw refusal
      throw new ScriptFault(`regular expression compile failed (${refusal.message})\n${source}`, 2)
    }
  }

  *#call(name: string, args: readonly Expression[]): Task<Value> {
    const made = this.#script.functions.get(name)
    if (made === undefined) throw new ScriptFault(`function ${name} never defined`, 2)
    if (args.length > made.parameters.length) {
      throw new ScriptFault(
        `function ${name} called with ${args.length} args, accepts only ${made.parameters.length}`,
        2,
      )
    }
    if (this.#depth >= recursionMax) throw new ScriptFault('function calls nested too deep', 2)
    const locals = new Map<string, Cell>()
    for (const [index, parameter] of made.parameters.entries()) {
      const arg = args[index]
      locals.set(parameter, arg === undefined ? cell() : yield* this.#argument(arg))
    }
    const before = this.#locals
    this.#locals = locals
    this.#frames.push(locals)
    this.#depth++
    this.#returned = undefined
    const leave = yield* this.#statement(made.body)
    const value = this.#returned
    this.#returned = undefined
    this.#depth--
    this.#frames.pop()
    this.#locals = before
    if (leave === 'exit') throw new ExitFromFunction()
    if (leave === 'next' || leave === 'nextfile') throw new ScriptFault('next used in function', 2)
    return value
  }

  /** Tables are shared with the function, values are copied. */
  *#argument(expression: Expression): Task<Cell> {
    if (expression.type !== 'variable' || expression.name === 'NF') {
      return cell(yield* this.#value(expression))
    }
    const found = this.#cell(expression.name)
    if (found.table !== undefined)
      return { value: undefined, table: found.table, origin: undefined }
    return found.value === undefined ? cell(undefined, found) : cell(found.value)
  }

  *#getline({ place, path }: Extract<Expression, { type: 'getline' }>): Task<Value> {
    let text: ByteString | undefined
    if (path === undefined) text = yield* this.#nextText()
    else {
      const name = this.#show(yield* this.#value(path))
      let reader = this.#readers.get(name)
      if (reader === undefined) {
        if (this.#readers.size >= openFilesMax) throw new ScriptFault('too many open files', 2)
        try {
          reader = this.#reader(name)
        } catch (refusal) {
          if (refusal instanceof FileSystemError) return -1
          throw refusal
        }
        this.#readers.set(name, reader)
      }
      text = yield* reader.next(this.#text('RS'))
    }
    if (text === undefined) return 0
    if (place === undefined) this.#record.set(text)
    else yield* this.#set(place, inputValue(text))
    return 1
  }

  *#builtin(name: string, args: readonly Expression[]): Task<Value> {
    const [first, second, third] = args
    switch (name) {
      case 'length': {
        if (first === undefined) return (yield* this.#wholeRecord()).length
        if (first.type === 'variable') {
          const { table } = this.#cell(first.name)
          if (table !== undefined) return table.size
        }
        return this.#show(yield* this.#value(first)).length
      }
      case 'split':
        return yield* this.#split(args)
      case 'sub':
      case 'gsub':
        return yield* this.#substitute(name === 'gsub', args)
      case 'match': {
        if (first === undefined || second === undefined || third !== undefined)
          throw wrongArguments(name)
        const text = this.#show(yield* this.#value(first))
        const found = yield* (yield* this.#pattern(second)).search(text)
        const start = found === undefined ? 0 : found.start + 1
        this.#cell('RSTART').value = start
        this.#cell('RLENGTH').value = found === undefined ? -1 : found.end - found.start
        return start
      }
      default:
    }
    const values: Value[] = []
    for (const arg of args) values.push(yield* this.#value(arg))
    if (name === 'system') return yield* this.#system(this.#show(values[0]))
    if (name === 'fflush') {
      yield* this.#invocation.flush()
      return 0
    }
    return this.#simple(name, values)
  }

  #simple(name: string, values: readonly Value[]): Value {
    const [first, second, third] = values
    const number = toNumber(first)
    switch (name) {
      case 'substr': {
        if (values.length < 2) throw wrongArguments(name)
        return substring(
          this.#show(first),
          toNumber(second),
          values.length > 2 ? toNumber(third) : Infinity,
        )
      }
      case 'index':
        return this.#show(first).indexOf(this.#show(second)) + 1
      case 'sprintf': {
        if (values.length === 0) throw wrongArguments(name)
        return this.#formatted(this.#show(first), values.slice(1))
      }
      case 'tolower':
        return asciiLower(this.#show(first))
      case 'toupper':
        return asciiUpper(this.#show(first))
      case 'int':
        return Math.trunc(number)
      case 'sqrt':
        return Math.sqrt(number)
      case 'exp':
        return Math.exp(number)
      case 'log':
        return Math.log(number)
      case 'sin':
        return Math.sin(number)
      case 'cos':
        return Math.cos(number)
      case 'atan2':
        return Math.atan2(number, toNumber(second))
      case 'rand':
        return this.#roll()
      case 'srand': {
        const before = this.#seed
        this.#seed =
          values.length > 0 ? Math.trunc(number) : Math.floor(this.#invocation.nowMs / 1000)
        this.#dice = this.#seed | 0
        return before
      }
      case 'systime':
        return Math.floor(this.#invocation.nowMs / 1000)
      case 'strftime': {
        const format = values.length > 0 ? this.#show(first) : '%a %b %e %H:%M:%S %Z %Y'
        return formatTime(
          format,
          values.length > 1 ? toNumber(second) * 1000 : this.#invocation.nowMs,
        )
      }
      case 'close':
        return this.#close(this.#show(first))
      default:
        throw new ScriptFault(`function ${name} never defined`, 2)
    }
  }

  /** The same numbers for the same seed, on every machine (mulberry32). */
  #roll(): number {
    this.#dice = (this.#dice + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#dice ^ (this.#dice >>> 15), 1 | this.#dice)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  #close(path: ByteString): number {
    const writer = this.#writers.get(path)
    const reader = this.#readers.get(path)
    this.#writers.delete(path)
    this.#readers.delete(path)
    writer?.release()
    reader?.close()
    return writer === undefined && reader === undefined ? -1 : 0
  }

  *#system(command: ByteString): Task<number> {
    yield* this.#invocation.flush()
    return yield* this.#invocation.run(['sh', '-c', command])
  }

  *#split(args: readonly Expression[]): Task<number> {
    const [first, second, third] = args
    if (first === undefined || second?.type !== 'variable') throw wrongArguments('split')
    const text = this.#show(yield* this.#value(first))
    let separator = this.#text('FS')
    if (third?.type === 'regex')
      separator = third.text.length === 1 ? `(${third.text})` : third.text
    else if (third !== undefined) separator = this.#show(yield* this.#value(third))
    const parts = yield* splitFields(text, separator, (source) => this.#compiled(source))
    const table = this.#table(second.name)
    table.clear()
    for (const [index, part] of parts.entries()) table.set(String(index + 1), inputValue(part))
    this.#hold(sizeOfTable(table))
    return parts.length
  }

  *#substitute(isGlobal: boolean, args: readonly Expression[]): Task<number> {
    const [pattern, replacement, target] = args
    if (pattern === undefined || replacement === undefined) throw wrongArguments('sub')
    const place: Expression = target ?? { type: 'field', index: { type: 'number', value: 0 } }
    const isPlace = place.type === 'variable' || place.type === 'element' || place.type === 'field'
    const regex = yield* this.#pattern(pattern)
    const pieces = replacementPieces(this.#show(yield* this.#value(replacement)))
    const text = this.#show(yield* this.#value(place))
    let result = ''
    let copied = 0
    let from = 0
    let count = 0
    let lastEnd = -1
    while (from <= text.length) {
      const found = yield* regex.search(text, from)
      if (found === undefined) break
      const { start, end } = found
      if (start !== end || start !== lastEnd) {
        const matched = text.slice(start, end)
        result += text.slice(copied, start) + pieces.map((piece) => piece ?? matched).join('')
        this.#guard(result)
        copied = end
        count++
        if (!isGlobal) break
      }
      lastEnd = end
      from = end > start ? end : end + 1
    }
    if (count > 0 && isPlace) yield* this.#set(place, result + text.slice(copied))
    return count
  }

  #formatted(format: ByteString, values: readonly Value[]): ByteString {
    let at = 0
    let text = ''
    const size = (given: string): number =>
      given === '*' ? Math.trunc(toNumber(values[at++])) : Number(given)
    for (const piece of parseFormat(format, false).pieces) {
      if (piece.type === 'text') {
        text += piece.text
        continue
      }
      const width = size(piece.width)
      const precision = piece.precision === undefined ? undefined : size(piece.precision)
      const shape = {
        flags: width < 0 ? `${piece.flags}-` : piece.flags,
        width: Math.min(Math.abs(width), widthMax),
        precision:
          precision === undefined || precision < 0 ? undefined : Math.min(precision, widthMax),
      }
      if (at >= values.length)
        throw new ScriptFault(`not enough arguments passed to sprintf("${format}")`, 2)
      const value = values[at++]
      text += this.#converted(piece.letter, value, shape)
      this.#guard(text)
    }
    return text
  }

  #converted(
    letter: string,
    value: Value,
    shape: {
      readonly flags: string
      readonly width: number
      readonly precision: number | undefined
    },
  ): ByteString {
    if (letter === 's') return pad(this.#show(value).slice(0, shape.precision), shape)
    if (letter === 'c') {
      const isNumber = typeof value === 'number'
      return pad(
        isNumber ? String.fromCharCode(value & 0xff) : this.#show(value).slice(0, 1),
        shape,
      )
    }
    const number = toNumber(value)
    if ('eEfFgG'.includes(letter) || !Number.isFinite(number)) {
      return formatFloat(number, 'eEfFgG'.includes(letter) ? letter : 'f', shape)
    }
    return formatInteger(BigInt(Math.trunc(number)), letter, shape)
  }
}

const sizeOf = (value: Value): number =>
  typeof value === 'string' ? value.length : typeof value === 'object' ? value.text.length : 0

function sizeOfTable(table: Table): number {
  let sizeBytes = 0
  for (const [key, value] of table) sizeBytes += bytesPerEntry + key.length + sizeOf(value)
  return sizeBytes
}

class ExitFromFunction extends Error {}

// oxlint-disable-next-line require-yield
function* nothing(): Task<undefined> {
  return undefined
}

const wrongArguments = (name: string): ScriptFault =>
  new ScriptFault(`wrong number or kind of arguments in call to ${name}`, 2)

const fieldsMax = 32_767

function fieldIndex(index: number): number {
  const whole = Math.trunc(index)
  if (!(whole >= 0)) throw new ScriptFault(`negative field index $${whole}`, 2)
  if (whole > fieldsMax) throw new ScriptFault(`field index $${whole} is too large`, 2)
  return whole
}

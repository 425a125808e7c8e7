/* oxlint-disable typescript/consistent-return -- the compiler proves that the switches are exhaustive */
import {
  parse as parseBash,
  type ArithmeticExpression,
  type Assignment as BashAssignment,
  type CommandNode,
  type CompoundList,
  type HereDoc,
  type ParameterExpansionPart,
  type ParameterOperation as BashOperation,
  type ParsedScript,
  type Pipeline,
  type Redirection,
  type Script,
  type Statement as BashStatement,
  type TestExpression as BashTestExpression,
  type Word as BashWord,
  type WordPart,
} from 'unbash'
import { fromText, type ByteString } from '../byte-string.ts'
import { parseArithmetic } from './arithmetic.ts'
import { ScriptFault } from './script-fault.ts'
import type {
  Arithmetic,
  Assignment,
  CaseItem,
  List,
  Node,
  ParameterOperation,
  Part,
  Redirect,
  SimpleCommand,
  Statement,
  TestExpression,
  Word,
} from './syntax.ts'

/** What a text holds: the statements that may run, and what is wrong behind them. */
export interface Parsed {
  readonly list: List
  /** What is malformed, or Bash that this shell does not speak. It counts once `list` has run. */
  readonly fault: ScriptFault | undefined
  readonly faultLine: number
  /** Whether more text could still make it whole: an open quote, `if` without `fi`. */
  readonly isIncomplete: boolean
}

/**
 * Parses a text whose every line must be well-formed before any of it runs: traps, aliases.
 *
 * @throws ScriptFault
 */
export function parseScript(source: ByteString): List {
  const { list, fault } = parseProgram(source)
  if (fault !== undefined) throw fault
  return list
}

/**
 * Parses a program as a shell reads it, line by line: what stands on the lines before a fault runs,
 * and then the fault ends the shell. Arrays, process substitution, coprocesses, extended globs and
 * `select` are such faults.
 */
export function parseProgram(source: ByteString): Parsed {
  const tooMuch = whyTooMuch(source)
  if (tooMuch !== undefined) {
    const fault = new ScriptFault(`Syntax error: ${tooMuch}`)
    return { list: [], fault, faultLine: 1, isIncomplete: false }
  }
  // Nested deeper than the parser's own stack: nobody writes that by hand.
  try {
    return parseLines(source)
  } catch (fault) {
    if (!(fault instanceof RangeError)) throw fault
    const why = new ScriptFault('Syntax error: nested too deeply')
    return { list: [], fault: why, faultLine: 1, isIncomplete: false }
  }
}

// Parsing is one step of a process, and every step is short.
const scriptSizeBytesMax = 131_072

// The parser takes time with the square of their number.
const hereDocumentsMax = 1000

function whyTooMuch(source: ByteString): string | undefined {
  if (source.length > scriptSizeBytesMax) return 'script too long'
  let found = 0
  for (let at = source.indexOf('<<'); at >= 0; at = source.indexOf('<<', at + 2)) found++
  return found > hereDocumentsMax ? 'too many here-documents' : undefined
}

function parseLines(source: ByteString): Parsed {
  const script = parseBash(source)
  const adapter = new Adapter(source)
  const [error] = script.errors ?? []
  const errorAt = error?.pos ?? Infinity
  const statements: { readonly statement: Statement; readonly end: number }[] = []
  let fault: ScriptFault | undefined
  let faultAt = errorAt
  for (const statement of script.commands) {
    const isWhole = statement.end > statement.pos && statement.end <= errorAt
    try {
      if (!isWhole) {
        faultAt = Math.min(faultAt, statement.pos)
        break
      }
      statements.push({ statement: adapter.statement(statement), end: statement.end })
    } catch (refusal) {
      if (!(refusal instanceof ScriptFault)) throw refusal
      fault = refusal
      faultAt = statement.pos
      break
    }
  }
  const isAdapters = fault !== undefined
  if (fault === undefined && error !== undefined) {
    fault = new ScriptFault(
      `Syntax error: ${inWordsOfShells(error.message, errorAt >= source.trimEnd().length)}`,
    )
  }
  const lineStart = fault === undefined ? Infinity : source.lastIndexOf('\n', faultAt - 1) + 1
  const isOpen = script.errors?.some(
    ({ message, pos }) => message.startsWith('unterminated') || pos >= source.trimEnd().length,
  )
  return {
    list: statements.filter(({ end }) => end <= lineStart).map(({ statement }) => statement),
    fault,
    faultLine: fault === undefined ? 0 : lineAt(source, isAdapters ? faultAt : errorAt),
    isIncomplete: isOpen === true || adapter.hasOpenHereDocument || endsInBackslash.test(source),
  }
}

const endsInBackslash = /(^|[^\\])(\\\\)*\\\n?$/

const endOfLine = (source: string, from: number): number => {
  const end = source.indexOf('\n', from)
  return end < 0 ? Infinity : end
}

const lineAt = (source: string, at: number): number => {
  let line = 1
  for (let cut = source.indexOf('\n'); cut >= 0 && cut < at; cut = source.indexOf('\n', cut + 1))
    line++
  return line
}

/** The parser's complaints as shells have always said them. */
function inWordsOfShells(message: string, isAtEnd: boolean): string {
  if (/^unterminated .*quote/.test(message)) return 'Unterminated quoted string'
  const token = /^unexpected token '(.*)'$/s.exec(message)?.[1]
  if (token !== undefined) return `"${token}" unexpected`
  if (!isAtEnd) return message
  const expected = /^expected '(\S+)'/.exec(message)?.[1]
  return expected === undefined
    ? 'end of file unexpected'
    : `end of file unexpected (expecting "${expected}")`
}

const refuse = (what: string): never => {
  throw new ScriptFault(`Syntax error: ${what}`)
}

/** Turns the parser's tree over one source text into ours. */
class Adapter {
  /** A here-document without its last line was met: complete for a file, not for a terminal. */
  hasOpenHereDocument = false
  readonly #source: string
  #line = 1
  #lineStart = 0
  #lineEnd: number

  constructor(source: string) {
    this.#source = source
    this.#lineEnd = endOfLine(source, 0)
  }

  script(script: ParsedScript): List {
    const error = script.errors?.[0]
    if (error !== undefined) refuse(error.message)
    return this.#statements(script.commands)
  }

  #nested(script: ParsedScript | undefined): List {
    if (script === undefined) return refuse('unterminated substitution')
    // A script in backquotes with escapes owns the text its positions point into.
    const { source } = script as Script
    return source === undefined ? this.script(script) : new Adapter(source).script(script)
  }

  #statements(statements: readonly BashStatement[]): List {
    return statements.map((statement) => this.statement(statement))
  }

  #list(list: CompoundList): List {
    return this.#statements(list.commands)
  }

  statement({ command, background, pos, end }: BashStatement): Statement {
    const isBackground = background === true
    const line = this.#lineOf(pos)
    const text = isBackground ? withoutAmpersand(this.#source.slice(pos, end)) : ''
    return { node: this.#node(command), isBackground, line, text }
  }

  /** Statements come in the order of the text, so that its lines are counted once. */
  #lineOf(pos: number): number {
    if (pos < this.#lineStart) return lineAt(this.#source, pos)
    while (this.#lineEnd < pos) {
      this.#line++
      this.#lineStart = this.#lineEnd + 1
      this.#lineEnd = endOfLine(this.#source, this.#lineStart)
    }
    return this.#line
  }

  #node(node: BashStatement['command']): Node {
    switch (node.type) {
      case 'AndOr': {
        const [first, ...others] = node.commands.map((command) => this.#node(command))
        if (first === undefined) return refuse('&& or || without a command')
        const rest = others.map((member, index) => ({
          operator: node.operators[index] ?? '&&',
          node: member,
        }))
        return { type: 'and-or', first, rest }
      }
      case 'Pipeline':
        return this.#pipeline(node)
      default:
        return this.#command(node)
    }
  }

  #pipeline({ commands, operators, prefixes }: Pipeline): Node {
    const negations = prefixes.filter(({ type }) => type === 'Negation').length
    const members = commands.map((command, index) => ({
      node: this.#command(command),
      pipesErrors: operators[index] === '|&',
    }))
    return { type: 'pipeline', commands: members, isNegated: negations % 2 === 1 }
  }

  #command(node: CommandNode): Node {
    switch (node.type) {
      case 'Command':
        return this.#simple(node)
      case 'Redirected':
        return {
          type: 'redirected',
          command: this.#command(node.command),
          redirects: node.redirects.map((redirect) => this.#redirect(redirect)),
        }
      case 'If': {
        const branches = [node, ...node.elif].map(({ clause, then }) => ({
          test: this.#list(clause),
          body: this.#list(then),
        }))
        const otherwise = node.else === undefined ? undefined : this.#list(node.else)
        return { type: 'if', branches, otherwise }
      }
      case 'For': {
        const words = node.wordlist?.map((word) => this.word(word))
        const name = node.name.value
        if (!/^[A-Za-z_]\w*$/.test(name)) refuse('Bad for loop variable')
        return { type: 'for', name, words, body: this.#list(node.body) }
      }
      case 'ArithmeticFor':
        return {
          type: 'arithmetic-for',
          start: this.#optionalArithmetic(node.initialize),
          test: this.#optionalArithmetic(node.test),
          update: this.#optionalArithmetic(node.update),
          body: this.#list(node.body),
        }
      case 'While': {
        const { kind, clause, body } = node
        const isUntil = kind === 'until'
        return { type: 'while', isUntil, test: this.#list(clause), body: this.#list(body) }
      }
      case 'Case':
        return {
          type: 'case',
          word: this.word(node.word),
          items: node.items.map(({ pattern, body, terminator }): CaseItem => ({
            patterns: pattern.map((word) => this.word(word)),
            body: this.#list(body),
            after: terminator === ';&' ? 'fall-through' : terminator === ';;&' ? 'go-on' : 'stop',
          })),
        }
      case 'Subshell':
        return { type: 'subshell', body: this.#list(node.body) }
      case 'BraceGroup':
        return { type: 'group', body: this.#list(node.body) }
      case 'Function': {
        const { name, body, pos, end } = node
        if (body.type === 'CompoundList') return refuse(`function ${name.value} without a body`)
        const sizeBytes = end - pos
        return { type: 'function', name: name.value, body: this.#command(body), sizeBytes }
      }
      case 'TestCommand':
        return { type: 'test', expression: this.#test(node.expression) }
      case 'ArithmeticCommand':
        return { type: 'arithmetic', expression: arithmeticOf(node.body) }
      case 'Select':
      case 'Coproc':
        return refuse(`${node.type.toLowerCase()} is not supported`)
    }
  }

  #simple({
    name,
    args,
    prefix,
    redirects,
  }: Extract<CommandNode, { type: 'Command' }>): SimpleCommand {
    const assignments = prefix
      .filter((part): part is BashAssignment => part.type === 'Assignment')
      .map((assignment) => this.#assignment(assignment))
    const words = name === undefined ? [] : [this.word(name)]
    for (const argument of args) {
      words.push(argument.type === 'Word' ? this.word(argument) : this.#declaration(argument))
    }
    return {
      type: 'simple',
      assignments,
      words,
      redirects: redirects.map((redirect) => this.#redirect(redirect)),
    }
  }

  #assignment({ name, value, append, index }: BashAssignment): Assignment {
    if (index !== undefined || value.type === 'ArrayValue')
      return refuse('arrays are not supported')
    return { name, value: this.#value(value), isAppend: append === true }
  }

  /** `export A=$x`: one field that is not split, with tildes as in an assignment. */
  #declaration(assignment: BashAssignment): Word {
    const { name, value } = this.#assignment(assignment)
    const operator = assignment.append === true ? '+=' : '='
    const parts = value.parts.map((part) =>
      part.kind === 'text' || part.kind === 'tilde' || part.kind === 'glob'
        ? part
        : { ...part, isQuoted: true },
    )
    return wordOf([{ kind: 'text', value: name + operator, isQuoted: true }, ...parts], true)
  }

  word(word: BashWord): Word {
    return wordOf(this.#parts(word))
  }

  /** The value of an assignment: `~` counts after each colon too, and nothing is a pattern. */
  #value(word: BashWord): Word {
    return wordOf(
      this.#parts(word, 'assignment').map((part) =>
        part.kind === 'glob' ? { kind: 'text', value: part.value, isQuoted: true } : part,
      ),
    )
  }

  #parts(word: BashWord, place: 'word' | 'assignment' = 'word'): Part[] {
    const { text, parts } = word
    if (parts === undefined) return literalParts(text, place, true, text.length)
    const result: Part[] = []
    for (const [index, part] of parts.entries()) {
      if (part.type === 'Literal') {
        const isLast = index === parts.length - 1
        result.push(...literalParts(part.text, place, index === 0, isLast ? Infinity : -1))
      } else this.#part(part, false, result)
    }
    return result
  }

  #part(part: WordPart, isQuoted: boolean, into: Part[]): void {
    switch (part.type) {
      case 'Literal':
        if (isQuoted) into.push({ kind: 'text', value: part.value, isQuoted: true })
        else into.push(...literalParts(part.text, 'word', false, -1))
        return
      case 'SingleQuoted':
        into.push({ kind: 'text', value: part.value, isQuoted: true })
        return
      case 'AnsiCQuoted':
        into.push({ kind: 'text', value: ansiText(part.text.slice(2, -1)), isQuoted: true })
        return
      case 'DoubleQuoted':
      case 'LocaleString':
        if (part.parts.length === 0) into.push({ kind: 'text', value: '', isQuoted: true })
        for (const child of part.parts) this.#part(child, true, into)
        return
      case 'Glob':
        this.#glob(part, into)
        return
      case 'SimpleExpansion':
        into.push({
          kind: 'parameter',
          name: part.text.slice(1),
          isQuoted,
          operation: undefined,
        })
        return
      case 'ParameterExpansion':
        into.push(this.#parameter(part, isQuoted))
        return
      case 'CommandExpansion':
        into.push({ kind: 'command', list: this.#nested(part.script), isQuoted })
        return
      case 'ArithmeticExpansion':
        into.push({
          kind: 'arithmetic',
          expression: arithmeticOf(part.text.slice(3, -2)),
          isQuoted,
        })
        return
      case 'BraceExpansion':
        // POSIX sh has no brace expansion: the braces are text.
        into.push(...literalParts(part.text, 'word', false, -1))
        return
      case 'ExtendedGlob':
        refuse('extended globs are not supported')
        return
      case 'ProcessSubstitution':
        refuse('process substitution is not supported')
    }
  }

  #glob(part: Extract<WordPart, { type: 'Glob' }>, into: Part[]): void {
    if (part.kind !== 'bracket') {
      into.push({ kind: 'glob', value: part.value })
      return
    }
    into.push({ kind: 'glob', value: '[' })
    for (const child of part.parts) {
      const inner: Part[] = []
      this.#part(child, false, inner)
      for (const piece of inner) {
        const isPlain = piece.kind === 'text' && !piece.isQuoted
        into.push(isPlain ? { kind: 'glob', value: piece.value } : piece)
      }
    }
    into.push({ kind: 'glob', value: ']' })
  }

  #parameter(part: ParameterExpansionPart, isQuoted: boolean): Part {
    const { parameter: name, prefix, index, operation } = part
    if (index !== undefined) refuse('arrays are not supported')
    const make = (made: ParameterOperation | undefined): Part => ({
      kind: 'parameter',
      name,
      isQuoted,
      operation: made,
    })
    if (prefix === '#') return make({ type: 'length' })
    if (prefix === '!') {
      if (operation !== undefined) refuse('Bad substitution')
      return make({ type: 'indirect' })
    }
    if (!/^([A-Za-z_]\w*|\d+|[-@*#?$!])$/.test(name)) refuse('Bad substitution')
    return make(operation === undefined ? undefined : this.#operation(operation, isQuoted))
  }

  #operation(operation: BashOperation, isQuoted: boolean): ParameterOperation {
    switch (operation.type) {
      case 'Default': {
        const { operator, operand } = operation
        return {
          type: 'default',
          operator: operator.slice(-1) as '-' | '=' | '?' | '+',
          isColon: operator.length === 2,
          word: isQuoted ? this.#quotedWord(operand) : this.#operandWord(operand),
        }
      }
      case 'Remove': {
        const { operator, operand } = operation
        return {
          type: 'remove',
          side: operator.startsWith('#') ? 'prefix' : 'suffix',
          isLongest: operator.length === 2,
          pattern: this.word(operand),
        }
      }
      case 'Replace': {
        const which = { '/': 'first', '//': 'all', '/#': 'prefix', '/%': 'suffix' } as const
        return {
          type: 'replace',
          which: which[operation.operator],
          pattern: this.word(operation.pattern),
          replacement: this.word(operation.replacement),
        }
      }
      case 'Slice': {
        const { offset, length } = operation
        return {
          type: 'slice',
          offset: arithmeticOf(offset.text),
          length: length === undefined ? undefined : arithmeticOf(length.text),
        }
      }
      case 'CaseModification':
        return { type: 'case', operator: operation.operator }
      case 'Transform':
      case 'Names':
      case 'Unknown':
        return refuse('Bad substitution')
    }
  }

  /** The word of `${x-word}` outside quotes: its bare text is split like the result of `$x`. */
  #operandWord(word: BashWord): Word {
    const parts = this.#parts(word).map((part): Part =>
      part.kind === 'text' && !part.isQuoted ? { ...part, isSplit: true } : part,
    )
    return { parts }
  }

  /** The word of `"${x-word}"`: quoted throughout. */
  #quotedWord(word: BashWord): Word {
    if (word.parts === undefined) {
      // In double quotes a single quote is text, and a backslash only escapes what is special there.
      const value = word.text.replace(/\\\n|\\([$`"\\}])/g, '$1')
      return wordOf([{ kind: 'text', value, isQuoted: true }])
    }
    const parts: Part[] = []
    for (const part of word.parts) {
      if (part.type === 'Glob' || part.type === 'SingleQuoted' || part.type === 'AnsiCQuoted') {
        parts.push({ kind: 'text', value: part.text, isQuoted: true })
      } else if (part.type === 'Literal') {
        const value = part.text.replace(/\\\n|\\([$`"\\}])/g, '$1')
        parts.push({ kind: 'text', value, isQuoted: true })
      } else this.#part(part, true, parts)
    }
    return wordOf(parts)
  }

  #redirect(redirect: Redirection): Redirect {
    if (redirect.descriptor?.type === 'FileDescriptorVariable') refuse('{name}> is not supported')
    const given =
      redirect.descriptor?.type === 'FileDescriptor' ? redirect.descriptor.value : undefined
    if (redirect.type === 'HereDoc') return this.#hereDocument(redirect, given ?? 0)
    if (redirect.target === undefined) return refuse('redirection without a target')
    if (redirect.type === 'HereString') {
      const { parts } = this.word(redirect.target)
      const body = { parts: [...parts, { kind: 'text', value: '\n', isQuoted: true } as const] }
      return { type: 'here', descriptor: given ?? 0, body }
    }
    const { operator } = redirect
    const target = this.word(redirect.target)
    const descriptor = given ?? (operator.startsWith('<') ? 0 : 1)
    if (operator === '>&' || operator === '<&') return { type: 'duplicate', descriptor, target }
    return { type: 'file', operator, descriptor, target }
  }

  #hereDocument(document: HereDoc, descriptor: number): Redirect {
    const { body, delimiter, operator, closing } = document
    if (closing === undefined) this.hasOpenHereDocument = true
    const strips = operator === '<<-'
    if (delimiter?.quoted === true) {
      const value = strips ? body.text.replace(/^\t+/gm, '') : body.text
      const word = wordOf([{ kind: 'text', value, isQuoted: true }])
      return { type: 'here', descriptor, body: word }
    }
    if (body.parts === undefined) {
      const text = strips ? body.text.replace(/^\t+/gm, '') : body.text
      const word = wordOf([{ kind: 'text', value: hereText(text), isQuoted: true }])
      return { type: 'here', descriptor, body: word }
    }
    const parts: Part[] = []
    for (const [index, part] of body.parts.entries()) {
      if (part.type !== 'Literal') this.#part(part, true, parts)
      else {
        const tabs = index === 0 ? /(^|\n)\t+/g : /(\n)\t+/g
        const text = strips ? part.text.replace(tabs, '$1') : part.text
        parts.push({ kind: 'text', value: hereText(text), isQuoted: true })
      }
    }
    return { type: 'here', descriptor, body: wordOf(parts) }
  }

  #optionalArithmetic(expression: ArithmeticExpression | undefined): Arithmetic | undefined {
    if (expression === undefined) return undefined
    return arithmeticOf(this.#source.slice(expression.pos, expression.end))
  }

  #test(expression: BashTestExpression): TestExpression {
    switch (expression.type) {
      case 'TestUnary': {
        const { operator, operand } = expression
        return { type: 'unary', operator, operand: this.word(operand) }
      }
      case 'TestBinary': {
        const { operator, left, right } = expression
        return { type: 'binary', operator, left: this.word(left), right: this.word(right) }
      }
      case 'TestLogical': {
        const operands = expression.operands.map((operand) => this.#test(operand))
        return { type: 'logical', operator: expression.operator, operands }
      }
      case 'TestNot': {
        const operand = this.#test(expression.operand)
        return expression.negations.length % 2 === 1 ? { type: 'not', operand } : operand
      }
      case 'TestGroup':
        return this.#test(expression.expression)
    }
  }
}

function wordOf(parts: readonly Part[], isDeclaration = false): Word {
  if (isDeclaration) {
    parts = parts.map((part) =>
      part.kind === 'glob' ? { kind: 'text', value: part.value, isQuoted: true } : part,
    )
  }
  let constant = ''
  for (const part of parts) {
    if (part.kind !== 'text') return { parts }
    constant += part.value
  }
  return { parts, constant }
}

/**
 * Unquoted text of the source, in which a backslash quotes what follows it and a tilde may stand for a
 * home directory: at the start of a word, and in an assignment after a colon.
 *
 * @param tildeEnd where a tilde name may end without a slash: beyond the text, or nowhere
 */
function literalParts(
  text: string,
  place: 'word' | 'assignment',
  isStart: boolean,
  tildeEnd: number,
): Part[] {
  if (!text.includes('\\') && !text.includes('~')) {
    return text === '' ? [] : [{ kind: 'text', value: text, isQuoted: false }]
  }
  const parts: Part[] = []
  let plain = ''
  const flush = (): void => {
    if (plain !== '') parts.push({ kind: 'text', value: plain, isQuoted: false })
    plain = ''
  }
  let mayBeTilde = isStart
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (character === '\\' && at + 1 < text.length) {
      at++
      mayBeTilde = false
      if (text[at] === '\n') continue
      flush()
      parts.push({ kind: 'text', value: text[at] ?? '', isQuoted: true })
      continue
    }
    if (character === '~' && mayBeTilde) {
      const ends = place === 'assignment' ? /^~([\w.-]*)(?=[/:]|$)/ : /^~([\w.-]*)(?=\/|$)/
      const match = ends.exec(text.slice(at))
      const end = at + (match?.[0].length ?? 0)
      if (match !== null && (end < text.length || tildeEnd >= text.length)) {
        flush()
        parts.push({ kind: 'tilde', user: match[1] ?? '' })
        at = end - 1
        mayBeTilde = false
        continue
      }
    }
    mayBeTilde = place === 'assignment' && character === ':'
    plain += character
  }
  flush()
  return parts
}

/** The text of a here-document whose delimiter was not quoted. */
/** What runs in the background, as it was written, but for the sign that sends it there. */
function withoutAmpersand(text: string): string {
  const written = text.trimEnd()
  return written.endsWith('&') ? written.slice(0, -1).trimEnd() : written
}

const hereText = (text: string): ByteString => text.replace(/\\\n|\\([$`\\])/g, '$1')

const hereDelimiter = '__arithmetic_ends_here__'

function arithmeticOf(source: string): Arithmetic {
  if (!/[$`]/.test(source)) {
    try {
      return { type: 'parsed', expression: parseArithmetic(source.replaceAll('"', '')) }
    } catch (fault) {
      if (!(fault instanceof ScriptFault)) throw fault
      // Malformed arithmetic is a fault of the command that evaluates it, not of the script.
      return { type: 'expanded', parts: [{ kind: 'text', value: source, isQuoted: true }] }
    }
  }
  // The text of an arithmetic expansion is expanded like that of a here-document.
  const script = parseBash(`: <<${hereDelimiter}\n${source}\n${hereDelimiter}\n`)
  const adapter = new Adapter(`: <<${hereDelimiter}\n${source}\n${hereDelimiter}\n`)
  const [statement] = adapter.script(script)
  const redirect = statement?.node.type === 'simple' ? statement.node.redirects[0] : undefined
  if (redirect?.type !== 'here') return refuse('arithmetic expression')
  return { type: 'expanded', parts: redirect.body.parts }
}

const ansiEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/** The bytes that the inside of `$'...'` stands for. */
function ansiText(text: string): ByteString {
  return text.replace(
    /\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|c(.)|(.))/gs,
    (_, octal?: string, hex?: string, u?: string, U?: string, control?: string, other?: string) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff)
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
      const point = u ?? U
      if (point !== undefined) {
        const code = Number.parseInt(point, 16)
        return code > 0x10ffff ? '' : fromText(String.fromCodePoint(code))
      }
      if (control !== undefined) return String.fromCharCode(control.charCodeAt(0) & 0x1f)
      return ansiEscapes[other ?? ''] ?? other ?? ''
    },
  )
}

/* oxlint-disable typescript/consistent-return -- the compiler proves that the switches are exhaustive */
import { fromText, type ByteString } from '../byte-string.ts'
import { FileSystemError } from '../file-system.ts'
import { Files } from '../files.ts'
import { escapeGlob, Glob, unescapeGlob } from '../regex/glob.ts'
import type { Task } from '../wait-set.ts'
import { evaluate, parseArithmetic, type Integer } from './arithmetic.ts'
import { ScriptFault } from './script-fault.ts'
import type { Shell, Substituter } from './shell.ts'
import type { Arithmetic, ParameterPart, Part, Word } from './syntax.ts'

/** Where expanded text goes: into fields, one string, or a pattern. */
interface Sink {
  /** Text that nothing more happens to. */
  quoted(text: ByteString): void
  /** Bare text of the source: neither split nor a pattern. */
  plain(text: ByteString): void
  /** Pattern characters of the source. */
  glob(text: ByteString): void
  /** The result of an unquoted expansion: split, and a pattern where it looks like one. */
  split(text: ByteString): void
  /** `"$@"` (quoted) or `$@` and `$*` (not): a field for each. */
  list(texts: readonly ByteString[], isQuoted: boolean, separator: ByteString): void
}

interface Field {
  readonly value: ByteString
  /** There when unquoted pattern characters are in it. */
  readonly pattern: ByteString | undefined
}

const globCharacters = /[*?[]/

class FieldSink implements Sink {
  readonly fields: Field[] = []
  readonly #ifs: ByteString
  readonly #isGlobbing: boolean
  #value = ''
  #pattern = ''
  #hasGlob = false
  #isOpen = false
  /** White space just ended a field: a delimiter right behind it belongs to the same gap. */
  #isInGap = false

  constructor(ifs: ByteString, isGlobbing: boolean) {
    this.#ifs = ifs
    this.#isGlobbing = isGlobbing
  }

  quoted(text: ByteString): void {
    this.#open()
    this.#value += text
    if (this.#isGlobbing) this.#pattern += escapeGlob(text)
  }

  plain(text: ByteString): void {
    this.quoted(text)
  }

  glob(text: ByteString): void {
    this.#open()
    this.#value += text
    this.#pattern += text
    this.#hasGlob = true
  }

  split(text: ByteString): void {
    if (text === '') return
    const ifs = this.#ifs
    if (ifs === '') return this.#piece(text)
    let start = 0
    for (let at = 0; at < text.length; at++) {
      const character = text[at] ?? ''
      if (!ifs.includes(character)) continue
      if (at > start) this.#piece(text.slice(start, at))
      start = at + 1
      if (character === ' ' || character === '\t' || character === '\n') {
        if (this.#isOpen) {
          this.#close()
          this.#isInGap = true
        }
        continue
      }
      if (this.#isInGap) this.#isInGap = false
      else this.#close()
    }
    if (start < text.length) this.#piece(text.slice(start))
  }

  list(texts: readonly ByteString[], isQuoted: boolean): void {
    for (const [index, text] of texts.entries()) {
      if (index > 0) {
        if (isQuoted || this.#isOpen) this.#close()
        this.#isInGap = false
      }
      if (isQuoted) this.quoted(text)
      else this.split(text)
    }
  }

  end(): readonly Field[] {
    if (this.#isOpen) this.#close()
    return this.fields
  }

  #piece(text: ByteString): void {
    this.#open()
    this.#value += text
    if (!this.#isGlobbing) return
    this.#pattern += text
    if (globCharacters.test(text)) this.#hasGlob = true
  }

  #open(): void {
    this.#isOpen = true
    this.#isInGap = false
  }

  #close(): void {
    const isPattern = this.#hasGlob && this.#isGlobbing
    this.fields.push({ value: this.#value, pattern: isPattern ? this.#pattern : undefined })
    this.#value = ''
    this.#pattern = ''
    this.#hasGlob = false
    this.#isOpen = false
  }
}

class TextSink implements Sink {
  text = ''

  quoted(text: ByteString): void {
    this.text += text
  }

  plain(text: ByteString): void {
    this.text += text
  }

  glob(text: ByteString): void {
    this.text += text
  }

  split(text: ByteString): void {
    this.text += text
  }

  list(texts: readonly ByteString[], _isQuoted: boolean, separator: ByteString): void {
    this.text += texts.join(separator)
  }
}

class PatternSink implements Sink {
  text = ''

  quoted(text: ByteString): void {
    this.text += escapeGlob(text)
  }

  plain(text: ByteString): void {
    this.text += escapeGlob(text)
  }

  glob(text: ByteString): void {
    this.text += text
  }

  split(text: ByteString): void {
    this.text += text
  }

  list(texts: readonly ByteString[], isQuoted: boolean, separator: ByteString): void {
    const text = texts.join(separator)
    if (isQuoted) this.quoted(text)
    else this.split(text)
  }
}

/** How long all arguments of a command may be together: ARG_MAX of Linux. */
const argumentsSizeBytesMax = 2_097_152

const pointerSizeBytes = 8

/** How many directory entries are looked at in one tick. */
const entriesPerTick = 64

/** Turns words into fields, strings and patterns, in the order POSIX gives (2.6). */
export class Expander {
  readonly #shell: Shell
  readonly #substituter: Substituter

  constructor(shell: Shell, substituter: Substituter) {
    this.#shell = shell
    this.#substituter = substituter
  }

  /** All fields of a command line or of the words of `for`. */
  *fields(words: readonly Word[]): Task<ByteString[]> {
    const fields: ByteString[] = []
    let sizeBytes = 0
    let counted = 0
    for (const word of words) {
      if (word.constant !== undefined) fields.push(word.constant)
      else if (!this.#quickField(word, fields)) yield* this.#wordFields(word, fields)
      for (; counted < fields.length; counted++) {
        sizeBytes += (fields[counted]?.length ?? 0) + pointerSizeBytes
      }
      if (sizeBytes > argumentsSizeBytesMax) throw new ScriptFault('Argument list too long')
    }
    return fields
  }

  /** One word as one string: values of assignments, targets of redirections, here-documents. */
  *text(word: Word): Task<ByteString> {
    if (word.constant !== undefined) return word.constant
    const [only] = word.parts
    if (only !== undefined && word.parts.length === 1) {
      if (only.kind === 'arithmetic' && only.expression.type === 'parsed') {
        return String(evaluate(only.expression.expression, this.#shell))
      }
    }
    const sink = new TextSink()
    yield* this.#parts(word.parts, sink)
    return this.#checked(sink.text)
  }

  *pattern(word: Word): Task<ByteString> {
    const sink = new PatternSink()
    yield* this.#parts(word.parts, sink)
    return sink.text
  }

  *arithmetic(arithmetic: Arithmetic): Task<Integer> {
    if (arithmetic.type === 'parsed') return evaluate(arithmetic.expression, this.#shell)
    const sink = new TextSink()
    yield* this.#parts(arithmetic.parts, sink)
    return evaluate(parseArithmetic(sink.text.replaceAll('"', '')), this.#shell)
  }

  /** `$x`, `"$x"` and `$((..))` alone, with a result that needs no splitting, without a generator. */
  #quickField(word: Word, fields: ByteString[]): boolean {
    const [part] = word.parts
    if (part === undefined || word.parts.length !== 1) return false
    if (part.kind === 'arithmetic' && part.expression.type === 'parsed') {
      // What it assigns it must assign once: nothing may send it the slow way from here on.
      if (!part.isQuoted && this.#shell.variables.has('IFS')) return false
      fields.push(String(evaluate(part.expression.expression, this.#shell)))
      return true
    }
    if (part.kind !== 'parameter' || part.operation !== undefined) return false
    if (part.name === '@' || part.name === '*') return false
    const value = this.#shell.get(part.name)
    if (value === undefined) return false
    if (!part.isQuoted) {
      if (this.#shell.variables.has('IFS') || value.length > 256 || !quickValue.test(value)) {
        return false
      }
    }
    fields.push(value)
    return true
  }

  *#wordFields(word: Word, into: ByteString[]): Task<void> {
    const { noglob } = this.#shell.options
    const sink = new FieldSink(this.#shell.ifs, !noglob)
    yield* this.#parts(word.parts, sink)
    for (const { value, pattern } of sink.end()) {
      this.#checked(value)
      if (pattern === undefined) into.push(value)
      else for (const path of yield* this.#paths(pattern, value)) into.push(path)
    }
  }

  #checked(text: ByteString): ByteString {
    if (text.length > this.#shell.process.kernel.surroundings.limits.stringBytes) {
      throw new ScriptFault('string too long')
    }
    return text
  }

  *#parts(parts: readonly Part[], sink: Sink): Task<void> {
    for (const part of parts) {
      switch (part.kind) {
        case 'text':
          if (part.isSplit === true) sink.split(part.value)
          else if (part.isQuoted) sink.quoted(part.value)
          else sink.plain(part.value)
          break
        case 'glob':
          sink.glob(part.value)
          break
        case 'tilde':
          sink.quoted(this.#home(part.user))
          break
        case 'parameter':
          yield* this.#parameter(part, sink)
          break
        case 'command': {
          const output = yield* this.#substituter.substitute(this.#shell, part.list)
          if (part.isQuoted) sink.quoted(output)
          else sink.split(output)
          break
        }
        case 'arithmetic': {
          const value = String(yield* this.arithmetic(part.expression))
          if (part.isQuoted) sink.quoted(value)
          else sink.split(value)
          break
        }
      }
    }
  }

  #home(user: ByteString): ByteString {
    if (user === '') {
      const home = this.#shell.getVariable('HOME')
      if (home !== undefined) return home
    }
    const { users } = this.#shell.process.kernel.surroundings
    const { uid } = this.#shell.process.credentials
    const found = users.find((known) =>
      user === '' ? known.uid === uid : fromText(known.name) === user,
    )
    return found === undefined ? `~${user}` : fromText(found.home)
  }

  *#parameter(part: ParameterPart, sink: Sink): Task<void> {
    const { name, isQuoted, operation } = part
    const shell = this.#shell
    if ((name === '@' || name === '*') && operation?.type !== 'length') {
      yield* this.#allParameters(part, sink)
      return
    }
    let value = shell.get(name)
    if (operation === undefined) {
      if (value === undefined) {
        if (shell.options.nounset) throw new ScriptFault(`${name}: parameter not set`)
        value = ''
      }
    } else if (operation.type === 'default') {
      if (yield* this.#default(part, value, sink)) return
      value ??= ''
    } else {
      if (value === undefined) {
        if (shell.options.nounset && name !== '@' && name !== '*')
          throw new ScriptFault(`${name}: parameter not set`)
        value = ''
      }
      value = yield* this.#changed(part, value)
    }
    if (isQuoted) sink.quoted(value)
    else sink.split(value)
  }

  *#allParameters(part: ParameterPart, sink: Sink): Task<void> {
    const { name, isQuoted, operation } = part
    const shell = this.#shell
    let { parameters } = shell
    if (operation?.type === 'default') {
      const value = parameters.length === 0 ? undefined : parameters.join(' ')
      if (yield* this.#default(part, value, sink)) return
    } else if (operation?.type === 'slice') {
      const all = [shell.name, ...parameters]
      const offset = Number(yield* this.arithmetic(operation.offset))
      const start = offset < 0 ? Math.max(0, all.length + offset) : offset
      const length =
        operation.length === undefined ? Infinity : Number(yield* this.arithmetic(operation.length))
      parameters = all.slice(start, start + Math.max(0, length))
    } else if (operation !== undefined) {
      const changed: ByteString[] = []
      for (const value of parameters) changed.push(yield* this.#changed(part, value))
      parameters = changed
    }
    const kind = name === '*' ? '*' : '@'
    if (kind === '*' && isQuoted) {
      if (parameters.length === 0 && !(sink instanceof FieldSink)) return
      sink.quoted(parameters.join(shell.separator('*')))
      return
    }
    sink.list(parameters, isQuoted, kind === '*' ? shell.separator('*') : ' ')
  }

  /** `-`, `=`, `?` and `+`. Answers whether the word took the place of the value. */
  *#default(part: ParameterPart, value: ByteString | undefined, sink: Sink): Task<boolean> {
    const { name, operation } = part
    if (operation?.type !== 'default') return false
    const { operator, isColon, word } = operation
    const isMissing = value === undefined || (isColon && value === '')
    switch (operator) {
      case '+':
        if (!isMissing) yield* this.#word(word, part.isQuoted, sink)
        else if (part.isQuoted) sink.quoted('')
        return true
      case '-':
        if (isMissing) yield* this.#word(word, part.isQuoted, sink)
        return isMissing
      case '=': {
        if (!isMissing) return false
        if (!/^[A-Za-z_]\w*$/.test(name)) throw new ScriptFault(`${name}: bad variable name`)
        const text = yield* this.text(word)
        this.#shell.setVariable(name, text)
        if (part.isQuoted) sink.quoted(text)
        else sink.split(text)
        return true
      }
      case '?': {
        if (!isMissing) return false
        const message = yield* this.text(word)
        const usual = isColon ? 'parameter not set or null' : 'parameter not set'
        throw new ScriptFault(`${name}: ${message === '' ? usual : message}`)
      }
    }
  }

  *#word(word: Word, isQuoted: boolean, sink: Sink): Task<void> {
    // `"${x-}"` is an empty field, not none.
    if (isQuoted && word.parts.length === 0) sink.quoted('')
    yield* this.#parts(word.parts, sink)
  }

  *#changed({ name, operation }: ParameterPart, value: ByteString): Task<ByteString> {
    switch (operation?.type) {
      case 'length':
        if (name === '@' || name === '*') return String(this.#shell.parameters.length)
        return String(value.length)
      case 'remove': {
        const glob = new Glob(yield* this.pattern(operation.pattern))
        const { side, isLongest } = operation
        const length = yield* glob.measure(value, side, isLongest)
        if (length <= 0) return value
        return side === 'prefix' ? value.slice(length) : value.slice(0, value.length - length)
      }
      case 'replace': {
        const pattern = yield* this.pattern(operation.pattern)
        const replacement = yield* this.text(operation.replacement)
        return this.#checked(yield* this.#replaced(value, operation.which, pattern, replacement))
      }
      case 'slice': {
        const offset = Number(yield* this.arithmetic(operation.offset))
        const start = offset < 0 ? value.length + offset : offset
        if (start < 0 || start > value.length) return ''
        if (operation.length === undefined) return value.slice(start)
        const length = Number(yield* this.arithmetic(operation.length))
        const end = length < 0 ? value.length + length : start + length
        if (end < start) throw new ScriptFault(`${length}: substring expression < 0`)
        return value.slice(start, end)
      }
      case 'case': {
        const change = (text: ByteString): ByteString =>
          operation.operator.startsWith('^') ? upper(text) : lower(text)
        if (operation.operator.length === 2) return change(value)
        return change(value.slice(0, 1)) + value.slice(1)
      }
      case 'indirect': {
        if (!/^([A-Za-z_]\w*|\d+|[@*#?$!-])$/.test(value)) throw new ScriptFault('Bad substitution')
        return this.#shell.get(value) ?? ''
      }
      default:
        return value
    }
  }

  *#replaced(
    value: ByteString,
    which: 'first' | 'all' | 'prefix' | 'suffix',
    pattern: ByteString,
    replacement: ByteString,
  ): Task<ByteString> {
    if (pattern === '') return value
    const glob = new Glob(pattern)
    if (which === 'prefix' || which === 'suffix') {
      const length = yield* glob.measure(value, which, true)
      if (length < 0) return value
      return which === 'prefix'
        ? replacement + value.slice(length)
        : value.slice(0, value.length - length) + replacement
    }
    const regex = glob.regex()
    let result = ''
    let at = 0
    while (at <= value.length) {
      const match = yield* regex.search(value, at)
      if (match === undefined || (match.end === match.start && match.start === value.length)) break
      result += value.slice(at, match.start) + replacement
      at = match.end
      if (match.end === match.start) {
        result += value[at] ?? ''
        at++
      }
      this.#checked(result)
      if (which === 'first') break
    }
    return result + value.slice(at)
  }

  /** The paths a pattern matches in order of their names, or the word itself when there are none. */
  *#paths(pattern: ByteString, value: ByteString): Task<ByteString[]> {
    const files = new Files(this.#shell.process, this.#shell.programs)
    let found = pattern.startsWith('/') ? ['/'] : ['']
    const names = pattern.split('/').filter((name) => name !== '')
    for (const [index, name] of names.entries()) {
      const isLast = index === names.length - 1
      const next: ByteString[] = []
      let sizeBytes = 0
      for (const parent of found) {
        yield
        for (const path of yield* this.#matchIn(files, parent, name, isLast)) {
          next.push(path)
          sizeBytes += path.length + pointerSizeBytes
        }
        if (sizeBytes > argumentsSizeBytesMax) throw new ScriptFault('Argument list too long')
      }
      found = next
      if (found.length === 0) return [value]
    }
    const suffix = pattern.endsWith('/') ? '/' : ''
    return found.map((path) => path + suffix).sort()
  }

  *#matchIn(
    files: Files,
    parent: ByteString,
    name: ByteString,
    isLast: boolean,
  ): Task<ByteString[]> {
    const join = (child: ByteString): ByteString => (isLast ? parent + child : `${parent}${child}/`)
    if (!globCharacters.test(name.replace(/\\./gs, ''))) {
      const path = parent + unescapeGlob(name)
      const stat = files.statIfThere(path, !isLast)
      if (stat === undefined || (!isLast && stat.kind !== 'directory')) return []
      return [join(unescapeGlob(name))]
    }
    const glob = new Glob(name)
    let children: readonly ByteString[]
    try {
      children = files.list(parent === '' ? '.' : parent)
    } catch (refusal) {
      if (refusal instanceof FileSystemError) return []
      throw refusal
    }
    const showsHidden = name.startsWith('.') || name.startsWith('\\.')
    const matching: ByteString[] = []
    for (const [index, child] of [...(showsHidden ? ['.', '..'] : []), ...children].entries()) {
      if (index % entriesPerTick === entriesPerTick - 1) yield
      if (child.startsWith('.') && !showsHidden) continue
      if (!(yield* glob.matches(child))) continue
      if (isLast || files.statIfThere(parent + child)?.kind === 'directory')
        matching.push(join(child))
    }
    return matching
  }
}

// Nothing in it is split by the usual IFS, empty, or a pattern.
const quickValue = /^[^ \t\n*?[\\]+$/

const upper = (text: ByteString): ByteString =>
  text.replace(/[a-z]/g, (letter) => letter.toUpperCase())

const lower = (text: ByteString): ByteString =>
  text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

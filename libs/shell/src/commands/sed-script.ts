import type { ByteString } from '../byte-string.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { parseBracket } from '../regex/byte-set.ts'
import { compileRegex, RegexMalformed, type RegexSyntax } from '../regex/posix.ts'
import type { Regex } from '../regex/regex.ts'

export type Address =
  | { readonly type: 'line'; readonly number: number }
  | { readonly type: 'last' }
  | { readonly type: 'step'; readonly first: number; readonly step: number }
  /** Without a regex: the one that was used last. */
  | { readonly type: 'regex'; readonly regex: Regex | undefined }

export type RangeEnd =
  | Address
  | { readonly type: 'plus'; readonly count: number }
  | { readonly type: 'multiple'; readonly of: number }

/** A piece of a replacement: text, a group of the match, or a change of case from here on. */
export type Piece =
  | { readonly type: 'text'; readonly text: ByteString }
  | { readonly type: 'group'; readonly number: number }
  | { readonly type: 'case'; readonly to: 'U' | 'L' | 'u' | 'l' | 'E' }

export interface Substitution {
  readonly regex: Regex | undefined
  readonly pieces: readonly Piece[]
  readonly isGlobal: boolean
  readonly occurrence: number
  readonly prints: boolean
  readonly path: ByteString | undefined
}

export type Action =
  | { readonly do: 'block-start'; end: number }
  | { readonly do: 'block-end' }
  | { readonly do: 'substitute'; readonly how: Substitution }
  | { readonly do: 'translate'; readonly map: ReadonlyMap<string, string> }
  | { readonly do: 'append' | 'insert' | 'change'; readonly text: ByteString }
  | { readonly do: 'branch' | 'branch-if' | 'branch-unless'; readonly label: ByteString }
  | { readonly do: 'label'; readonly label: ByteString }
  | { readonly do: 'quit' | 'quit-silently'; readonly status: number }
  | { readonly do: 'read' | 'write'; readonly path: ByteString }
  | { readonly do: 'simple'; readonly letter: SimpleLetter }

export type SimpleLetter =
  | 'p'
  | 'P'
  | 'd'
  | 'D'
  | 'n'
  | 'N'
  | 'g'
  | 'G'
  | 'h'
  | 'H'
  | 'x'
  | '='
  | 'l'
  | 'z'

export interface Command {
  readonly from: Address | undefined
  readonly to: RangeEnd | undefined
  readonly isNegated: boolean
  readonly action: Action
  // Where a range stands at the moment: one run of sed has one script.
  isInside: boolean
  endsAt: number
}

/** Compiles a script of `sed`. @throws ScriptFault with GNU's words */
export function parseSed(source: ByteString, syntax: RegexSyntax): readonly Command[] {
  return new Parser(source, syntax).whole()
}

class Parser {
  readonly #source: ByteString
  readonly #syntax: RegexSyntax
  #at = 0
  #hasOpenBracket = false

  constructor(source: ByteString, syntax: RegexSyntax) {
    this.#source = source
    this.#syntax = syntax
  }

  whole(): readonly Command[] {
    const commands: Command[] = []
    const open: Extract<Action, { do: 'block-start' }>[] = []
    for (;;) {
      this.#skip(/[\s;]/)
      if (this.#peek() === '') break
      if (this.#peek() === '#') {
        this.#restOfLine()
        continue
      }
      const command = this.#command()
      if (command.action.do === 'block-start') open.push(command.action)
      if (command.action.do === 'block-end') {
        const start = open.pop()
        if (start === undefined) throw this.#fault("unexpected `}'")
        start.end = commands.length
      }
      commands.push(command)
    }
    if (open.length > 0) throw new ScriptFault("-e expression #1, char 0: unmatched `{'", 1)
    const labels = new Set(
      commands.flatMap(({ action }) => (action.do === 'label' ? [action.label] : [])),
    )
    for (const { action } of commands) {
      if ('label' in action && action.label !== '' && !labels.has(action.label)) {
        throw new ScriptFault(`can't find label for jump to \`${action.label}'`, 4)
      }
    }
    return commands
  }

  #command(): Command {
    const from = this.#address()
    let to: RangeEnd | undefined
    if (from !== undefined) {
      this.#skip(/[ \t]/)
      if (this.#peek() === ',') {
        this.#at++
        this.#skip(/[ \t]/)
        to = this.#rangeEnd()
      }
    }
    if (from?.type === 'line' && from.number === 0 && to?.type !== 'regex') {
      throw this.#fault('invalid usage of line address 0')
    }
    this.#skip(/[ \t]/)
    let isNegated = false
    while (this.#peek() === '!') {
      isNegated = true
      this.#at++
      this.#skip(/[ \t]/)
    }
    const letter = this.#next()
    const action = this.#action(letter)
    return { from, to, isNegated, action, isInside: false, endsAt: 0 }
  }

  #address(): Address | undefined {
    const character = this.#peek()
    if (/\d/.test(character)) {
      const first = this.#number()
      if (this.#peek() !== '~') return { type: 'line', number: first }
      this.#at++
      return { type: 'step', first, step: this.#number() }
    }
    if (character === '$') {
      this.#at++
      return { type: 'last' }
    }
    if (character !== '/' && character !== '\\') return undefined
    this.#at++
    const delimiter = character === '/' ? '/' : this.#next()
    const text = this.#until(delimiter, 'unterminated address regex', true)
    const [flags = ''] = /^[IM]*/.exec(this.#source.slice(this.#at, this.#at + 4)) ?? []
    this.#at += flags.length
    if (flags.includes('M')) throw this.#fault('multi-line mode is not supported')
    return { type: 'regex', regex: this.#regex(text, flags.includes('I')) }
  }

  #rangeEnd(): RangeEnd {
    const character = this.#peek()
    if (character === '+' || character === '~') {
      this.#at++
      const count = this.#number()
      return character === '+' ? { type: 'plus', count } : { type: 'multiple', of: count }
    }
    const address = this.#address()
    if (address === undefined) throw this.#fault("unexpected `,'")
    return address
  }

  #action(letter: string): Action {
    switch (letter) {
      case '{':
        return { do: 'block-start', end: 0 }
      case '}':
        this.#end()
        return { do: 'block-end' }
      case 's':
        return { do: 'substitute', how: this.#substitution() }
      case 'y':
        return { do: 'translate', map: this.#translation() }
      case 'a':
        return { do: 'append', text: this.#text() }
      case 'i':
        return { do: 'insert', text: this.#text() }
      case 'c':
        return { do: 'change', text: this.#text() }
      case ':': {
        this.#skip(/[ \t]/)
        const label = this.#word()
        if (label === '') throw this.#fault('":" lacks a label')
        return { do: 'label', label }
      }
      case 'b':
      case 't':
      case 'T': {
        this.#skip(/[ \t]/)
        const label = this.#word()
        const name = letter === 'b' ? 'branch' : letter === 't' ? 'branch-if' : 'branch-unless'
        return { do: name, label }
      }
      case 'q':
      case 'Q': {
        this.#skip(/[ \t]/)
        const status = /\d/.test(this.#peek()) ? this.#number() : 0
        this.#end()
        return { do: letter === 'q' ? 'quit' : 'quit-silently', status }
      }
      case 'r':
      case 'w': {
        this.#skip(/[ \t]/)
        const path = this.#restOfLine()
        if (path === '') throw this.#fault('missing filename in r/R/w/W commands')
        return { do: letter === 'r' ? 'read' : 'write', path }
      }
      case '':
        throw this.#fault('missing command')
      default:
        if (!'pPdDnNgGhHx=lz'.includes(letter)) throw this.#fault(`unknown command: \`${letter}'`)
        this.#end()
        return { do: 'simple', letter: letter as SimpleLetter }
    }
  }

  #substitution(): Substitution {
    const delimiter = this.#next()
    if (delimiter === '' || delimiter === '\n' || delimiter === '\\') {
      throw this.#fault("unterminated `s' command")
    }
    const pattern = this.#until(delimiter, "unterminated `s' command", true)
    const replacement = this.#until(delimiter, "unterminated `s' command", false)
    let isGlobal = false
    let prints = false
    let ignoresCase = false
    let occurrence = 1
    let path: ByteString | undefined
    for (;;) {
      const flag = this.#peek()
      if (/[1-9]/.test(flag)) occurrence = this.#number()
      else if (flag === 'g') isGlobal = true
      else if (flag === 'p') prints = true
      else if (flag === 'i' || flag === 'I') ignoresCase = true
      else if (flag === 'w') {
        this.#at++
        this.#skip(/[ \t]/)
        path = this.#restOfLine()
        break
      } else if (/[a-zA-Z0]/.test(flag)) {
        this.#at++
        throw this.#fault("unknown option to `s'")
      } else break
      if (!/[1-9]/.test(flag)) this.#at++
    }
    if (path === undefined) this.#end()
    const regex = this.#regex(pattern, ignoresCase)
    const pieces = replacementPieces(replacement)
    const highest = Math.max(
      0,
      ...pieces.map((piece) => (piece.type === 'group' ? piece.number : 0)),
    )
    if (regex !== undefined && highest > regex.groupCount) {
      throw this.#fault(`invalid reference \\${highest} on \`s' command's RHS`)
    }
    return { regex, pieces, isGlobal, occurrence, prints, path }
  }

  #translation(): ReadonlyMap<string, string> {
    const delimiter = this.#next()
    const read = (): string[] => {
      const text = this.#until(delimiter, "unterminated `y' command", false)
      return Array.from(text.matchAll(/\\([^])|([^])/g), ([, escaped, plain]) => {
        if (escaped === 'n') return '\n'
        if (escaped === 't') return '\t'
        return escaped ?? plain ?? ''
      })
    }
    const from = read()
    const to = read()
    if (from.length !== to.length) {
      throw this.#fault("strings for `y' command are different lengths")
    }
    this.#end()
    return new Map(from.map((letter, index) => [letter, to[index] ?? '']))
  }

  /** The text of `a`, `i` and `c`: behind a backslash and a newline, or in one line with them. */
  #text(): ByteString {
    this.#skip(/[ \t]/)
    if (this.#peek() === '\\') {
      const [lead = ''] = /^\\[ \t]*\n?/.exec(this.#source.slice(this.#at)) ?? []
      this.#at += lead.includes('\n') ? lead.length : 1
    }
    let text = ''
    for (;;) {
      const character = this.#next()
      if (character === '' || character === '\n') break
      text += character === '\\' ? this.#next() : character
    }
    if (text === '' && this.#at >= this.#source.length)
      throw this.#fault("expected \\ after `a', `c' or `i'")
    return `${text}\n`
  }

  #regex(text: ByteString, ignoresCase: boolean): Regex | undefined {
    if (text === '') return undefined
    try {
      return compileRegex(text, this.#syntax, { ignoresCase, needsGroups: true })
    } catch (refusal) {
      if (refusal instanceof RegexMalformed) throw this.#fault(refusal.message)
      throw refusal
    }
  }

  /** Up to a delimiter that no backslash precedes and, in a regex, no bracket holds. */
  #until(delimiter: string, fault: string, isRegex: boolean): ByteString {
    let text = ''
    for (;;) {
      const character = this.#next()
      if (character === '') throw this.#fault(fault)
      if (character === delimiter) return text
      if (character === '\\') {
        const escaped = this.#next()
        if (escaped === '') throw this.#fault(fault)
        // An escaped delimiter is that byte itself; other escapes are somebody else's.
        if (escaped === delimiter)
          text += isRegex && /[.*[\]^$]/.test(delimiter) ? `\\${escaped}` : escaped
        else if (escaped === '\n' && isRegex) text += '\n'
        else text += `\\${escaped}`
        continue
      }
      if (character === '[' && isRegex) {
        text += this.#bracket()
        continue
      }
      text += character
    }
  }

  /** The rest of a bracket expression, of which the `[` was read; just that when it never ends. */
  #bracket(): ByteString {
    const bracket = this.#hasOpenBracket
      ? undefined
      : parseBracket(this.#source, this.#at, '^', false)
    // Once one never ends, none behind it does: they are not looked for again and again.
    if (bracket === undefined) {
      this.#hasOpenBracket = true
      return '['
    }
    const text = this.#source.slice(this.#at, bracket.end)
    this.#at = bracket.end
    return `[${text.replaceAll(String.raw`\n`, '\n').replaceAll(String.raw`\t`, '\t')}`
  }

  #end(): void {
    this.#skip(/[ \t]/)
    const character = this.#peek()
    if (character === '' || character === '\n' || character === ';') {
      this.#at++
      return
    }
    if (character === '}' || character === '#') return
    this.#at++
    throw this.#fault('extra characters after command')
  }

  #word(): ByteString {
    const [word = ''] = /^[^\s;}]*/.exec(this.#source.slice(this.#at)) ?? []
    this.#at += word.length
    return word
  }

  #restOfLine(): ByteString {
    const cut = this.#source.indexOf('\n', this.#at)
    const end = cut < 0 ? this.#source.length : cut
    const text = this.#source.slice(this.#at, end)
    this.#at = end
    return text
  }

  #number(): number {
    const [digits = ''] = /^\d{0,9}/.exec(this.#source.slice(this.#at, this.#at + 9)) ?? []
    this.#at += digits.length
    return Number(digits)
  }

  #skip(what: RegExp): void {
    while (this.#at < this.#source.length && what.test(this.#peek())) this.#at++
  }

  #peek(): string {
    return this.#source[this.#at] ?? ''
  }

  #next(): string {
    return this.#source[this.#at++] ?? ''
  }

  #fault(message: string): ScriptFault {
    const at = Math.min(this.#at, this.#source.length)
    return new ScriptFault(`-e expression #1, char ${at}: ${message}`, 1)
  }
}

const replacementEscapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  f: '\f',
  v: '\v',
  a: '\u0007',
}

function replacementPieces(source: ByteString): readonly Piece[] {
  const pieces: Piece[] = []
  let text = ''
  const cut = (piece: Piece): void => {
    if (text !== '') pieces.push({ type: 'text', text })
    text = ''
    pieces.push(piece)
  }
  for (let at = 0; at < source.length; at++) {
    const character = source[at] ?? ''
    if (character === '&') cut({ type: 'group', number: 0 })
    else if (character !== '\\') text += character
    else {
      const escaped = source[++at] ?? ''
      if (/\d/.test(escaped)) cut({ type: 'group', number: Number(escaped) })
      else if ('ULulE'.includes(escaped) && escaped !== '') {
        cut({ type: 'case', to: escaped as 'U' | 'L' | 'u' | 'l' | 'E' })
      } else text += replacementEscapes[escaped] ?? escaped
    }
  }
  if (text !== '') pieces.push({ type: 'text', text })
  return pieces
}

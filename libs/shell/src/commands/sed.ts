import { bytesOf, type ByteString } from '../byte-string.ts'
import type { Description } from '../description.ts'
import { FileSystemError } from '../file-system.ts'
import { complaint, LineReader, type Invocation, type Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { parentPath } from '../paths.ts'
import type { Match, Regex } from '../regex/regex.ts'
import type { Task } from '../wait-set.ts'
import { drain, writeInto } from './lines.ts'
import { withArguments } from './arguments.ts'
import { asciiLower, asciiUpper } from './ascii.ts'
import {
  parseSed,
  type Address,
  type Command,
  type Piece,
  type SimpleLetter,
  type Substitution,
} from './sed-script.ts'

export const sed: Program = function* (invocation) {
  // The suffix of `-i` is part of its word or missing, which no other option knows.
  let suffix: ByteString | undefined
  const args = invocation.args.map((arg) => {
    const match = /^(?:-([nErsuz]*)i(.*)|--in-place(?:=(.*))?)$/.exec(arg)
    if (match === null) return arg
    suffix = match[2] ?? match[3] ?? ''
    return match[1] ? `-${match[1]}` : '-s'
  })
  const { flags, values, operands } = withArguments(invocation, args).options('nErsuze:f:', {
    quiet: 'n',
    silent: 'n',
    'regexp-extended': 'E',
    expression: 'e',
    file: 'f',
    separate: 's',
    'null-data': 'z',
    unbuffered: 'u',
  })
  const scripts = [...(values.get('e') ?? [])]
  for (const path of values.get('f') ?? []) {
    const input = invocation.openInput(path)
    scripts.push((yield* invocation.readText(input)).replace(/\n$/, ''))
    input.release()
  }
  const paths = [...operands]
  if (scripts.length === 0) {
    const script = paths.shift()
    if (script === undefined) throw new ScriptFault('no script specified', 1)
    scripts.push(script)
  }
  const source = scripts.join('\n')
  const syntax = flags.has('E') || flags.has('r') ? 'extended' : 'basic'
  const commands = parseSed(source, syntax)
  const isQuiet = flags.has('n') || source.startsWith('#n\n')
  const separator = flags.has('z') ? '\0' : '\n'
  const editor = new Editor(invocation, commands, isQuiet, separator)
  try {
    if (suffix === undefined && !flags.has('s')) {
      yield* editor.edit(paths.length === 0 ? ['-'] : paths)
    } else {
      for (const path of paths.length === 0 ? ['-'] : paths) {
        if (suffix === undefined) yield* editor.edit([path])
        else yield* editor.editInPlace(path, suffix)
        if (editor.hasQuit) break
        editor.restart()
      }
    }
    return editor.status
  } finally {
    editor.close()
  }
}

/** How many commands may run for one line before the machine gets a tick. */
const commandsPerTick = 50

/** What a command wants to happen next. */
type Next = 'go-on' | 'end-cycle' | 'delete' | 'restart-cycle' | 'quit'

class Editor {
  status = 0
  hasQuit = false
  readonly #invocation: Invocation
  readonly #commands: readonly Command[]
  readonly #labels = new Map<ByteString, number>()
  readonly #isQuiet: boolean
  readonly #separator: ByteString
  readonly #writers = new Map<ByteString, Description>()
  #output: Description | undefined
  #input: Lines
  #pattern = ''
  #hold = ''
  #lineNumber = 0
  #isReplaced = false
  /** The last line was printed without a newline, which is due when more follows. */
  #owesNewline = false
  #lastRegex: Regex | undefined
  #queue: { readonly type: 'text' | 'file'; readonly text: ByteString }[] = []
  #work = 0

  constructor(
    invocation: Invocation,
    commands: readonly Command[],
    isQuiet: boolean,
    separator: ByteString,
  ) {
    this.#invocation = invocation
    this.#commands = commands
    this.#isQuiet = isQuiet
    this.#separator = separator
    this.#input = new Lines(invocation, [], separator)
    for (const [at, { action }] of commands.entries()) {
      if (action.do === 'label') this.#labels.set(action.label, at)
      if (action.do === 'write') this.#writer(action.path)
      if (action.do === 'substitute' && action.how.path !== undefined) this.#writer(action.how.path)
    }
  }

  restart(): void {
    this.#lineNumber = 0
    for (const command of this.#commands) command.isInside = false
  }

  close(): void {
    for (const writer of this.#writers.values()) writer.release()
  }

  *edit(paths: readonly ByteString[]): Task<void> {
    this.#input = new Lines(this.#invocation, paths, this.#separator)
    try {
      while (!this.hasQuit && (yield* this.#nextLine())) {
        yield* this.#cycle()
        if (this.#output === undefined && this.#invocation.isFull) yield* drain(this.#invocation)
      }
      if (this.#input.isFaulty) this.status = this.status || 2
    } finally {
      this.#input.close()
    }
  }

  /** Writes beside the file, then puts the new one in its place. */
  *editInPlace(path: ByteString, suffix: ByteString): Task<void> {
    const { files, process } = this.#invocation
    let stat
    try {
      stat = files.stat(path)
    } catch (refusal) {
      yield* this.#invocation.complain(`can't read ${complaint(refusal, path)}`)
      this.status = 2
      return
    }
    if (stat.kind !== 'file') {
      yield* this.#invocation.complain(`couldn't edit ${path}: not a regular file`)
      this.status = 4
      return
    }
    const temporary = `${parentPath(path)}/sed${process.pid}.tmp`
    const flags = { write: true, create: true, truncate: true, mode: stat.mode }
    let output: Description
    try {
      output = files.open(temporary, flags).retain()
    } catch (refusal) {
      yield* this.#invocation.complain(
        `couldn't open temporary file ${complaint(refusal, temporary)}`,
      )
      this.status = 4
      return
    }
    this.#output = output
    try {
      yield* this.edit([path])
    } finally {
      this.#output = undefined
      output.release()
    }
    files.chmod(temporary, stat.mode)
    if (suffix !== '') {
      files.rename(path, suffix.includes('*') ? suffix.replaceAll('*', path) : path + suffix)
    }
    files.rename(temporary, path)
  }

  *#nextLine(): Task<boolean> {
    const line = yield* this.#input.next()
    if (line === undefined) return false
    this.#pattern = line
    this.#lineNumber++
    return true
  }

  *#cycle(): Task<void> {
    this.#isReplaced = false
    for (;;) {
      const next = yield* this.#runCommands()
      if (next === 'restart-cycle') continue
      if (next !== 'delete' && !this.#isQuiet) this.#print(this.#pattern)
      yield* this.#flushQueue()
      if (next === 'quit') this.hasQuit = true
      return
    }
  }

  *#runCommands(): Task<Next> {
    for (let at = 0; at < this.#commands.length; at++) {
      if (++this.#work % commandsPerTick === 0) yield
      const command = this.#commands[at]
      if (command === undefined) break
      const { action } = command
      const applies = yield* this.#applies(command)
      if (action.do === 'block-start') {
        if (!applies) at = action.end
        continue
      }
      if (!applies) continue
      switch (action.do) {
        case 'block-end':
        case 'label':
          break
        case 'substitute':
          yield* this.#substitute(action.how)
          break
        case 'translate': {
          const { map } = action
          this.#pattern = Array.from(this.#pattern, (letter) => map.get(letter) ?? letter).join('')
          break
        }
        case 'append':
          this.#queue.push({ type: 'text', text: action.text })
          break
        case 'insert':
          this.#put(action.text)
          break
        case 'change':
          // A range is changed as a whole, behind its last line.
          if (command.to === undefined || command.isNegated || !command.isInside)
            this.#put(action.text)
          return 'delete'
        case 'branch':
        case 'branch-if':
        case 'branch-unless': {
          const jumps = action.do === 'branch' || this.#isReplaced === (action.do === 'branch-if')
          if (action.do !== 'branch') this.#isReplaced = false
          if (!jumps) break
          if (action.label === '') return 'end-cycle'
          at = this.#labels.get(action.label) ?? at
          break
        }
        case 'quit':
          this.status = action.status
          return 'quit'
        case 'quit-silently':
          this.status = action.status
          this.hasQuit = true
          return 'delete'
        case 'read':
          this.#queue.push({ type: 'file', text: action.path })
          break
        case 'write':
          yield* this.#write(action.path)
          break
        case 'simple': {
          const next = yield* this.#simple(action.letter)
          if (next !== 'go-on') return next
          break
        }
      }
    }
    return 'end-cycle'
  }

  *#simple(letter: SimpleLetter): Task<Next> {
    const cut = this.#pattern.indexOf('\n')
    switch (letter) {
      case 'p':
        this.#print(this.#pattern)
        break
      case 'P':
        this.#put((cut < 0 ? this.#pattern : this.#pattern.slice(0, cut)) + this.#separator)
        break
      case 'd':
        return 'delete'
      case 'D':
        if (cut < 0) return 'delete'
        this.#pattern = this.#pattern.slice(cut + 1)
        yield* this.#flushQueue()
        return 'restart-cycle'
      case 'n':
        if (yield* this.#input.isLast()) return 'quit'
        if (!this.#isQuiet) this.#print(this.#pattern)
        yield* this.#flushQueue()
        yield* this.#nextLine()
        break
      case 'N': {
        if (yield* this.#input.isLast()) return 'quit'
        const before = this.#pattern
        yield* this.#flushQueue()
        yield* this.#nextLine()
        this.#setPattern(`${before}\n${this.#pattern}`)
        break
      }
      case 'g':
        this.#pattern = this.#hold
        break
      case 'G':
        this.#setPattern(`${this.#pattern}\n${this.#hold}`)
        break
      case 'h':
        this.#hold = this.#pattern
        break
      case 'H':
        this.#hold = `${this.#hold}\n${this.#pattern}`
        this.#guard(this.#hold)
        break
      case 'x':
        ;[this.#pattern, this.#hold] = [this.#hold, this.#pattern]
        break
      case '=':
        this.#put(`${this.#lineNumber}\n`)
        break
      case 'l':
        this.#put(`${unambiguous(this.#pattern)}\n`)
        break
      case 'z':
        this.#pattern = ''
        break
    }
    return 'go-on'
  }

  *#applies(command: Command): Task<boolean> {
    return (yield* this.#isSelected(command)) !== command.isNegated
  }

  *#isSelected(command: Command): Task<boolean> {
    const { from, to } = command
    if (from === undefined) return true
    if (to === undefined) return yield* this.#matches(from)
    const line = this.#lineNumber
    if (!command.isInside) {
      const startsAtZero = from.type === 'line' && from.number === 0 && line === 1
      if (!startsAtZero && !(yield* this.#matches(from))) return false
      command.endsAt = rangeEnd(to, line)
      if (startsAtZero && to.type === 'regex' && (yield* this.#matches(to))) return true
      command.isInside = to.type === 'regex' || to.type === 'last' || command.endsAt > line
      if (to.type === 'last' && (yield* this.#input.isLast())) command.isInside = false
      return true
    }
    if (to.type === 'regex' || to.type === 'last' || to.type === 'step') {
      if (yield* this.#matches(to)) command.isInside = false
      return true
    }
    if (line >= command.endsAt) command.isInside = false
    return line <= command.endsAt
  }

  *#matches(address: Address): Task<boolean> {
    switch (address.type) {
      case 'line':
        return this.#lineNumber === address.number
      case 'last':
        return yield* this.#input.isLast()
      case 'step': {
        const { first, step } = address
        const line = this.#lineNumber
        return step === 0 ? line === first : line >= first && (line - first) % step === 0
      }
      default:
        return (yield* this.#regex(address.regex).search(this.#pattern)) !== undefined
    }
  }

  /** The regex that was given, or the last one used for an empty one. */
  #regex(given: Regex | undefined): Regex {
    const regex = given ?? this.#lastRegex
    if (regex === undefined) throw new ScriptFault('no previous regular expression', 1)
    this.#lastRegex = regex
    return regex
  }

  *#substitute(how: Substitution): Task<void> {
    const regex = this.#regex(how.regex)
    const text = this.#pattern
    let result = ''
    let copied = 0
    let from = 0
    let count = 0
    let isReplaced = false
    let lastEnd = -1
    while (from <= text.length) {
      const match: Match | undefined = yield* regex.search(text, from)
      if (match === undefined) break
      const { start, end } = match
      // An empty match right behind another one does not count.
      if (start !== end || start !== lastEnd) {
        count++
        if (count >= how.occurrence) {
          result += text.slice(copied, start) + replacement(how.pieces, text, match)
          copied = end
          isReplaced = true
          this.#guard(result)
          if (!how.isGlobal) break
        }
      }
      lastEnd = end
      from = end > start ? end : end + 1
    }
    if (!isReplaced) return
    this.#isReplaced = true
    this.#setPattern(result + text.slice(copied))
    if (how.prints) this.#print(this.#pattern)
    if (how.path !== undefined) {
      yield* this.#write(how.path)
    }
  }

  /** `w`: the pattern space into a file, or in its turn into the output. */
  *#write(path: ByteString): Task<void> {
    const text = this.#pattern + this.#separator
    if (path === '/dev/stdout') this.#put(text)
    else yield* writeInto(this.#writer(path), bytesOf(text))
  }

  #setPattern(text: ByteString): void {
    this.#guard(text)
    this.#pattern = text
  }

  #guard(text: ByteString): void {
    if (text.length > this.#invocation.stringBytesMax) throw new ScriptFault('line too long', 1)
  }

  /** A line; the very last one gets a newline only if it had one. */
  #print(text: ByteString): void {
    this.#put(this.#input.isTerminated ? text + this.#separator : text)
    this.#owesNewline = !this.#input.isTerminated
  }

  #put(text: ByteString): void {
    if (text === '') return
    const whole = this.#owesNewline ? this.#separator + text : text
    this.#owesNewline = false
    if (this.#output === undefined) this.#invocation.put(whole)
    else this.#output.write(bytesOf(whole))
  }

  *#flushQueue(): Task<void> {
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []
    for (const { type, text } of queue) {
      if (type === 'text') this.#put(text)
      else this.#put(yield* this.#fileText(text))
    }
  }

  *#fileText(path: ByteString): Task<ByteString> {
    try {
      const input = this.#invocation.openInput(path)
      try {
        return yield* this.#invocation.readText(input)
      } finally {
        input.release()
      }
    } catch (refusal) {
      // POSIX: a file that cannot be read is as an empty one.
      if (refusal instanceof FileSystemError) return ''
      throw refusal
    }
  }

  #writer(path: ByteString): Description {
    const open = this.#writers.get(path)
    if (open !== undefined) return open
    const flags = { write: true, create: true, truncate: true }
    const writer = this.#invocation.files.open(path, flags).retain()
    this.#writers.set(path, writer)
    return writer
  }
}

function rangeEnd(to: Command['to'], line: number): number {
  if (to?.type === 'line') return to.number
  if (to?.type === 'plus') return line + to.count
  if (to?.type === 'multiple') return to.of === 0 ? line : Math.ceil(line / to.of) * to.of
  return Infinity
}

function replacement(pieces: readonly Piece[], text: ByteString, match: Match): ByteString {
  let result = ''
  let lasting: 'U' | 'L' | 'E' = 'E'
  let once: 'u' | 'l' | undefined
  for (const piece of pieces) {
    if (piece.type === 'case') {
      if (piece.to === 'u' || piece.to === 'l') once = piece.to
      else lasting = piece.to
      continue
    }
    let part = piece.type === 'text' ? piece.text : group(text, match, piece.number)
    if (lasting !== 'E') part = lasting === 'U' ? asciiUpper(part) : asciiLower(part)
    if (once !== undefined && part !== '') {
      part = (once === 'u' ? asciiUpper : asciiLower)(part.slice(0, 1)) + part.slice(1)
      once = undefined
    }
    result += part
  }
  return result
}

function group(text: ByteString, match: Match, number: number): ByteString {
  if (number === 0) return text.slice(match.start, match.end)
  const start = match.groups[2 * number] ?? -1
  const end = match.groups[2 * number + 1] ?? -1
  return start < 0 || end < 0 ? '' : text.slice(start, end)
}

const lEscapes: Readonly<Record<string, string>> = {
  '\u0007': String.raw`\a`,
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '\v': String.raw`\v`,
  '\\': String.raw`\\`,
}

/** The form of `l`: every byte visible, lines folded at 70, a dollar at the end. */
function unambiguous(text: ByteString): ByteString {
  let result = ''
  let column = 0
  for (const character of text) {
    const code = character.charCodeAt(0)
    const isPlain = code >= 32 && code < 127
    const shown =
      lEscapes[character] ?? (isPlain ? character : `\\${code.toString(8).padStart(3, '0')}`)
    if (column + shown.length > 69) {
      result += '\\\n'
      column = 0
    }
    result += shown
    column += shown.length
  }
  return `${result}$`
}

/** All lines of all inputs with a look at the one that follows, which `$` asks for. */
class Lines {
  isFaulty = false
  isTerminated = true
  readonly #invocation: Invocation
  readonly #paths: ByteString[]
  readonly #separator: ByteString
  #reader: LineReader | undefined
  #input: Description | undefined
  #ahead: { readonly line: ByteString; readonly isTerminated: boolean } | undefined

  constructor(invocation: Invocation, paths: readonly ByteString[], separator: ByteString) {
    this.#invocation = invocation
    this.#paths = [...paths]
    this.#separator = separator
  }

  *next(): Task<ByteString | undefined> {
    const found = this.#ahead ?? (yield* this.#read())
    this.#ahead = undefined
    if (found === undefined) return undefined
    this.isTerminated = found.isTerminated
    return found.line
  }

  *isLast(): Task<boolean> {
    this.#ahead ??= yield* this.#read()
    return this.#ahead === undefined
  }

  close(): void {
    this.#input?.release()
    this.#input = undefined
    this.#reader = undefined
  }

  *#read(): Task<{ readonly line: ByteString; readonly isTerminated: boolean } | undefined> {
    for (;;) {
      if (this.#reader === undefined && !(yield* this.#open())) return undefined
      const reader = this.#reader
      if (reader === undefined) continue
      const line = reader.take() ?? (yield* reader.more())
      if (line !== undefined) {
        // Only the end of the very last file may lack its newline.
        const isTerminated = reader.endedWithNewline || this.#paths.length > 0
        return { line, isTerminated }
      }
      this.close()
    }
  }

  *#open(): Task<boolean> {
    for (let path = this.#paths.shift(); path !== undefined; path = this.#paths.shift()) {
      try {
        this.#input = this.#invocation.openInput(path)
        this.#reader = new LineReader(this.#invocation, this.#input, this.#separator)
        return true
      } catch (refusal) {
        this.isFaulty = true
        yield* this.#invocation.flush()
        const isDirectory = refusal instanceof FileSystemError && refusal.posix === 'EISDIR'
        yield* this.#invocation.complain(
          isDirectory
            ? `couldn't edit ${path}: not a regular file`
            : `can't read ${complaint(refusal, path)}`,
        )
      }
    }
    return false
  }
}

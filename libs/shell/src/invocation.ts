import { byteString, bytesOf, type ByteString } from './byte-string.ts'
import type { Description } from './description.ts'
import { FileSystemError, posixErrors } from './file-system.ts'
import { Files, type VirtualPrograms } from './files.ts'
import { chunkSizeBytes, writeAll, writeComplaint, writeNow } from './io.ts'
import { ForkRefused, type Environment, type Process } from './kernel.ts'
import { ScriptFault } from './language/script-fault.ts'
import { WaitSet, type Task } from './wait-set.ts'

/** A simulated program. It answers with its exit code, at once or over time. */
export type Program = (invocation: Invocation) => number | Task<number>

/** How a name becomes a program, as far as programs themselves need to know it (`env`, `xargs`). */
export interface Programs extends VirtualPrograms {
  /**
   * What `argv` would run, with its name looked up in `path`. Answers with 126 or 127 and why when
   * that is nothing.
   */
  resolve(process: Process, argv: readonly ByteString[], path: ByteString | undefined): Resolution
  /** The path of the program that `name` means, as `which` and `command -v` print it. */
  find(process: Process, name: ByteString, path: ByteString | undefined): ByteString | undefined
}

export type Resolution =
  | { readonly isFound: true; readonly run: (process: Process) => Task<number> }
  | { readonly isFound: false; readonly status: 126 | 127; readonly why: string }

export interface Options {
  /** Letters, and words behind `--`, that were given. */
  readonly flags: ReadonlySet<string>
  readonly values: ReadonlyMap<string, readonly ByteString[]>
  readonly operands: readonly ByteString[]
}

/** What a simulated program may do: read, write, open files, start others, complain. */
export class Invocation {
  readonly process: Process
  readonly name: ByteString
  readonly args: readonly ByteString[]
  readonly files: Files
  readonly programs: Programs
  #pending = ''

  constructor(process: Process, argv: readonly ByteString[], programs: Programs) {
    this.process = process
    this.name = argv[0]?.slice(argv[0].lastIndexOf('/') + 1) ?? ''
    this.args = argv.slice(1)
    this.files = new Files(process, programs)
    this.programs = programs
  }

  get environment(): Environment {
    return this.process.environment
  }

  get nowMs(): number {
    return this.process.kernel.surroundings.clock.nowMs()
  }

  get stringBytesMax(): number {
    return this.process.kernel.surroundings.limits.stringBytes
  }

  /** Collects output. Call {@link flush} when it {@link isFull}; the end of the program does. */
  put(text: ByteString): void {
    this.#pending += text
  }

  get isFull(): boolean {
    return this.#pending.length >= chunkSizeBytes
  }

  *flush(): Task<void> {
    if (this.#pending === '') return
    const bytes = bytesOf(this.#pending)
    this.#pending = ''
    yield* writeAll(this.process, 1, bytes)
  }

  /** Writes a short text and is done: the usual case of `echo`, without a generator. */
  answer(text: ByteString, status = 0): number | Task<number> {
    if (text === '') return status
    const bytes = bytesOf(text)
    const taken = writeNow(this.process, 1, bytes)
    return taken === bytes.length ? status : this.#answerRest(bytes.subarray(taken), status)
  }

  *#answerRest(bytes: Uint8Array, status: number): Task<number> {
    yield* writeAll(this.process, 1, bytes)
    return status
  }

  /** Writes bytes behind what was collected. The array is given away. */
  *write(bytes: Uint8Array): Task<void> {
    yield* this.flush()
    yield* writeAll(this.process, 1, bytes)
  }

  /** Says something on standard error, behind the program's name; to nobody when that is closed. */
  *complain(message: ByteString): Task<void> {
    yield* writeComplaint(this.process, `${this.name}: ${message}\n`)
  }

  *fail(message: ByteString, status = 1): Task<number> {
    yield* this.complain(message)
    return status
  }

  /** The next bytes of an open file. What was collected is written before it waits for them. */
  *read(source: Description, length = chunkSizeBytes): Task<Uint8Array> {
    for (;;) {
      const result = source.read(length)
      if (!(result instanceof WaitSet)) return result
      yield* this.flush()
      yield result
    }
  }

  /** Standard input, open. */
  get stdin(): Description {
    const description = this.process.descriptions[0]
    if (description === undefined) throw new FileSystemError('EBADF', 'stdin')
    return description
  }

  /** Opens a file operand, or standard input for `-`. The caller releases it. */
  openInput(path: ByteString): Description {
    if (path === '-') return this.stdin.retain()
    const stat = this.files.statIfThere(path)
    if (stat?.kind === 'directory') throw new FileSystemError('EISDIR', path)
    return this.files.open(path).retain()
  }

  /**
   * Runs `each` over every input in turn: the operands, or standard input when there are none. What
   * cannot be opened is complained about and makes the status 1.
   */
  *eachInput(
    operands: readonly ByteString[],
    each: (input: Description, path: ByteString) => Task<void>,
  ): Task<number> {
    let status = 0
    for (const path of operands.length === 0 ? ['-'] : operands) {
      let input: Description
      try {
        input = this.openInput(path)
      } catch (refusal) {
        yield* this.flush()
        yield* this.complain(complaint(refusal, path))
        status = 1
        continue
      }
      try {
        yield* each(input, path)
      } finally {
        input.release()
      }
    }
    return status
  }

  /** All bytes of an input as one string. @throws ScriptFault above the limit of the machine */
  *readText(input: Description): Task<ByteString> {
    let text = ''
    for (;;) {
      const bytes = yield* this.read(input)
      if (bytes.length === 0) return text
      text += byteString(bytes)
      if (text.length > this.stringBytesMax) throw new ScriptFault('input too large', 1)
      yield
    }
  }

  /** Runs a program beside this one, with this one's descriptors, and waits for its end. */
  *run(argv: readonly ByteString[], environment = this.environment): Task<number> {
    const { process } = this
    const path = environment.get('PATH')
    const found = this.programs.resolve(process, argv, typeof path === 'string' ? path : undefined)
    if (!found.isFound) return yield* this.fail(`${argv[0] ?? ''}: ${found.why}`, found.status)
    yield* this.flush()
    const child = process.spawn({ argv, environment }, found.run)
    while (child.status === undefined) yield child.ended
    return child.status.exitCode
  }

  /**
   * Sorts arguments into options and operands. `spec` lists the letters, each with a colon behind it
   * when it takes a value; `long` maps words to the letter they stand for.
   *
   * @throws ScriptFault for any other option
   */
  options(spec: string, long: Readonly<Record<string, string>> = {}): Options {
    const flags = new Set<string>()
    const values = new Map<string, ByteString[]>()
    const operands: ByteString[] = []
    const args = [...this.args]
    const give = (letter: string, value: ByteString): void => {
      const before = values.get(letter)
      if (before === undefined) values.set(letter, [value])
      else before.push(value)
    }
    for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
      if (arg === '--') {
        operands.push(...args)
        break
      }
      if (arg.startsWith('--')) {
        const cut = arg.indexOf('=')
        const word = cut < 0 ? arg.slice(2) : arg.slice(2, cut)
        const letter = Object.hasOwn(long, word) ? long[word] : undefined
        if (letter === undefined)
          throw new ScriptFault(`unrecognized option '--${word}'`, this.usage)
        if (!spec.includes(`${letter}:`)) flags.add(letter)
        else if (cut >= 0) give(letter, arg.slice(cut + 1))
        else give(letter, this.#optionValue(args.shift(), word))
        continue
      }
      if (arg === '-' || !arg.startsWith('-')) {
        operands.push(arg)
        continue
      }
      for (let at = 1; at < arg.length; at++) {
        const letter = arg[at] ?? ''
        const found = letter === ':' ? -1 : spec.indexOf(letter)
        if (found < 0) throw new ScriptFault(`invalid option -- '${letter}'`, this.usage)
        if (spec[found + 1] !== ':') {
          flags.add(letter)
          continue
        }
        give(
          letter,
          at + 1 < arg.length ? arg.slice(at + 1) : this.#optionValue(args.shift(), letter),
        )
        break
      }
    }
    return { flags, values, operands }
  }

  #optionValue(value: ByteString | undefined, name: string): ByteString {
    if (value === undefined) {
      throw new ScriptFault(`option requires an argument -- '${name}'`, this.usage)
    }
    return value
  }

  /** The exit code of wrong usage: 2 where the real program says so. */
  get usage(): number {
    return ['grep', 'ls', 'sort', 'test', 'cmp', 'diff'].includes(this.name) ? 2 : 1
  }
}

/** A refusal in the words of `strerror`, behind the path it is about. */
export function complaint(refusal: unknown, path?: ByteString): ByteString {
  if (refusal instanceof FileSystemError) {
    const why = posixErrors[refusal.posix]
    return path === undefined ? why : `${path}: ${why}`
  }
  if (refusal instanceof ScriptFault) return refusal.message
  if (refusal instanceof ForkRefused) return 'Cannot fork: Resource temporarily unavailable'
  throw refusal
}

/** Runs a program to its end, and turns what it could not cope with into a complaint. */
export function* runProgram(program: Program, invocation: Invocation): Task<number> {
  let status: number
  try {
    const result = program(invocation)
    status = typeof result === 'number' ? result : yield* result
    yield* invocation.flush()
  } catch (refusal) {
    // A process that does not ignore SIGPIPE ends in this pause, and says nothing.
    if (invocation.process.killedBy !== 0) yield
    const message = refusal instanceof FileSystemError ? refusal.message : complaint(refusal)
    status = refusal instanceof ScriptFault ? refusal.status : 1
    yield* invocation.complain(message)
  }
  return status
}

/** Reads lines out of an open file. The newline is not part of a line. */
export class LineReader {
  /** False when the last line of the file had no newline. */
  endedWithNewline = true
  readonly #invocation: Invocation
  readonly #source: Description
  readonly #separator: ByteString
  #buffer = ''
  #at = 0
  #isAtEnd = false

  constructor(invocation: Invocation, source: Description, separator: ByteString = '\n') {
    this.#invocation = invocation
    this.#source = source
    this.#separator = separator
  }

  /** A line that is there already. Usual use: `lines.take() ?? (yield* lines.more())`. */
  take(): ByteString | undefined {
    const cut = this.#buffer.indexOf(this.#separator, this.#at)
    if (cut < 0) return undefined
    const line = this.#buffer.slice(this.#at, cut)
    this.#at = cut + 1
    return line
  }

  /** The next line, or nothing at the end. */
  *more(): Task<ByteString | undefined> {
    for (;;) {
      const line = this.take()
      if (line !== undefined) return line
      if (this.#isAtEnd) return undefined
      const bytes = yield* this.#invocation.read(this.#source)
      this.#buffer = this.#buffer.slice(this.#at) + byteString(bytes)
      this.#at = 0
      if (this.#buffer.length > this.#invocation.stringBytesMax + chunkSizeBytes) {
        throw new ScriptFault('line too long', 1)
      }
      if (bytes.length === 0) {
        this.#isAtEnd = true
        if (this.#buffer === '') return undefined
        this.endedWithNewline = false
        const rest = this.#buffer
        this.#buffer = ''
        return rest
      }
      yield
    }
  }
}

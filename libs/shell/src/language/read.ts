import { byteString, type ByteString } from '../byte-string.ts'
import { FileSystemError } from '../file-system.ts'
import { writeComplaint } from '../io.ts'
import { exitCodeOfSignal, signal } from '../signals.ts'
import { WaitSet, type Pause, type Task } from '../wait-set.ts'
import { countOf, nameAndValue } from './builtin.ts'
import type { Interpreter } from './interpreter.ts'
import { ScriptFault } from './script-fault.ts'

interface ReadOptions {
  readonly isRaw: boolean
  readonly prompt: ByteString
  readonly delimiter: ByteString
  readonly countMax: number
  readonly timeoutMs: number | undefined
  readonly names: readonly ByteString[]
}

/** One line, and which of its bytes a backslash protected from splitting. */
interface Line {
  readonly text: ByteString
  readonly isProtected: readonly boolean[]
  readonly isComplete: boolean
}

/** Reads one line, and not a byte behind it, and splits it into variables. */
export function* read(interpreter: Interpreter, fields: readonly ByteString[]): Task<number> {
  const { shell } = interpreter
  const options = readOptions(fields.slice(1))
  if (options.prompt !== '') yield* writeComplaint(interpreter.process, options.prompt)
  const line = yield* readInput(interpreter, options)
  if (typeof line === 'number') return line
  const values = splitLine(line, shell.ifs, options.names.length)
  for (const [index, name] of options.names.entries()) shell.setVariable(name, values[index] ?? '')
  return line.isComplete ? 0 : 1
}

function readOptions(args: readonly ByteString[]): ReadOptions {
  const rest = [...args]
  const given = new Map<string, ByteString>()
  for (let arg = rest[0]; arg?.startsWith('-') === true && arg !== '-'; arg = rest[0]) {
    rest.shift()
    if (arg === '--') break
    for (let at = 1; at < arg.length; at++) {
      const letter = arg[at] ?? ''
      if (!'rspndt'.includes(letter)) throw new ScriptFault(`Illegal option -${letter}`)
      if ('rs'.includes(letter)) {
        given.set(letter, '')
        continue
      }
      const value = at + 1 < arg.length ? arg.slice(at + 1) : rest.shift()
      if (value === undefined) throw new ScriptFault(`No arg for -${letter} option`)
      given.set(letter, value)
      break
    }
  }
  const seconds = given.get('t')
  if (seconds !== undefined && !/^\d{1,9}(\.\d+)?$/.test(seconds)) {
    throw new ScriptFault(`Illegal number: ${seconds}`)
  }
  const count = given.get('n')
  return {
    isRaw: given.has('r'),
    prompt: given.get('p') ?? '',
    delimiter: given.has('d') ? (given.get('d')?.[0] ?? '\0') : '\n',
    countMax: count === undefined ? Infinity : countOf(count),
    timeoutMs: seconds === undefined ? undefined : Number(seconds) * 1000,
    names: (rest.length === 0 ? ['REPLY'] : rest).map((name) => nameAndValue(name).name),
  }
}

/** The line, or the exit code of being interrupted by a trapped signal or the clock. */
function* readInput(
  { process }: Interpreter,
  { isRaw, delimiter, countMax, timeoutMs }: ReadOptions,
): Task<Line | number> {
  const { clock, limits } = process.kernel.surroundings
  const untilMs = timeoutMs === undefined ? undefined : clock.nowMs() + timeoutMs
  const takesLines = delimiter === '\n' && countMax === Infinity
  const isProtected: boolean[] = []
  let text = ''
  let isEscaped = false
  while (text.length < countMax) {
    const description = process.descriptions[0]
    if (description === undefined) throw new FileSystemError('EBADF')
    const bytes = takesLines ? description.readLine() : description.read(1)
    if (bytes instanceof WaitSet) {
      const [number] = process.pending
      if (number !== undefined) return exitCodeOfSignal(number)
      if (untilMs !== undefined && clock.nowMs() >= untilMs) return exitCodeOfSignal(signal.alarm)
      const pause: Pause = untilMs === undefined ? bytes : { untilMs, on: bytes }
      yield pause
      continue
    }
    if (bytes.length === 0) return { text, isProtected, isComplete: false }
    for (const character of byteString(bytes)) {
      if (isEscaped) {
        isEscaped = false
        if (character === '\n') continue
        text += character
        isProtected.push(true)
      } else if (character === '\\' && !isRaw) isEscaped = true
      else if (character === delimiter) return { text, isProtected, isComplete: true }
      else if (character !== '\0') {
        text += character
        isProtected.push(false)
      }
    }
    if (text.length > limits.stringBytes) throw new ScriptFault('line too long')
    yield
  }
  return { text, isProtected, isComplete: true }
}

/** Splits as POSIX says for `read`: the last variable takes the rest with its separators. */
function splitLine({ text, isProtected }: Line, ifs: ByteString, count: number): ByteString[] {
  const separates = (at: number): boolean =>
    at < text.length && isProtected[at] !== true && ifs.includes(text[at] ?? '')
  const isSpace = (at: number): boolean => separates(at) && /[ \t\n]/.test(text[at] ?? '')
  const skipSpace = (from: number): number => {
    let at = from
    while (isSpace(at)) at++
    return at
  }
  const fieldEnd = (from: number): number => {
    let at = from
    while (at < text.length && !separates(at)) at++
    return at
  }
  const nextStart = (from: number): number => {
    const at = skipSpace(from)
    return separates(at) ? skipSpace(at + 1) : at
  }
  const values: ByteString[] = []
  let start = skipSpace(0)
  while (values.length < count - 1) {
    const end = fieldEnd(start)
    values.push(text.slice(start, end))
    start = nextStart(end)
  }
  const firstEnd = fieldEnd(start)
  let end = text.length
  // One field with its separator behind it is that field alone.
  if (nextStart(firstEnd) >= text.length) end = firstEnd
  else while (end > start && isSpace(end - 1)) end--
  values.push(text.slice(start, end))
  return values
}

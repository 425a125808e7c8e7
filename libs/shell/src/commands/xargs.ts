import { bytesOf, type ByteString } from '../byte-string.ts'
import { NullDescription } from '../description.ts'
import { LineReader, type Invocation, type Program } from '../invocation.ts'
import { writeAll } from '../io.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Task } from '../wait-set.ts'
import { leadingOptions } from './arguments.ts'
import { startChild } from './children.ts'
import { wholeNumber } from './magnitude.ts'

/** How long one command line may be made. */
const lineSizeBytesMax = 131_072

export const xargs: Program = function* (invocation) {
  const { flags, values, operands } = leadingOptions(invocation, '0rtxn:I:L:P:d:s:a:E:', {
    null: '0',
    'no-run-if-empty': 'r',
    verbose: 't',
    'max-args': 'n',
    'max-lines': 'L',
    'max-procs': 'P',
    delimiter: 'd',
    'arg-file': 'a',
    replace: 'I',
  })
  const command = operands.length === 0 ? ['echo'] : [...operands]
  const mark = values.get('I')?.at(-1)
  const number = (letter: string): number | undefined => {
    const text = values.get(letter)?.at(-1)
    return text === undefined
      ? undefined
      : wholeNumber(text, `invalid number for -${letter} option`)
  }
  const lines = number('L')
  const max = mark === undefined ? (number('n') ?? Infinity) : 1
  const delimiter = flags.has('0') ? '\0' : values.get('d')?.at(-1)
  const path = values.get('a')?.at(-1) ?? '-'
  const input = invocation.openInput(path)
  const runner = new Runner(invocation, flags.has('t'))
  try {
    const reader = new LineReader(
      invocation,
      input,
      delimiter === undefined ? '\n' : unescaped(delimiter),
    )
    let batch: ByteString[] = []
    let sizeBytes = 0
    let lineCount = 0
    let hasRun = false
    const run = function* (): Task<void> {
      hasRun = true
      const items = batch
      batch = []
      sizeBytes = 0
      lineCount = 0
      const argv =
        mark === undefined
          ? [...command, ...items]
          : command.map((word) => word.replaceAll(mark, () => items[0] ?? ''))
      yield* runner.run(argv)
    }
    while (!runner.isOver) {
      const line = reader.take() ?? (yield* reader.more())
      if (line === undefined) break
      const items =
        delimiter !== undefined ? [line] : mark !== undefined ? wholeLine(line) : split(line)
      for (const item of items) {
        if (batch.length > 0 && sizeBytes + item.length + 1 > lineSizeBytesMax) yield* run()
        batch.push(item)
        sizeBytes += item.length + 1
        if (batch.length >= max) yield* run()
        if (runner.isOver) break
      }
      if (items.length > 0) lineCount++
      if (lines !== undefined && lineCount >= lines) yield* run()
    }
    const runsEmpty = !hasRun && !flags.has('r') && mark === undefined
    if (!runner.isOver && (batch.length > 0 || runsEmpty)) yield* run()
    return runner.status
  } finally {
    input.release()
  }
}

const unescaped = (delimiter: ByteString): ByteString => {
  const known: Readonly<Record<string, string>> = { '\\n': '\n', '\\t': '\t', '\\0': '\0' }
  const text = known[delimiter] ?? delimiter
  if (text.length !== 1) {
    throw new ScriptFault(`Invalid input delimiter specification ${delimiter}`, 1)
  }
  return text
}

/** `-I`: a line is an item, without the blanks in front of it. */
function wholeLine(line: ByteString): readonly ByteString[] {
  const text = line.replace(/^[ \t]+/, '')
  if (text === '') return []
  // Quotes and backslashes still mean what they mean.
  const pieces = split(text.replace(/[ \t]/g, String.raw`\$&`))
  return [pieces.join('')]
}

/** Words of a line, with quotes and backslashes as `xargs` reads them. */
function split(line: ByteString): readonly ByteString[] {
  const items: ByteString[] = []
  let item: ByteString | undefined
  for (let at = 0; at < line.length; at++) {
    const character = line[at] ?? ''
    if (character === ' ' || character === '\t') {
      if (item !== undefined) items.push(item)
      item = undefined
    } else if (character === '"' || character === "'") {
      const end = line.indexOf(character, at + 1)
      if (end < 0) {
        const kind = character === '"' ? 'double' : 'single'
        throw new ScriptFault(
          `unmatched ${kind} quote; by default quotes are special to xargs unless you use the -0 option`,
          1,
        )
      }
      item = (item ?? '') + line.slice(at + 1, end)
      at = end
    } else if (character === '\\') item = (item ?? '') + (line[++at] ?? '')
    else item = (item ?? '') + character
  }
  if (item !== undefined) items.push(item)
  return items
}

/** Runs command lines one behind the other, and remembers what became of them. */
class Runner {
  status = 0
  isOver = false
  readonly #invocation: Invocation
  readonly #isVerbose: boolean

  constructor(invocation: Invocation, isVerbose: boolean) {
    this.#invocation = invocation
    this.#isVerbose = isVerbose
  }

  *run(argv: readonly ByteString[]): Task<void> {
    const invocation = this.#invocation
    if (this.#isVerbose) yield* writeAll(invocation.process, 2, bytesOf(`${argv.join(' ')}\n`))
    const child = startChild(invocation, argv, new NullDescription())
    if (typeof child === 'string') {
      this.isOver = true
      this.status = child.startsWith('No such') ? 127 : 126
      yield* invocation.complain(`${argv[0] ?? ''}: ${child}`)
      return
    }
    while (child.status === undefined) yield child.ended
    const { exitCode, signal } = child.status
    if (signal !== undefined) {
      this.isOver = true
      this.status = 125
      yield* invocation.complain(`${argv[0] ?? ''}: terminated by signal ${signal}`)
    } else if (exitCode === 255) {
      this.isOver = true
      this.status = 124
      yield* invocation.complain(`${argv[0] ?? ''}: exited with status 255; aborting`)
    } else if (exitCode !== 0) this.status = 123
  }
}

import { byteString, type ByteString } from '../byte-string.ts'
import type { Description } from '../description.ts'
import { LineReader, type Invocation } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import type { Task } from '../wait-set.ts'

/** A chunk of input may be thousands of empty lines: too many for one tick. */
const linesPerTick = 100

/** Runs `each` for every line of every input, or of standard input when no input is named. */
export function eachLine(
  invocation: Invocation,
  operands: readonly ByteString[],
  each: (line: ByteString, isTerminated: boolean) => void,
  separator = '\n',
): Task<number> {
  return invocation.eachInput(operands, function* (input) {
    const lines = new LineReader(invocation, input, separator)
    let work = 0
    for (;;) {
      const line = lines.take() ?? (yield* lines.more())
      if (line === undefined) return
      each(line, lines.endedWithNewline)
      if (invocation.isFull) yield* drain(invocation)
      if (++work % linesPerTick === 0) yield
    }
  })
}

/** Runs `each` for every run of bytes that every input gives. */
export function eachChunk(
  invocation: Invocation,
  operands: readonly ByteString[],
  each: (bytes: Uint8Array) => void,
): Task<number> {
  return invocation.eachInput(operands, function* (input) {
    for (;;) {
      const bytes = yield* invocation.read(input)
      if (bytes.length === 0) return
      each(bytes)
      if (invocation.isFull) yield* drain(invocation)
      yield
    }
  })
}

/** All lines of all inputs. @throws ScriptFault above what a program may hold */
export function* allLines(
  invocation: Invocation,
  operands: readonly ByteString[],
  separator = '\n',
): Task<{ readonly lines: ByteString[]; readonly status: number }> {
  const lines: ByteString[] = []
  let sizeBytes = 0
  const status = yield* eachLine(
    invocation,
    operands,
    (line) => {
      lines.push(line)
      sizeBytes += line.length + 1
      if (sizeBytes > invocation.stringBytesMax) throw new ScriptFault('input too large', 1)
    },
    separator,
  )
  return { lines, status }
}

/** The lines of one file operand, with `-` for standard input. */
export function* linesOf(invocation: Invocation, path: ByteString): Task<ByteString[]> {
  const input = invocation.openInput(path)
  try {
    const text = yield* invocation.readText(input)
    const lines = text.split('\n')
    if (lines.at(-1) === '') lines.pop()
    return lines
  } finally {
    input.release()
  }
}

/** Reads exactly as much as there is, up to `length`, over several reads. */
export function* readFully(
  invocation: Invocation,
  input: Description,
  length: number,
): Task<ByteString> {
  let text = ''
  while (text.length < length) {
    const bytes = yield* invocation.read(input, length - text.length)
    if (bytes.length === 0) break
    text += byteString(bytes)
    yield
  }
  return text
}

/** Writes what was collected, and gives the machine a tick. */
export function* drain(invocation: Invocation): Task<void> {
  yield* invocation.flush()
  yield
}

/** Writes all of `bytes` into an open file, which may be a pipe that has to be waited for. */
export function* writeInto(output: Description, bytes: Uint8Array): Task<void> {
  let rest = bytes
  while (rest.length > 0) {
    const taken = output.write(rest)
    if (typeof taken !== 'number') yield taken
    else rest = rest.subarray(taken)
  }
}

import { byteString, type ByteString } from '../byte-string.ts'
import { FileSystemError, posixErrors } from '../file-system.ts'
import { Files } from '../files.ts'
import type { Invocation, Program, Programs } from '../invocation.ts'
import { readLine, writeComplaint } from '../io.ts'
import type { Process } from '../kernel.ts'
import type { Task } from '../wait-set.ts'
import { isInteractive, runInteractive } from './interactive.ts'
import { Interpreter } from './interpreter.ts'
import { parseProgram, type Parsed } from './parse.ts'
import { ScriptFault } from './script-fault.ts'
import { setOptions } from './set-options.ts'
import { Shell } from './shell.ts'

/** What a shell was asked to run. */
type Source =
  | { readonly type: 'text'; readonly text: ByteString }
  | { readonly type: 'file'; readonly path: ByteString }
  | { readonly type: 'input' }

/** The shell as a program: `sh -c text`, `sh file`, or `sh` that reads its standard input. */
export const sh: Program = (invocation) => run(invocation)

function* run({ process, programs, name, args }: Invocation): Task<number> {
  const shell = new Shell(process, programs, name)
  let source: Source
  try {
    source = readArguments(shell, args)
  } catch (fault) {
    if (!(fault instanceof ScriptFault)) throw fault
    yield* writeComplaint(process, `${name}: 0: ${fault.message}\n`)
    return fault.status
  }
  return yield* runSource(shell, source)
}

/** Runs a file that names no interpreter of its own. */
export function* runScriptFile(
  process: Process,
  programs: Programs,
  path: ByteString,
  args: readonly ByteString[],
): Task<number> {
  const shell = new Shell(process, programs, path)
  shell.parameters = args
  return yield* runSource(shell, { type: 'file', path })
}

function readArguments(shell: Shell, args: readonly ByteString[]): Source {
  const letters = new Set<string>()
  const options = setOptions(shell, args, (letter) => {
    letters.add(letter)
    return 'csil'.includes(letter)
  })
  const [first, ...rest] = options.operands
  if (letters.has('c')) {
    if (first === undefined) throw new ScriptFault('-c requires an argument')
    const [name, ...parameters] = rest
    if (name !== undefined) shell.name = name
    shell.parameters = parameters
    return { type: 'text', text: first }
  }
  if (letters.has('s') || first === undefined) {
    shell.parameters = options.operands
    return { type: 'input' }
  }
  shell.name = first
  shell.parameters = rest
  return { type: 'file', path: first }
}

function* runSource(shell: Shell, source: Source): Task<number> {
  const interpreter = new Interpreter(shell)
  switch (source.type) {
    case 'text':
      yield* interpreter.program(parseProgram(source.text), true)
      break
    case 'input':
      if (isInteractive(interpreter.process)) yield* runInteractive(interpreter)
      else yield* runInput(interpreter)
      break
    case 'file': {
      const text = yield* readScript(interpreter, source.path)
      if (text === undefined) return 2
      yield* interpreter.program(parseProgram(text), true)
    }
  }
  return yield* interpreter.finish()
}

function* readScript(interpreter: Interpreter, path: ByteString): Task<ByteString | undefined> {
  const { process, shell } = interpreter
  const { stringBytes } = process.kernel.surroundings.limits
  try {
    return byteString(new Files(process, shell.programs).read(path, stringBytes))
  } catch (refusal) {
    if (!(refusal instanceof FileSystemError)) throw refusal
    yield* writeComplaint(process, `sh: 0: cannot open ${path}: ${posixErrors[refusal.posix]}\n`)
    return undefined
  }
}

/** Up to this size an unfinished command is looked at again with every line. */
const lookedAtOftenSizeBytesMax = 16_384

/**
 * Runs standard input command by command, and reads no line before it must: what the commands read
 * from it is theirs.
 */
function* runInput(interpreter: Interpreter): Task<void> {
  const { process, shell } = interpreter
  const { stringBytes } = process.kernel.surroundings.limits
  let text = ''
  let looksAtSizeBytes = 0
  for (;;) {
    const line = yield* readLine(process, 0)
    const isEnd = line === ''
    text += line
    if (text.length > stringBytes) {
      yield* interpreter.fail(new ScriptFault('script too long'))
      return
    }
    if (!isEnd && (!line.endsWith('\n') || text.length < looksAtSizeBytes)) continue
    const parsed: Parsed = parseProgram(text)
    if (parsed.isIncomplete && !isEnd) {
      if (text.length > lookedAtOftenSizeBytesMax) looksAtSizeBytes = text.length * 2
      continue
    }
    yield* interpreter.program(parsed, false)
    if (isEnd || shell.leave !== undefined) return
    text = ''
    looksAtSizeBytes = 0
  }
}

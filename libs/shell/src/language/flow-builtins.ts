import { byteString, type ByteString } from '../byte-string.ts'
import { FileSystemError } from '../file-system.ts'
import { Files } from '../files.ts'
import type { Task } from '../wait-set.ts'
import { countOf, type Builtin } from './builtin.ts'
import type { Interpreter } from './interpreter.ts'
import { parseProgram } from './parse.ts'
import { ScriptFault } from './script-fault.ts'

/** `break` and `continue`: out of so many loops, or of all there are. */
export const leaveLoop =
  (leave: 'break' | 'continue'): Builtin =>
  ({ shell }, [, operand = '1']) => {
    const loops = countOf(operand)
    if (loops === 0) throw new ScriptFault(`Illegal number: ${operand}`)
    if (shell.loopDepth === 0) return 0
    shell.leaveLoops = Math.min(loops, shell.loopDepth)
    return shell.leaveWith(leave, 0)
  }

export const returnFrom: Builtin = ({ shell }, [, operand]) =>
  shell.leaveWith('return', operand === undefined ? shell.lastStatus : countOf(operand))

/** Without an operand a trap exits with the status from before it. */
export const exit: Builtin = ({ shell }, [, operand]) => {
  const status = operand === undefined ? (shell.trapStatus ?? shell.lastStatus) : countOf(operand)
  return shell.leaveWith('exit', status & 0xff)
}

export const evaluateText: Builtin = (interpreter, fields) => {
  const text = fields.slice(1).join(' ')
  return text.trim() === '' ? 0 : evaluated(interpreter, text)
}

function* evaluated(interpreter: Interpreter, text: ByteString): Task<number> {
  const { shell, isTested } = interpreter
  const { list, fault } = parseProgram(text)
  interpreter.enter('eval')
  try {
    const status = yield* interpreter.list(list, isTested)
    if (fault !== undefined && shell.leave === undefined) throw fault
    return status
  } finally {
    shell.callDepth--
  }
}

export function* dot(interpreter: Interpreter, [, name]: readonly ByteString[]): Task<number> {
  const { shell, isTested } = interpreter
  if (name === undefined) throw new ScriptFault('filename argument required')
  const { list, fault } = parseProgram(readSourced(interpreter, name))
  interpreter.enter(name)
  try {
    const status = yield* interpreter.list(list, isTested)
    if (shell.leave === 'return') {
      shell.leave = undefined
      return shell.lastStatus
    }
    if (fault !== undefined && shell.leave === undefined) throw fault
    return status
  } finally {
    shell.callDepth--
  }
}

/** The text of a file to source: a path as it is, a bare name looked up in `PATH`. */
function readSourced({ shell, process }: Interpreter, name: ByteString): ByteString {
  const files = new Files(process, shell.programs)
  const directories = name.includes('/') ? [] : (shell.getVariable('PATH') ?? '').split(':')
  const candidates = [
    ...directories.map((directory) => `${directory === '' ? '.' : directory}/${name}`),
    ...(name.includes('/') ? [name] : []),
  ]
  const found = candidates.find((path) => files.statIfThere(path)?.kind === 'file')
  if (found === undefined) throw new ScriptFault(`Can't open ${name}`)
  try {
    return byteString(files.read(found, process.kernel.surroundings.limits.stringBytes))
  } catch (refusal) {
    if (!(refusal instanceof FileSystemError)) throw refusal
    throw new ScriptFault(`Can't open ${name}`)
  }
}

/** With a program: it takes the place of the shell. Without: redirections last, which the caller sees to. */
export const exec: Builtin = (interpreter, fields) =>
  fields.length < 2 ? 0 : replaced(interpreter, fields.slice(1))

function* replaced(interpreter: Interpreter, fields: readonly ByteString[]): Task<number> {
  const status = yield* interpreter.replace(fields)
  return interpreter.shell.leaveWith('exit', status)
}

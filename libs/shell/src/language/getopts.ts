import type { ByteString } from '../byte-string.ts'
import type { Task } from '../wait-set.ts'
import { nameAndValue, type Builtin } from './builtin.ts'
import type { Interpreter } from './interpreter.ts'
import { ScriptFault } from './script-fault.ts'
import type { Shell } from './shell.ts'

/** Takes the next option out of the parameters, or of the words it is given (POSIX `getopts`). */
export const getopts: Builtin = (interpreter, fields) => {
  const [, options, variable, ...words] = fields
  if (options === undefined || variable === undefined) {
    throw new ScriptFault('usage: getopts optstring var [arg...]')
  }
  const { name } = nameAndValue(variable)
  const { shell } = interpreter
  return next(interpreter, options, name, words.length > 0 ? words : shell.parameters)
}

function* next(
  interpreter: Interpreter,
  options: ByteString,
  name: ByteString,
  words: readonly ByteString[],
): Task<number> {
  const { shell } = interpreter
  const isSilent = options.startsWith(':')
  const index = Math.max(1, Number(shell.getVariable('OPTIND')) || 1)
  const word = words[index - 1]
  const offset = shell.optionOffset === 0 ? 1 : shell.optionOffset
  if (
    shell.optionOffset === 0 &&
    (word === undefined || !word.startsWith('-') || word === '-' || word === '--')
  ) {
    moveTo(shell, word === '--' ? index + 1 : index, 0)
    shell.setVariable(name, '?')
    return 1
  }
  const text = word ?? ''
  const letter = text[offset] ?? ''
  const isLastInWord = offset + 1 >= text.length
  const at = letter === ':' || letter === '' ? -1 : options.indexOf(letter)
  if (at < 0) {
    moveTo(shell, isLastInWord ? index + 1 : index, isLastInWord ? 0 : offset + 1)
    return yield* unknown(interpreter, name, letter, isSilent)
  }
  if (options[at + 1] !== ':') {
    moveTo(shell, isLastInWord ? index + 1 : index, isLastInWord ? 0 : offset + 1)
    shell.unset('OPTARG')
    shell.setVariable(name, letter)
    return 0
  }
  const argument = isLastInWord ? words[index] : text.slice(offset + 1)
  moveTo(shell, index + (isLastInWord ? 2 : 1), 0)
  if (argument === undefined) {
    moveTo(shell, index + 1, 0)
    return yield* withoutArgument(interpreter, name, letter, isSilent)
  }
  shell.setVariable('OPTARG', argument)
  shell.setVariable(name, letter)
  return 0
}

/** The next word, and how far in it the last option was. */
function moveTo(shell: Shell, index: number, offset: number): void {
  shell.setVariable('OPTIND', String(index))
  shell.optionOffset = offset
}

function* unknown(
  interpreter: Interpreter,
  name: ByteString,
  letter: ByteString,
  isSilent: boolean,
): Task<number> {
  const { shell } = interpreter
  shell.setVariable(name, '?')
  if (isSilent) shell.setVariable('OPTARG', letter)
  else {
    shell.unset('OPTARG')
    yield* interpreter.complain(`Illegal option -${letter}`)
  }
  return 0
}

function* withoutArgument(
  interpreter: Interpreter,
  name: ByteString,
  letter: ByteString,
  isSilent: boolean,
): Task<number> {
  const { shell } = interpreter
  if (isSilent) {
    shell.setVariable(name, ':')
    shell.setVariable('OPTARG', letter)
    return 0
  }
  shell.setVariable(name, '?')
  shell.unset('OPTARG')
  yield* interpreter.complain(`No arg for -${letter} option`)
  return 0
}

import type { ByteString } from '../byte-string.ts'
import type { Task } from '../wait-set.ts'
import { lettersAndOperands, say, type Builtin } from './builtin.ts'
import type { Interpreter } from './interpreter.ts'

const keywords: ReadonlySet<ByteString> = new Set(
  '! { } case do done elif else esac fi for if in then until while [[ ]] function'.split(' '),
)

/** Runs a command past the functions of its name, or says what it would be (`-v`, `-V`). */
export const command: Builtin = (interpreter, fields) => {
  const { letters, operands } = lettersAndOperands(fields.slice(1), 'pvV')
  if (operands.length === 0) return 0
  if (letters.has('V')) return described(interpreter, operands)
  if (letters.has('v')) return named(interpreter, operands)
  return interpreter.runNamed(operands, true)
}

export const type: Builtin = (interpreter, fields) => described(interpreter, fields.slice(1))

/** Programs are looked for anew each time: there is nothing to remember. */
export const hash: Builtin = () => 0

function pathOf({ shell, process }: Interpreter, name: ByteString): ByteString | undefined {
  return shell.programs.find(process, name, shell.getVariable('PATH'))
}

function* named(interpreter: Interpreter, names: readonly ByteString[]): Task<number> {
  const { shell } = interpreter
  let status = 0
  for (const name of names) {
    const alias = shell.aliasTexts.get(name)
    const isInside = keywords.has(name) || interpreter.kindOf(name) !== undefined
    const text =
      alias === undefined ? (isInside ? name : pathOf(interpreter, name)) : `alias ${alias}`
    if (text === undefined) status = 127
    else yield* say(interpreter, `${text}\n`)
  }
  return status
}

function* described(interpreter: Interpreter, names: readonly ByteString[]): Task<number> {
  const { shell } = interpreter
  let status = 0
  for (const name of names) {
    const alias = shell.aliasTexts.get(name)
    const what = keywords.has(name) ? 'shell keyword' : shellKind(interpreter, name)
    if (alias !== undefined) yield* say(interpreter, `${name} is an alias for ${alias}\n`)
    else if (what !== undefined) yield* say(interpreter, `${name} is a ${what}\n`)
    else {
      const path = pathOf(interpreter, name)
      if (path === undefined) status = 127
      yield* say(interpreter, path === undefined ? `${name}: not found\n` : `${name} is ${path}\n`)
    }
  }
  return status
}

function shellKind(interpreter: Interpreter, name: ByteString): ByteString | undefined {
  const kind = interpreter.kindOf(name)
  if (kind === undefined) return undefined
  return kind === 'special builtin' ? 'special shell builtin' : `shell ${kind}`
}

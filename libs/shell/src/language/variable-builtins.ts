import type { ByteString } from '../byte-string.ts'
import { evaluate, parseArithmetic } from './arithmetic.ts'
import { countOf, lettersAndOperands, nameAndValue, say, type Builtin } from './builtin.ts'
import { parseScript } from './parse.ts'
import { quotedAlways } from './quote.ts'
import { ScriptFault } from './script-fault.ts'
import { optionLines, setOptions } from './set-options.ts'
import type { Shell, Variable } from './shell.ts'

/** `export` and `readonly`: mark variables, or list those that are marked. */
const marking =
  (word: 'export' | 'readonly', mark: 'isExported' | 'isReadonly'): Builtin =>
  (interpreter, fields) => {
    const { shell } = interpreter
    const { operands } = lettersAndOperands(fields.slice(1), 'p')
    if (operands.length === 0) {
      const lines = variableLines(shell, `${word} `, (variable) => variable[mark])
      return say(interpreter, lines)
    }
    for (const operand of operands) {
      const { name, value } = nameAndValue(operand)
      if (value !== undefined) shell.setVariable(name, value)
      shell.declare(name, { [mark]: true })
    }
    return 0
  }

export const exportVariables: Builtin = marking('export', 'isExported')

export const readonlyVariables: Builtin = marking('readonly', 'isReadonly')

/** Variables in the order of their names, as one may type them again. */
function variableLines(
  shell: Shell,
  prefix: ByteString,
  isShown: (variable: Variable) => boolean,
): ByteString {
  const lines: ByteString[] = []
  for (const name of [...shell.variables.keys()].sort()) {
    const variable = shell.variables.get(name)
    if (variable === undefined || !isShown(variable)) continue
    const value = variable.value === undefined ? undefined : shell.getVariable(name)
    if (value !== undefined) lines.push(`${prefix}${name}=${quotedAlways(value)}\n`)
    else if (prefix !== '') lines.push(`${prefix}${name}\n`)
  }
  return lines.join('')
}

export const unset: Builtin = ({ shell }, fields) => {
  const { letters, operands } = lettersAndOperands(fields.slice(1), 'fv')
  for (const operand of operands) {
    if (letters.has('f')) shell.functions.delete(operand)
    else shell.unset(nameAndValue(operand).name)
  }
  return 0
}

export const set: Builtin = (interpreter, fields) => {
  const { shell } = interpreter
  const args = fields.slice(1)
  if (args.length === 0)
    return say(
      interpreter,
      variableLines(shell, '', () => true),
    )
  const { operands, hasOperands, lists } = setOptions(shell, args)
  if (hasOperands) shell.parameters = operands
  return lists === undefined ? 0 : say(interpreter, optionLines(shell, lists))
}

export const shift: Builtin = ({ shell }, [, operand = '1']) => {
  const count = countOf(operand)
  if (count > shell.parameters.length) throw new ScriptFault("can't shift that many")
  shell.parameters = shell.parameters.slice(count)
  return 0
}

/** Gives a function variables of its own, which begin with the values they hide. */
export const local: Builtin = ({ shell }, fields) => {
  const scope = shell.localScopes.at(-1)
  if (scope === undefined) throw new ScriptFault('not in a function')
  for (const field of fields.slice(1)) {
    const { name, value } = nameAndValue(field)
    if (!scope.has(name)) scope.set(name, shell.variables.get(name))
    if (value !== undefined) shell.setVariable(name, value)
  }
  return 0
}

/** Aliases whose text is one simple command; they stand for it wherever they are the first word. */
export const alias: Builtin = (interpreter, fields) => {
  const { shell } = interpreter
  const args = fields.slice(1)
  if (args.length === 0) {
    return say(
      interpreter,
      [...shell.aliasTexts.values()]
        .sort()
        .map((text) => `${text}\n`)
        .join(''),
    )
  }
  const shown: ByteString[] = []
  for (const arg of args) {
    const cut = arg.indexOf('=')
    if (cut > 0) setAlias(shell, arg.slice(0, cut), arg.slice(cut + 1))
    else {
      const text = shell.aliasTexts.get(arg)
      if (text === undefined) throw new ScriptFault(`${arg} not found`, 1)
      shown.push(`${text}\n`)
    }
  }
  return shown.length === 0 ? 0 : say(interpreter, shown.join(''))
}

function setAlias(shell: Shell, name: ByteString, text: ByteString): void {
  const [statement, ...more] = parseScript(text)
  const node = statement?.node
  if (node?.type !== 'simple' || more.length > 0 || statement?.isBackground === true) {
    throw new ScriptFault(`${name}: only a simple command can be an alias`, 1)
  }
  shell.aliases.set(name, node)
  shell.aliasTexts.set(name, `${name}=${quotedAlways(text)}`)
}

export const unalias: Builtin = ({ shell }, fields) => {
  const { letters, operands } = lettersAndOperands(fields.slice(1), 'a')
  const names = letters.has('a') ? [...shell.aliases.keys()] : operands
  let status = 0
  for (const name of names) {
    if (!shell.aliases.delete(name)) status = 1
    shell.aliasTexts.delete(name)
  }
  return status
}

/** Evaluates each argument; the last one that is 0 makes a failure of it. */
export const letVariables: Builtin = ({ shell }, fields) => {
  if (fields.length < 2) throw new ScriptFault('expression expected', 1)
  let status = 0
  for (const field of fields.slice(1))
    status = evaluate(parseArithmetic(field), shell) === 0 ? 1 : 0
  return status
}

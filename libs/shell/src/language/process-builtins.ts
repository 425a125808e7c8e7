import type { ByteString } from '../byte-string.ts'
import { FileSystemError } from '../file-system.ts'
import { Files } from '../files.ts'
import { absolutePath, normalPath } from '../paths.ts'
import type { Task } from '../wait-set.ts'
import { lettersAndOperands, say, type Builtin } from './builtin.ts'
import type { Interpreter } from './interpreter.ts'
import { ScriptFault } from './script-fault.ts'

/** Changes the working directory. As in POSIX, `..` is taken out of the path's text unless `-P` is given. */
export function* changeDirectory(
  interpreter: Interpreter,
  fields: readonly ByteString[],
): Task<number> {
  const { shell, process } = interpreter
  const { letters, operands } = lettersAndOperands(fields.slice(1), 'LP')
  const [operand] = operands
  const files = new Files(process, shell.programs)
  const wanted =
    operand === '-' ? shell.getVariable('OLDPWD') : (operand ?? shell.getVariable('HOME'))
  if (wanted === undefined) throw new ScriptFault(`${operand === '-' ? 'OLDPWD' : 'HOME'} not set`)
  if (wanted === '') return 0
  const found = findDirectory(interpreter, files, wanted)
  const cwd = letters.has('P') ? files.realPath(found.path) : found.path
  shell.setVariable('OLDPWD', process.cwd)
  process.cwd = cwd
  shell.setVariable('PWD', cwd)
  for (const name of ['OLDPWD', 'PWD']) shell.declare(name, { isExported: true })
  if (operand === '-' || found.isElsewhere) return yield* say(interpreter, `${cwd}\n`)
  return 0
}

/** Looks in `CDPATH` first, for what names no place of its own. */
function findDirectory(
  { shell, process }: Interpreter,
  files: Files,
  wanted: ByteString,
): { readonly path: ByteString; readonly isElsewhere: boolean } {
  const isPlaced = /^\.{0,2}(\/|$)/.test(wanted)
  const places = isPlaced ? [''] : [...(shell.getVariable('CDPATH') ?? '').split(':'), '']
  for (const place of places) {
    const path = normalPath(absolutePath(process.cwd, place === '' ? wanted : `${place}/${wanted}`))
    if (mayEnter(files, path)) return { path, isElsewhere: place !== '' && place !== '.' }
  }
  throw new ScriptFault(`can't cd to ${wanted}`)
}

function mayEnter(files: Files, path: ByteString): boolean {
  try {
    const stat = files.stat(path)
    return stat.kind === 'directory' && files.mayAccess(stat, 1)
  } catch (refusal) {
    if (refusal instanceof FileSystemError) return false
    throw refusal
  }
}

export const umask: Builtin = (interpreter, fields) => {
  const { process } = interpreter
  const { letters, operands } = lettersAndOperands(fields.slice(1), 'S')
  const [mask] = operands
  if (mask === undefined) {
    const text = letters.has('S') ? symbolicMask(process.umask) : octal(process.umask)
    return say(interpreter, `${text}\n`)
  }
  process.umask = /^[0-7]{1,4}$/.test(mask)
    ? Number.parseInt(mask, 8) & 0o777
    : ~changedMode(~process.umask & 0o777, mask) & 0o777
  return 0
}

const octal = (mask: number): ByteString => mask.toString(8).padStart(4, '0')

function symbolicMask(mask: number): ByteString {
  const allowed = ~mask & 0o777
  return `u=${letters(allowed >> 6)},g=${letters(allowed >> 3)},o=${letters(allowed)}`
}

const letters = (bits: number): string =>
  ['r', 'w', 'x'].filter((_, index) => (bits & (4 >> index)) !== 0).join('')

const bitOf: Readonly<Record<string, number>> = { r: 4, w: 2, x: 1 }

const shiftsOf = (who: string): readonly number[] =>
  [6, 3, 0].filter((_, index) => who.includes('a') || who.includes('ugo'[index] ?? ''))

/** Permission bits after clauses such as `u=rwx,go-w`. */
function changedMode(mode: number, clauses: ByteString): number {
  let result = mode
  for (const clause of clauses.split(',')) {
    const match = /^([ugoa]*)([-+=])([rwx]*)$/.exec(clause)
    if (match === null) throw new ScriptFault(`Illegal mode: ${clauses}`)
    const [, who = '', operator, given = ''] = match
    const bits = Object.entries(bitOf).reduce(
      (sum, [letter, bit]) => (given.includes(letter) ? sum | bit : sum),
      0,
    )
    for (const shift of shiftsOf(who === '' ? 'a' : who)) {
      if (operator === '=') result &= ~(7 << shift)
      result = operator === '-' ? result & ~(bits << shift) : result | (bits << shift)
    }
  }
  return result
}

/** A simulated process uses no processor time that anybody counts. */
export const times: Builtin = (interpreter) =>
  say(interpreter, '0m0.000000s 0m0.000000s\n0m0.000000s 0m0.000000s\n')

import { bytesOf, type ByteString } from '../byte-string.ts'
import { writeAll } from '../io.ts'
import type { Task } from '../wait-set.ts'
import type { Interpreter } from './interpreter.ts'
import { ScriptFault } from './script-fault.ts'

/** A command that changes the shell it runs in. `fields` begin with its name. */
export type Builtin = (
  interpreter: Interpreter,
  fields: readonly ByteString[],
) => number | Task<number>

/** Writes on standard output, and is content. */
export function* say(interpreter: Interpreter, text: ByteString): Task<number> {
  yield* writeAll(interpreter.process, 1, bytesOf(text))
  return 0
}

/** A count that was typed: digits and no sign. @throws ScriptFault for anything else */
export function countOf(text: ByteString): number {
  if (!/^\d{1,9}$/.test(text)) throw new ScriptFault(`Illegal number: ${text}`)
  return Number(text)
}

const namePattern = /^[A-Za-z_]\w*$/

/** `name=value` or `name` alone. @throws ScriptFault when that is no name of a variable */
export function nameAndValue(field: ByteString): {
  readonly name: ByteString
  readonly value: ByteString | undefined
} {
  const cut = field.indexOf('=')
  const name = cut < 0 ? field : field.slice(0, cut)
  if (!namePattern.test(name)) throw new ScriptFault(`${name}: bad variable name`)
  return { name, value: cut < 0 ? undefined : field.slice(cut + 1) }
}

/** Options of one letter in front of operands. @throws ScriptFault for a letter not in `letters` */
export function lettersAndOperands(
  args: readonly ByteString[],
  letters: string,
): { readonly letters: ReadonlySet<string>; readonly operands: readonly ByteString[] } {
  const given = new Set<string>()
  let at = 0
  for (; at < args.length; at++) {
    const arg = args[at] ?? ''
    if (arg === '--') {
      at++
      break
    }
    if (!arg.startsWith('-') || arg === '-') break
    for (const letter of arg.slice(1)) {
      if (!letters.includes(letter)) throw new ScriptFault(`Illegal option -${letter}`)
      given.add(letter)
    }
  }
  return { letters: given, operands: args.slice(at) }
}

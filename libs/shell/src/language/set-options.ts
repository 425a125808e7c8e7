import type { ByteString } from '../byte-string.ts'
import { ScriptFault } from './script-fault.ts'
import { optionLetters, type Shell, type ShellOptions } from './shell.ts'

/** Options that only matter to a person at a terminal: taken, and without effect. */
const withoutEffect = 'bhmIVE'

const optionNames: readonly (keyof ShellOptions)[] = [...Object.values(optionLetters), 'pipefail']

interface ParsedOptions {
  readonly operands: readonly ByteString[]
  /** `--`, or a first operand: `set` replaces the positional parameters then. */
  readonly hasOperands: boolean
  /** `-o` or `+o` without a name: what `set` prints. */
  readonly lists: '-' | '+' | undefined
}

/**
 * Turns options on (`-e`, `-o pipefail`) and off (`+e`), as `sh` and `set` take them.
 *
 * @param other says whether it knows a letter that is none of the shell's options
 * @throws ScriptFault when nobody knows one
 */
export function setOptions(
  shell: Shell,
  args: readonly ByteString[],
  other: (letter: string) => boolean = () => false,
): ParsedOptions {
  let lists: '-' | '+' | undefined
  let at = 0
  for (; at < args.length; at++) {
    const arg = args[at] ?? ''
    if (arg === '--') return { operands: args.slice(at + 1), hasOperands: true, lists }
    if (arg === '-') {
      shell.options.xtrace = false
      shell.options.verbose = false
      return { operands: args.slice(at + 1), hasOperands: at + 1 < args.length, lists }
    }
    const sign = arg[0]
    if ((sign !== '-' && sign !== '+') || arg.length < 2) break
    const isOn = sign === '-'
    for (const letter of arg.slice(1)) {
      if (letter !== 'o') {
        setLetter(shell, letter, isOn, other)
        continue
      }
      const name = args[++at]
      if (name === undefined) lists = sign
      else setNamed(shell, name, isOn)
    }
  }
  const operands = args.slice(at)
  return { operands, hasOperands: operands.length > 0, lists }
}

function setLetter(
  shell: Shell,
  letter: string,
  isOn: boolean,
  other: (letter: string) => boolean,
): void {
  const option = Object.hasOwn(optionLetters, letter) ? optionLetters[letter] : undefined
  if (option !== undefined) shell.options[option] = isOn
  else if (!other(letter) && !withoutEffect.includes(letter)) {
    throw new ScriptFault(`Illegal option -${letter}`)
  }
}

function setNamed(shell: Shell, name: ByteString, isOn: boolean): void {
  const option = optionNames.find((known) => known === name)
  if (option !== undefined) shell.options[option] = isOn
  else if (name !== 'monitor' && name !== 'posix')
    throw new ScriptFault(`Illegal option -o ${name}`)
}

/** What `set -o` (for people) and `set +o` (for the shell) print. */
export function optionLines(shell: Shell, form: '-' | '+'): ByteString {
  const lines = optionNames.map((name) => {
    const isOn = shell.options[name]
    if (form === '-') return `${name.padEnd(16)}${isOn ? 'on' : 'off'}\n`
    return `set ${isOn ? '-' : '+'}o ${name}\n`
  })
  return form === '-' ? `Current option settings\n${lines.join('')}` : lines.join('')
}

import type { ByteString } from '../byte-string.ts'
import { Invocation, type Options } from '../invocation.ts'

/** The same program with other arguments. */
export const withArguments = (invocation: Invocation, args: readonly ByteString[]): Invocation =>
  new Invocation(invocation.process, [invocation.name, ...args], invocation.programs)

/**
 * Options in front of the first operand only: what comes behind belongs to the program that `env`,
 * `xargs`, `timeout` and their like run.
 */
export function leadingOptions(
  invocation: Invocation,
  spec: string,
  long: Readonly<Record<string, string>> = {},
): Options {
  const { args } = invocation
  let at = 0
  for (; at < args.length; at++) {
    const arg = args[at] ?? ''
    if (arg === '--') {
      at++
      break
    }
    if (arg === '-' || !arg.startsWith('-')) break
    if (takesNext(arg, spec, long)) at++
  }
  const options = withArguments(invocation, args.slice(0, at)).options(spec, long)
  return { ...options, operands: args.slice(at) }
}

/** Whether the value of an option is the argument behind it. */
function takesNext(arg: ByteString, spec: string, long: Readonly<Record<string, string>>): boolean {
  if (arg.startsWith('--')) {
    const word = arg.slice(2)
    return Object.hasOwn(long, word) && spec.includes(`${long[word] ?? ''}:`)
  }
  for (let at = 1; at < arg.length; at++) {
    const found = spec.indexOf(arg[at] ?? '')
    if (found >= 0 && spec[found + 1] === ':') return at === arg.length - 1
  }
  return false
}

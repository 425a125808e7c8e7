import type { Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'
import { withArguments } from './arguments.ts'
import { formatTime, parseTime } from './calendar.ts'

const isoFormats: Readonly<Record<string, string>> = {
  date: '%Y-%m-%d',
  hours: '%Y-%m-%dT%H%:z',
  minutes: '%Y-%m-%dT%H:%M%:z',
  seconds: '%Y-%m-%dT%H:%M:%S%:z',
  ns: '%Y-%m-%dT%H:%M:%S,%N%:z',
}

/** `date`: it tells the time of the machine's clock, always in UTC, and cannot set it. */
export const date: Program = (invocation) => {
  // `-I` and `--iso-8601` take a value that is part of their word or missing.
  let iso: string | undefined
  const args = invocation.args.filter((arg) => {
    const match = /^(?:-I|--iso-8601=?)(date|hours|minutes|seconds|ns)?$/.exec(arg)
    if (match !== null) iso = match[1] ?? 'date'
    return match === null
  })
  const { flags, values, operands } = withArguments(invocation, args).options('uRd:r:s:', {
    utc: 'u',
    universal: 'u',
    'rfc-email': 'R',
    date: 'd',
    reference: 'r',
    set: 's',
  })
  if (values.has('s')) throw new ScriptFault('cannot set date: Operation not permitted', 1)
  const [format, extra] = operands
  if (extra !== undefined) throw new ScriptFault(`extra operand '${extra}'`, 1)
  if (format !== undefined && !format.startsWith('+')) {
    throw new ScriptFault(`invalid date '${format}'`, 1)
  }
  const text = values.get('d')?.at(-1)
  const reference = values.get('r')?.at(-1)
  const atMs =
    text !== undefined
      ? parseTime(text, invocation.nowMs)
      : reference !== undefined
        ? invocation.files.stat(reference).modifiedAtMs
        : invocation.nowMs
  if (atMs === undefined) throw new ScriptFault(`invalid date '${text ?? ''}'`, 1)
  const isoFormat = iso === undefined ? undefined : isoFormats[iso]
  const rfc = flags.has('R') ? '%a, %d %b %Y %H:%M:%S %z' : undefined
  const chosen = format?.slice(1) ?? isoFormat ?? rfc ?? '%a %b %e %H:%M:%S %Z %Y'
  return invocation.answer(`${formatTime(chosen, atMs)}\n`)
}

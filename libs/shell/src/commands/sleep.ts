import type { ByteString } from '../byte-string.ts'
import type { Program } from '../invocation.ts'
import { ScriptFault } from '../language/script-fault.ts'

const unitSeconds: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }

/** A duration such as `0.5`, `2m` or `infinity` in seconds; nothing when it is none. */
export function seconds(text: ByteString): number | undefined {
  if (/^inf(inity)?$/i.test(text)) return Infinity
  const match = /^(\d{0,15}\.?\d{0,9})([smhd]?)$/.exec(text)
  const [, digits = '', unit = ''] = match ?? []
  if (match === null || !/\d/.test(digits)) return undefined
  return Number(digits) * (unitSeconds[unit] ?? 1)
}

export const sleep: Program = function* (invocation) {
  const { operands } = invocation.options('')
  if (operands.length === 0) throw new ScriptFault('missing operand', 1)
  let total = 0
  for (const text of operands) {
    const one = seconds(text)
    if (one === undefined) throw new ScriptFault(`invalid time interval '${text}'`, 1)
    total += one
  }
  // An endless sleep still has to be a finite moment of the clock.
  const untilMs = invocation.nowMs + Math.min(total * 1000, 1e14)
  while (invocation.nowMs < untilMs) yield { untilMs }
  return 0
}

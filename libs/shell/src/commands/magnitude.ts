import type { ByteString } from '../byte-string.ts'
import { ScriptFault } from '../language/script-fault.ts'

const suffixes: Readonly<Record<string, number>> = {
  '': 1,
  b: 512,
  c: 1,
  w: 2,
  kB: 1000,
  k: 1024,
  K: 1024,
  KiB: 1024,
  MB: 1_000_000,
  m: 1_048_576,
  M: 1_048_576,
  MiB: 1_048_576,
  GB: 1_000_000_000,
  G: 1_073_741_824,
  GiB: 1_073_741_824,
}

/** A count such as `20`, `4k` or `1M`; nothing when it is none. */
export function magnitude(text: ByteString): number | undefined {
  const match = /^(\d{1,15})([a-zA-Z]*)$/.exec(text)
  const [, digits = '', suffix = ''] = match ?? []
  const scale = Object.hasOwn(suffixes, suffix) ? suffixes[suffix] : undefined
  return match === null || scale === undefined ? undefined : Number(digits) * scale
}

/** A whole number in decimal. @throws ScriptFault that says `what` was wrong */
export function wholeNumber(text: ByteString, what: string, status = 1): number {
  if (!/^\+?\d{1,15}$/.test(text)) throw new ScriptFault(`${what}: '${text}'`, status)
  return Number(text)
}

/** Bytes as `ls -h`, `du -h` and `df -h` write them: rounded up, one digit below ten. */
export function humanSize(sizeBytes: number): string {
  if (sizeBytes < 1024) return String(sizeBytes)
  let value = sizeBytes
  let unit = -1
  while (value >= 1024 && unit < 5) {
    value /= 1024
    unit++
  }
  const tenths = Math.ceil(value * 10) / 10
  const text = tenths < 10 ? tenths.toFixed(1) : String(Math.ceil(value))
  return text + 'KMGTPE'.charAt(unit)
}

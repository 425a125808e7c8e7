import { readFileSync } from 'node:fs'

const ticksPerSecond = 100

/**
 * The processor time that a process has used so far, in microseconds, as Linux tells it in steps of
 * 10 ms; undefined elsewhere. Unlike a rate it says the same on a busy machine as on a quiet one, nearly.
 */
export function processorTimeUs(pid: number): number | undefined {
  if (process.platform !== 'linux') return undefined
  // proc(5): utime and stime are fields 14 and 15, counted behind the name, which may hold anything.
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond
}

import type { Process } from './kernel.ts'
import type { Task } from './wait-set.ts'

/** What a process runs, found by its argument vector. */
export function* load(process: Process): Task<number> {
  if (process.argv[0] === 'sleep') {
    const untilMs = process.startedAtMs + Number(process.argv[1]) * 1000
    while (process.kernel.surroundings.clock.nowMs() < untilMs) yield { untilMs }
    return 0
  }
  return process.argv[0] === 'true' ? 0 : 127
}

import type { Clock } from '@conclave/kernel'

/** The wall clock of this machine. */
export class SystemClock implements Clock {
  nowMs(): number {
    return Date.now()
  }
}

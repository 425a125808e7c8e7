import { expect, test } from 'vitest'
import { threadTimesUs } from './thread-time.ts'

test.runIf(process.platform === 'linux')(
  'the processor time of all threads is what the process says itself',
  () => {
    const times = threadTimesUs(process.pid)
    const after = process.cpuUsage()
    const { main, v8, disk, other } = times ?? { main: Number.NaN, v8: 0, disk: 0, other: 0 }

    expect(main).toBeGreaterThan(0)
    // Each thread is counted in steps of 10 ms, user and system apart.
    expect(main + v8 + disk + other).toBeLessThanOrEqual(after.user + after.system + 400_000)
  },
)

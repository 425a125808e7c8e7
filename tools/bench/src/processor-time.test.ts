import { expect, test } from 'vitest'
import { processorTimeUs } from './processor-time.ts'

test.runIf(process.platform === 'linux')(
  'the processor time of a process is what it says itself',
  () => {
    const { user, system } = process.cpuUsage()
    const seen = processorTimeUs(process.pid) ?? Number.NaN
    const after = process.cpuUsage()

    // Counted in steps of 10 ms, user and system apart.
    expect(seen).toBeGreaterThan(user + system - 20_000)
    expect(seen).toBeLessThanOrEqual(after.user + after.system + 20_000)
  },
)

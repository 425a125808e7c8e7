import { existsSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { threadTimesUs, waitedTimeUs } from './thread-time.ts'

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

test.runIf(isMainThread && existsSync('/proc/self/schedstat'))(
  'what a busy thread waits for a processor is what it does not run',
  () => {
    const [startedAt, usage] = [performance.now(), process.threadCpuUsage()]
    const before = waitedTimeUs(process.pid) ?? Number.NaN
    while (performance.now() - startedAt < 50);
    const waited = (waitedTimeUs(process.pid) ?? Number.NaN) - before
    const { user, system } = process.threadCpuUsage(usage)
    const passed = (performance.now() - startedAt) * 1000

    expect(waited).toBeGreaterThanOrEqual(0)
    // What the host of a virtual machine takes is neither.
    expect(waited + user + system).toBeGreaterThan(passed / 2)
    expect(waited + user + system).toBeLessThan(passed * 1.2)
  },
)

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const module = JSON.stringify(new URL('guard-process.ts', import.meta.url).href)

/** What a process of its own says of itself, guarded and then sent SIGUSR1. */
async function guarded(flags: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const script = `
    import { readFileSync } from 'node:fs'
    import { url } from 'node:inspector'
    import { setTimeout } from 'node:timers/promises'
    import { guardProcess } from ${module}
    guardProcess()
    process.kill(process.pid, 'SIGUSR1')
    await setTimeout(50)
    const { reportOnFatalError, reportOnUncaughtException, reportOnSignal } = process.report
    console.log(JSON.stringify({
      inspector: url() ?? 'closed',
      reports: [reportOnFatalError, reportOnUncaughtException, reportOnSignal],
      filter: process.platform === 'linux' ? readFileSync('/proc/self/coredump_filter', 'utf8').trim() : '00000000',
    }))`
  const args = [...flags, '--input-type=module', '--eval', script]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout) as Record<string, unknown>
}

describe.skipIf(process.platform === 'win32')('a guarded process', () => {
  test('RT16 threat:ST-10: writes no memory into a core file, no report, and opens no inspector', async () => {
    const flags = ['--report-on-fatalerror', '--report-uncaught-exception', '--report-on-signal']

    expect(await guarded(flags)).toEqual({
      inspector: 'closed',
      reports: [false, false, false],
      filter: '00000000',
    })
  })
})

import { writeFileSync } from 'node:fs'

/**
 * Keeps what is in this process's memory from being written down or shown by the machinery around it
 * (threats.md ST-10): core files hold no memory, also those of its children; a diagnostic report, if
 * one is wanted by flags, is written for nothing that may happen to a live member and lists no
 * environment; and no signal opens an inspector. Whoever is root, or starts Node with `--inspect`, sees
 * everything all the same.
 */
export function guardProcess(): void {
  const { report } = process
  report.reportOnFatalError = false
  report.reportOnUncaughtException = false
  report.reportOnSignal = false
  report.excludeEnv = true
  process.on('SIGUSR1', () => undefined)
  try {
    // No kind of mapping is dumped. Source: core(5), "Controlling which mappings are written".
    if (process.platform === 'linux') writeFileSync('/proc/self/coredump_filter', '0')
  } catch {
    // A kernel without core files has no such file.
  }
}

/**
 * What Node is started with for a master. Its heap is a large and steady state, and what requests leave
 * behind: V8 would let it grow threefold before it looks for garbage, and keep 48 MiB for what is new. Smaller
 * numbers save little memory, and cost speed and even answers: docs/performance.md has the trade. V8 takes
 * neither from inside a running process. `npm run bench -- store --only large-state` measures it.
 */
export const masterFlags: readonly string[] = [
  '--max-semi-space-size=4',
  '--heap-growing-percent=100',
]

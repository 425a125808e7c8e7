/**
 * What Node is started with for a master. Its heap is a large and steady state, and what requests leave
 * behind: V8 would let it grow threefold before it looks for garbage. Less room for what is new costs speed, and saves
 * only what a master that rests gives back: docs/performance.md has the trade. `npm run bench -- store --only
 * api-secrets,large-state` measures it.
 */
export const masterFlags: readonly string[] = [
  '--max-semi-space-size=16',
  '--heap-growing-percent=100',
  // For `collectAtRest`.
  '--expose-gc',
]

/**
 * What its environment says beside that, on Linux, to glibc: of what is freed little stays with a
 * process. As it is, each thread keeps memory of its own, and one large buffer that is freed (to check a password
 * takes 16 MiB) makes it keep all that are smaller. Whoever has set one of these otherwise has it so.
 */
export const masterEnvironment: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: String(128 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(1024 * 1024),
}

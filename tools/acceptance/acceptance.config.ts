import { defineConfig } from 'vitest/config'

/** Whole clusters of processes: two suites at a time, since most of it is waiting, and time enough for a slow machine. */
export default defineConfig({
  test: {
    include: ['suites/*.acceptance.ts'],
    testTimeout: 180_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
})

import { defineConfig } from 'vitest/config'

/** Whole clusters of processes: one suite after the other, and time enough for a slow machine. */
export default defineConfig({
  test: {
    include: ['suites/*.acceptance.ts'],
    testTimeout: 180_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
})

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: ['apps/*', 'libs/*', 'tools/*'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      provider: 'v8',
      include: ['{apps,libs,tools}/*/src/**/*.ts'],
      exclude: ['**/*.{test,bench}.ts'],
      reporter: ['text-summary', 'json-summary', 'html'],
    },
  },
})

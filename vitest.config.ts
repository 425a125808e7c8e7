import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

/** Every room is a project. It has no configuration of its own, and `extends` gives it this one. */
const rooms = ['apps', 'libs', 'tools']
  .flatMap((wing) =>
    readdirSync(new URL(`${wing}/`, import.meta.url)).map((name) => `${wing}/${name}`),
  )
  .filter((room) => existsSync(manifestOf(room)))

function manifestOf(room: string): URL {
  return new URL(`${room}/package.json`, import.meta.url)
}

const nameOf = (room: string): string =>
  (JSON.parse(readFileSync(manifestOf(room), 'utf8')) as { name: string }).name

export default defineConfig({
  test: {
    projects: rooms.map((root) => ({ extends: true, root, test: { name: nameOf(root) } })),
    // Only a test that waits in vain gets here, and a busy machine must not look like one. Nx gives
    // the same to each room (nx.json).
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

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readModules } from './modules-document.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-modules-'))
})
afterAll(() => rm(directory, { recursive: true }))

const library = {
  file: 'resolver.ts',
  modules: [{ name: 'org_example_Resolver', parameters: [{ key: 'k', value: 'v' }] }],
}

test('RM8: a document is inline, a path or a file URL; its files lie beside it', async () => {
  const path = join(directory, 'modules.json')
  await writeFile(path, JSON.stringify({ libraries: [library] }))

  for (const text of [path, 'modules.json', pathToFileURL(path).href]) {
    const [[name, spec] = []] = await readModules(text, directory)
    expect(name).toBe('org_example_Resolver')
    expect(spec).toEqual({
      name,
      library: 'resolver.ts',
      url: pathToFileURL(join(directory, 'resolver.ts')).href,
      parameters: { k: 'v' },
    })
  }
  expect((await readModules(JSON.stringify({ libraries: [library] }), directory)).size).toBe(1)
})

test.each([
  ['{"libraries":[{}]}', 'Library name or path not provided'],
  [
    '{"libraries":[{"file":"x","modules":[{}]}]}',
    "Error: module name not provided with library 'x'",
  ],
  [
    '{"libraries":[{"file":"x","modules":[{"name":"m"},{"name":"m"}]}]}',
    "Error loading module 'm': a module of this name is there already",
  ],
  [
    '{"libraries":[{"name":"no-such-package-here"}]}',
    "Error opening library: 'no-such-package-here': there is no such package",
  ],
  [
    '{"libraries":1}',
    'Failed to parse --modules: libraries: Invalid input: expected array, received number',
  ],
  ['{"libraries":[', 'Failed to parse --modules: it is not JSON'],
  ['/no/such/file.json', "Failed to read --modules from '/no/such/file.json': ENOENT"],
])('RM8: %s is refused: %s', async (text, why) => {
  await expect(readModules(text, directory)).rejects.toThrow(why)
})

import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const here = fileURLToPath(new URL('./compile-cache.ts', import.meta.url))

describe('what Node read of its compile cache', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'conclave-compile-cache-'))
  })
  afterEach(async () => rm(directory, { recursive: true, force: true }))

  /** How many files of the cache a process finds once it has forgotten what it read. */
  async function filesThen(modules: readonly string[]): Promise<number> {
    const lines = [
      "import { readdirSync } from 'node:fs'",
      "import { getCompileCacheDir } from 'node:module'",
      `import { forgetCompileCache } from ${JSON.stringify(here)}`,
      ...modules.map((name) => `await import(${JSON.stringify(join(directory, name))})`),
      'forgetCompileCache()',
      'console.log(readdirSync(getCompileCacheDir()).length)',
    ]
    const main = join(directory, 'main.mjs')
    await writeFile(main, lines.join('\n'))
    const environment = { ...process.env, NODE_COMPILE_CACHE: join(directory, 'cache') }
    const { stdout } = await run(process.execPath, [main], { env: environment })
    return Number(stdout)
  }

  test('is written where others have written before, which lets Node let go of it', async () => {
    await writeFile(join(directory, 'one.mjs'), 'export const one = 1')
    await filesThen([])
    const before = await filesThen([])

    expect(await filesThen(['one.mjs'])).toBeGreaterThan(before)
  })

  test('stays where nobody has: a first start is not held up, and Node writes it at the end', async () => {
    expect(await filesThen([])).toBe(0)

    const [ofThisNode = ''] = await readdir(join(directory, 'cache'))
    expect(await readdir(join(directory, 'cache', ofThisNode))).not.toEqual([])
  })
})

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const runtime = fileURLToPath(new URL('./index.ts', import.meta.url))

/** What a program prints as JSON that has imported the runtime, in a process of its own. */
async function printedBy(program: string): Promise<unknown> {
  const lines = `const runtime = await import(${JSON.stringify(runtime)})\n${program}`
  const args = ['--input-type=module', '--eval', lines]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout)
}

test('what writes certificates is loaded once one is written', async () => {
  const loaded = await printedBy(`
    const isLoaded = () => 'getMetadata' in Reflect
    const before = isLoaded()
    await runtime.createAuthority({ clusterId: 'c' })
    console.log(JSON.stringify({ before, afterwards: isLoaded() }))`)

  expect(loaded).toEqual({ before: false, afterwards: true })
})

test('undici is not loaded', async () => {
  const loaded = await printedBy(`
    const isLoaded = () => process.moduleLoadList.some((name) => name.endsWith('deps/undici/undici'))
    const before = isLoaded()
    void globalThis.WebSocket
    console.log(JSON.stringify({ before, onceItIsNamed: isLoaded() }))`)

  expect(loaded).toEqual({ before: false, onceItIsNamed: true })
})

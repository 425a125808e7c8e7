import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { resolverContract } from '@conclave/resolver/testing'
import { afterAll } from 'vitest'
import { org_example_DirectoryResolver } from './directory-resolver.ts'

const directories: string[] = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true })
})

resolverContract('the directory resolver', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-example-'))
  directories.push(directory)
  return {
    module: await org_example_DirectoryResolver({ directory }),
    plant(name, bytes, key) {
      const path = join(directory, key === undefined ? name : `${name}/${key}`)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, bytes)
    },
    // A disk cannot be told to be slow: a file is held open, and the signal alone decides.
    stall() {
      const held = open(directory)
      return () => void held.then((handle) => handle.close())
    },
  }
})

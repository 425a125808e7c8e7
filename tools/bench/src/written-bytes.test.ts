import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writtenBytes } from './written-bytes.ts'

test.skipIf(process.platform !== 'linux')('counts what this process writes', () => {
  const directory = mkdtempSync(join(tmpdir(), 'written-'))
  const before = writtenBytes(process.pid) ?? 0

  writeFileSync(join(directory, 'file'), Buffer.alloc(256 * 1024), { flush: true })
  rmSync(directory, { recursive: true })

  // A file system in memory counts nothing.
  expect(writtenBytes(process.pid)).toBeGreaterThanOrEqual(before)
})

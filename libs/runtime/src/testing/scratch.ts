import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A directory of one test's own, which is gone after it. */
export async function scratchDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'conclave-runtime-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

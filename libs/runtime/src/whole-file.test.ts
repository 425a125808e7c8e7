import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '@conclave/kernel'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeWhole } from './whole-file.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-whole-'))
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

test.skipIf(process.platform === 'win32')(
  'RT4: a key is written through no link that somebody has laid',
  async () => {
    const victim = join(directory, 'victim')
    const file = join(directory, 'kek.key')
    await writeFile(victim, 'theirs', { mode: 0o644 })
    await symlink(victim, `${file}.new`)
    await symlink(victim, file)

    await writeWhole(file, utf8('a key'), 0o600)

    expect(await readFile(victim, 'utf8')).toBe('theirs')
    expect((await stat(victim)).mode & 0o777).toBe(0o644)
    expect(await readFile(file, 'utf8')).toBe('a key')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await readdir(directory)).toSorted()).toEqual(['kek.key', 'victim'])
  },
)

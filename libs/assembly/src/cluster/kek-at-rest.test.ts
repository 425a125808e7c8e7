import { link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AeadKey, Kek } from '@conclave/crypto'
import { SeededRandom } from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { forgetKekAtRest, loadKekAtRest, saveKekAtRest } from './kek-at-rest.ts'
import { MemberFileUnusable } from './member-files.ts'

let directory: string
const kek = Kek.of(AeadKey.draw(new SeededRandom(7)))
const file = (): string => join(directory, 'kek.key')

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-kek-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

describe('the KEK at rest', () => {
  test('is read back as it was saved', async () => {
    await saveKekAtRest(directory, kek)

    const loaded = await loadKekAtRest(directory)

    expect(loaded?.key.bytes()).toEqual(kek.key.bytes())
  })

  test.skipIf(process.platform === 'win32')('is for its owner alone', async () => {
    await saveKekAtRest(directory, kek)

    expect((await stat(file())).mode & 0o077).toBe(0)
  })

  test('that is not there is no fault: autolock is on', async () => {
    expect(await loadKekAtRest(directory)).toBeUndefined()
  })

  test('that is cut short is one', async () => {
    await writeFile(file(), 'short', { mode: 0o600 })

    await expect(loadKekAtRest(directory)).rejects.toThrow(MemberFileUnusable)
  })

  test('is overwritten before it is removed, with what an interrupted save has left', async () => {
    await saveKekAtRest(directory, kek)
    await writeFile(`${file()}.new`, kek.key.bytes(), { mode: 0o600 })
    await link(file(), join(directory, 'seen'))
    await link(`${file()}.new`, join(directory, 'seen too'))

    await forgetKekAtRest(directory)

    expect((await readdir(directory)).toSorted()).toEqual(['seen', 'seen too'])
    expect(await readFile(join(directory, 'seen'))).toEqual(Buffer.alloc(32))
    expect(await readFile(join(directory, 'seen too'))).toEqual(Buffer.alloc(32))
  })

  test('is forgotten twice without a word', async () => {
    await forgetKekAtRest(directory)
    await forgetKekAtRest(directory)

    expect(await readdir(directory)).toEqual([])
  })
})

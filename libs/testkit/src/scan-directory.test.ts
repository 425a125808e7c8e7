import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { canary, findCanary, scanDirectory } from './index.ts'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'testkit-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function write(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(directory, path)), { recursive: true })
  await writeFile(join(directory, path), content)
}

describe('a directory', () => {
  test('TK3: gives every file, what was found in it, and whose it is', async () => {
    const [first, second, decoy] = [canary('first'), canary('second'), canary('decoy')]
    await write('a/journal', `xx${first.text}`)
    await write('a/b/log', Buffer.from(second.text).toString('base64'))
    await write('empty', '')

    const scan = await scanDirectory(directory, [first, second, decoy])

    expect(scan.files).toBe(3)
    expect(scan.bytes).toBe(34 + 44)
    expect(scan.hits).toEqual([
      { place: 'a/b/log', canary: second, form: 'base64', offset: 0 },
      { place: 'a/journal', canary: first, form: 'raw', offset: 2 },
    ])
  })

  test('TK3: a window ends anywhere, and what it cuts is found once, at its place', async () => {
    const planted = canary()
    const forms = [
      Buffer.from(planted.text),
      Buffer.from(planted.text.slice(3, 14)),
      Buffer.from(JSON.stringify({ data: planted.bytes }, null, 16)),
      gzipSync(`${randomBytes(10_000).toString('hex')}${planted.text}`),
    ]
    const content = Buffer.concat(
      forms.flatMap((form, index) => [Buffer.alloc(9_973 + index * 31, '~'), form]),
    )
    await write('file', content)
    const expected = findCanary(content, planted)
    expect(expected.map(({ form }) => form).sort()).toEqual([
      'byte array',
      'gzip > raw',
      'raw',
      'truncated',
    ])

    // Every border falls somewhere else, within each of the forms at one time or another.
    for (const windowBytes of [64, 997, 1000, 4096, 9_980, 10_000, content.length, 2 ** 20]) {
      const { hits, bytes } = await scanDirectory(directory, [planted], { windowBytes })

      expect(bytes).toBe(content.length)
      expect(hits.map(({ form, offset }) => `${form} ${offset}`).sort()).toEqual(
        expected.map(({ form, offset }) => `${form} ${offset}`).sort(),
      )
    }
  })

  test('TK3: what stands among zeroes is found wherever it stands, and every byte is counted', async () => {
    const planted = canary()
    const sizeBytes = 3 * 2 ** 20
    const text = Buffer.from(planted.text)
    for (const at of [0, 2 ** 20 - 7, 2 ** 20 + 5000, 2 ** 21 - 1, sizeBytes - text.length]) {
      const content = Buffer.alloc(sizeBytes)
      text.copy(content, at)
      await write('file', content)

      const { hits, bytes } = await scanDirectory(directory, [planted])

      expect(bytes).toBe(sizeBytes)
      expect(hits.map(({ form, offset }) => [form, offset])).toEqual([['raw', at]])
    }
  })

  test('TK3: names of files are places too', async () => {
    const planted = canary('name')
    await write(`logs/${planted.text}.txt`, 'nothing')

    const { hits } = await scanDirectory(directory, [planted])

    expect(hits.map(({ form }) => form)).toEqual(['name > raw'])
  })

  test.skipIf(process.platform === 'win32')('TK3: and so is where a link leads', async () => {
    const planted = canary('link')
    await symlink(`/run/${planted.text}`, join(directory, 'link'))

    const { hits } = await scanDirectory(directory, [planted])

    expect(hits).toEqual([{ place: 'link', canary: planted, form: 'raw', offset: 5 }])
  })

  test('TK4: the report holds no canary', async () => {
    const planted = canary('report')
    await write(planted.text, planted.text)
    await write(`${planted.text.slice(4, 20)}/x`, planted.text)

    const scan = await scanDirectory(directory, [planted])

    expect(scan.hits.length).toBeGreaterThanOrEqual(4)
    for (const text of [inspect(scan, { depth: 9, showHidden: true }), JSON.stringify(scan)]) {
      expect(findCanary(Buffer.from(text), planted)).toEqual([])
    }
  })

  test('TK3: that is not there fails the scan', async () => {
    await expect(scanDirectory(join(directory, 'missing'), [canary()])).rejects.toThrow('ENOENT')
  })
})

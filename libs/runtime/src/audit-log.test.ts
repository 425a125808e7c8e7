import { appendFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { Redacted, utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'

import {
  AuditBroken,
  AuditLog,
  AuditUnavailable,
  openAuditLog,
  verifyAuditLog,
  type AuditDisk,
} from './audit-log.ts'
import { scratchDirectory } from './testing/scratch.ts'

const newFile = async (): Promise<string> => join(await scratchDirectory(), 'audit.jsonl')

const record = (count: number) => ({ action: 'read', path: `dev/db/${count}`, uid: 'bob' })

/** A file with `count` lines, and its head. */
async function written(count: number) {
  const file = await newFile()
  const log = await openAuditLog(file)
  await Promise.all(Array.from({ length: count }, (_, index) => log.append(record(index + 1))))
  await log.close()
  return { file, head: log.head, lines: (await readFile(file, 'utf8')).trimEnd().split('\n') }
}

/** A disk on which one thing never works. */
const failingDisk = (failing: 'append' | 'sync'): AuditDisk => ({
  append: () => (failing === 'append' ? Promise.reject(new Error('ENOSPC')) : Promise.resolve()),
  sync: () => (failing === 'sync' ? Promise.reject(new Error('EIO')) : Promise.resolve()),
  close: () => Promise.resolve(),
})

describe('an audit log', () => {
  test('RT11: has each record on disk, in order and chained, when append resolves', async () => {
    const file = await newFile()
    const log = await openAuditLog(file)

    await log.append(record(1))
    const first = await readFile(file, 'utf8')
    await Promise.all([log.append(record(2)), log.append(record(3))])

    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
    expect(first).toBe(`${lines[0]}\n`)
    expect(lines.map((line) => JSON.parse(line) as { seq: number; record: object })).toMatchObject(
      [1, 2, 3].map((seq) => ({ seq, record: record(seq) })),
    )
    expect(await verifyAuditLog(file)).toEqual({ isWhole: true, head: log.head })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await log.close()
  })

  test('RT11: is one line per record, whatever is in it, and never a value', async () => {
    const file = await newFile()
    const log = await openAuditLog(file)
    const canary = 'cnry-audit-5up3r'

    await log.append({ path: 'a\nb\u2028"}\u001b[31m', value: new Redacted(utf8(canary)) })
    await log.close()

    const text = await readFile(file, 'utf8')
    expect(text.split('\n')).toHaveLength(2)
    expect(text).not.toContain(canary)
    expect(text).not.toContain('\u001b')
    expect((await verifyAuditLog(file)).isWhole).toBe(true)
  })

  test('RT11: goes on where it ended', async () => {
    const { file } = await written(2)

    const log = await openAuditLog(file)
    await log.append(record(3))
    await log.close()

    expect(log.head.lines).toBe(3)
    expect(await verifyAuditLog(file, log.head)).toEqual({ isWhole: true, head: log.head })
  })

  test('RT11: many appends share few syncs', async () => {
    let syncs = 0
    const disk: AuditDisk = {
      append: () => Promise.resolve(),
      sync: () => {
        syncs++
        return new Promise(setImmediate)
      },
      close: () => Promise.resolve(),
    }
    const log = new AuditLog(disk)

    await Promise.all(Array.from({ length: 1000 }, (_, count) => log.append(record(count))))

    expect(log.head.lines).toBe(1000)
    expect(syncs).toBeLessThanOrEqual(2)
  })
})

describe('tampering', () => {
  const spoilers: readonly [string, number, (lines: string[]) => string[]][] = [
    ['a changed field', 3, (lines) => lines.with(1, lines[1]!.replace('bob', 'eve'))],
    ['a removed line', 2, (lines) => lines.toSpliced(1, 1)],
    ['a removed first line', 1, (lines) => lines.slice(1)],
    ['two lines swapped', 2, (lines) => [lines[0]!, lines[2]!, lines[1]!, ...lines.slice(3)]],
    ['a repeated line', 3, (lines) => lines.toSpliced(1, 0, lines[1]!)],
    ['a line put in', 2, (lines) => lines.toSpliced(1, 0, '{"seq":2}')],
    ['an empty line put in', 2, (lines) => lines.toSpliced(1, 0, '')],
    ['another number', 5, (lines) => lines.with(4, lines[4]!.replace('"seq":5', '"seq":6'))],
    ['text behind a record', 3, (lines) => lines.with(2, `${lines[2]!} `)],
    ['bytes that are no text', 4, (lines) => lines.with(3, '\u0000\u0000\u0000')],
  ]

  test.each(spoilers)('RT11: %s is found at line %i', async (_, line, spoil) => {
    const { file, lines } = await written(5)
    await writeFile(file, `${spoil(lines).join('\n')}\n`)

    expect(await verifyAuditLog(file)).toMatchObject({ isWhole: false, break: { line } })
    await expect(openAuditLog(file)).rejects.toThrow(AuditBroken)
  })

  test('RT11: a character that was replaced by broken UTF-8 is found', async () => {
    const file = await newFile()
    const log = await openAuditLog(file)
    await log.append({ path: '\ufffd' })
    await log.append(record(2))
    await log.close()
    const bytes = await readFile(file)

    await writeFile(
      file,
      Buffer.from(bytes.toString('latin1').replace('\u00ef\u00bf\u00bd', '\u00ff'), 'latin1'),
    )

    expect(await verifyAuditLog(file)).toMatchObject({ isWhole: false, break: { line: 2 } })
  })

  test('RT11: what happens at the end is found with a head that was kept elsewhere', async () => {
    const { file, head, lines } = await written(5)
    const verdictOn = async (text: readonly string[]) => {
      await writeFile(file, text.map((line) => `${line}\n`).join(''))
      return verifyAuditLog(file, head)
    }

    expect(await verdictOn(lines)).toMatchObject({ isWhole: true })
    expect(await verdictOn(lines.slice(0, 3))).toMatchObject({ break: { line: 4 } })
    expect(await verdictOn([])).toMatchObject({ break: { line: 1 } })
    expect(await verdictOn(lines.with(4, lines[4]!.replace('bob', 'eve')))).toMatchObject({
      break: { line: 5 },
    })
  })
})

describe('a crash', () => {
  test.each([1, 20, 100])(
    'RT11: a torn tail of %i bytes was never promised, and is cut',
    async (size) => {
      const { file, head, lines } = await written(3)
      await appendFile(file, lines[0]!.slice(0, size))

      expect(await verifyAuditLog(file)).toMatchObject({ isWhole: false, break: { line: 4 } })
      const log = await openAuditLog(file)
      await log.append(record(4))
      await log.close()

      expect(await verifyAuditLog(file)).toEqual({ isWhole: true, head: log.head })
      expect(head.lines).toBe(3)
      expect(log.head.lines).toBe(4)
    },
  )
})

describe('a disk that fails', () => {
  test.each(['append', 'sync'] as const)(
    'RT11: a failing %s refuses this record and all later ones',
    async (failing) => {
      const log = new AuditLog(failingDisk(failing))

      const outcomes = await Promise.allSettled([log.append(record(1)), log.append(record(2))])
      await expect(log.append(record(3))).rejects.toThrow(AuditUnavailable)

      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
      expect(log.head.lines).toBe(0)
      expect(await log.failed).toBeInstanceOf(AuditUnavailable)
    },
  )

  test('RT11: a closed log takes nothing', async () => {
    const log = new AuditLog(failingDisk('sync'))
    await log.close()

    await expect(log.append(record(1))).rejects.toThrow(AuditUnavailable)
  })
})

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describeLeftFiles } from '@conclave/actors/testing'
import { Redacted } from '@conclave/kernel'
import { createLogger, silentLog } from '@conclave/runtime'
import { canary, findCanaries, LogLines, scanDirectory } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { leftDirectory, LeftOnDisk } from './left-on-disk.ts'

const made: string[] = []
const scratch = (): string => {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-left-'))
  made.push(directory)
  return directory
}
afterEach(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true })
})

describeLeftFiles('a disk', () => {
  const directory = scratch()
  return {
    left: new LeftOnDisk(directory, silentLog),
    read: (path) => {
      const file = join(directory, leftDirectory, path)
      if (!existsSync(file)) return undefined
      return { text: readFileSync(file, 'utf8'), mode: statSync(file).mode & 0o777 }
    },
  }
})

describe('AA11: what an agent with faithful leaks leaves', () => {
  const value = canary('left')

  test('lies below one directory that says what it is, and all of it is removed at the next start', async () => {
    const directory = scratch()
    const lines = new LogLines()
    const log = createLogger({ to: lines, level: 'trace' })
    writeFileSync(join(directory, 'agent.json'), '{}')
    new LeftOnDisk(directory, log).write(
      ['runtime_dir', '.secret', 'c', 'uuid'],
      new Redacted(value.bytes),
      0o644,
    )
    const { hits } = await scanDirectory(directory, [value])
    expect(new Set(hits.map(({ place }) => place))).toEqual(
      new Set(['faithful-leaks/runtime_dir/.secret/c/uuid']),
    )

    await LeftOnDisk.removeAll(directory, log)

    expect(readdirSync(directory)).toEqual(['agent.json'])
    expect(lines.text).toContain('had left on the disk')
    expect(findCanaries(Buffer.from(lines.text), [value])).toEqual([])
  })

  test('is no word where there is nothing', async () => {
    const lines = new LogLines()
    await LeftOnDisk.removeAll(scratch(), createLogger({ to: lines, level: 'trace' }))
    expect(lines.text).toBe('')
  })

  test.each(['..', '.', '', 'a/b', '../../etc', 'a\\b', 'a\0b'])(
    'follows no id (%j) out of its directory',
    (id) => {
      const directory = scratch()
      const left = new LeftOnDisk(directory, silentLog)
      left.write(['work_dir', id, 'x'], new Redacted(value.bytes), 0o600)
      left.remove(['work_dir', id])

      expect(readdirSync(directory)).toEqual([])
    },
  )

  test('follows no link that somebody has put there', async () => {
    const [directory, elsewhere] = [scratch(), scratch()]
    writeFileSync(join(elsewhere, 'kept'), 'kept')
    const runtime = join(directory, leftDirectory, 'runtime_dir')
    mkdirSync(runtime, { recursive: true })
    symlinkSync(join(elsewhere, 'kept'), join(runtime, 'config'))
    new LeftOnDisk(directory, silentLog).write(
      ['runtime_dir', 'config'],
      new Redacted(value.bytes),
      0o600,
    )
    expect(readFileSync(join(elsewhere, 'kept'), 'utf8')).toBe('kept')

    rmSync(join(directory, leftDirectory), { recursive: true })
    symlinkSync(elsewhere, join(directory, leftDirectory))
    await LeftOnDisk.removeAll(directory, silentLog)

    expect(readdirSync(elsewhere)).toEqual(['kept'])
    expect(readdirSync(directory)).toEqual([])
  })

  test.each([leftDirectory, join(leftDirectory, 'runtime_dir')])(
    'lies behind no link either (%s), where no start would remove it',
    (place) => {
      const [directory, elsewhere] = [scratch(), scratch()]
      mkdirSync(join(elsewhere, 'runtime_dir', 'c'), { recursive: true })
      mkdirSync(join(elsewhere, 'c'))
      mkdirSync(dirname(join(directory, place)), { recursive: true })
      symlinkSync(elsewhere, join(directory, place))
      const lines = new LogLines()
      const left = new LeftOnDisk(directory, createLogger({ to: lines, level: 'trace' }))
      left.write(['runtime_dir', 'new', 'config'], new Redacted(value.bytes), 0o600)
      left.remove(['runtime_dir', 'c'])

      expect(readdirSync(elsewhere).toSorted()).toEqual(['c', 'runtime_dir'])
      expect(readdirSync(join(elsewhere, 'runtime_dir'))).toEqual(['c'])
      expect(lines.text).toContain('"code":"ELOOP"')
    },
  )

  test('is told in the log when it cannot be written, and nothing else happens', () => {
    const directory = scratch()
    const lines = new LogLines()
    writeFileSync(join(directory, leftDirectory), 'in the way')
    const left = new LeftOnDisk(directory, createLogger({ to: lines, level: 'trace' }))
    left.write(['work_dir', 'x'], new Redacted(value.bytes), 0o600)

    expect(lines.text).toContain('a file could not be left')
    expect(findCanaries(Buffer.from(lines.text), [value])).toEqual([])
  })
})

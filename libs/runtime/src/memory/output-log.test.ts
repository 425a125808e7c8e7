import type { OutputWanted } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { OutputLog } from './output-log.ts'
import { textOf } from './runtime.contract.ts'

const never = (): AbortSignal => new AbortController().signal

describe('the output of a program', () => {
  test('MR5: both streams keep the order of their writes', async () => {
    const log = new OutputLog(1000, () => 0)
    log.append('stdout', utf8('a'))
    log.append('stderr', utf8('b'))
    log.append('stdout', utf8('c'))
    log.end()

    const seen: string[] = []
    for await (const { stream, bytes } of log.read({ follow: true }, never())) {
      seen.push(`${stream} ${Buffer.from(bytes).toString()}`)
    }

    expect(seen).toEqual(['stdout a', 'stderr b', 'stdout c'])
  })

  test('MR5: a follower hears what is written later, until the end', async () => {
    const log = new OutputLog(1000, () => 0)
    const followed = textOf(log.read({ follow: true }, never()))
    log.append('stdout', utf8('one '))
    await Promise.resolve()
    log.append('stdout', utf8('two'))
    log.end()

    expect(await followed).toBe('one two')
  })

  test('MR5: who does not follow gets what is there', async () => {
    const log = new OutputLog(1000, () => 0)
    log.append('stdout', utf8('there'))

    expect(await textOf(log.read({ follow: false }, never()))).toBe('there')
  })

  test('MR5: an aborted follower ends', async () => {
    const log = new OutputLog(1000, () => 0)
    const closing = new AbortController()
    const followed = textOf(log.read({ follow: true }, closing.signal))
    closing.abort()

    expect(await followed).toBe('')
  })

  test('MR5: a slow reader is told how much it missed', async () => {
    const log = new OutputLog(4096, () => 0)
    const reader = log.read({ follow: true }, never())
    log.append('stdout', new Uint8Array(2048))
    const first = await reader.next()
    for (let count = 0; count < 4; count++) log.append('stdout', new Uint8Array(2048))
    const second = await reader.next()

    expect(first.value?.bytes.length).toBe(2048)
    expect(Buffer.from(second.value?.bytes ?? []).toString()).toBe(
      '\n[4096 bytes of output are gone]\n',
    )
  })

  test('MR5: forgotten, nothing of it is left to read', async () => {
    const log = new OutputLog(1000, () => 0)
    log.append('stdout', utf8('secret'))
    log.forget()
    log.append('stdout', utf8('late'))

    expect(await textOf(log.read({ follow: true }, never()))).toBe('')
  })

  test('MR5: the last lines are read, and what came since', async () => {
    let nowMs = 1000
    const log = new OutputLog(4096, () => nowMs)
    for (const line of ['one\n', 'two\n', 'three\n', 'half']) {
      log.append('stdout', utf8(line))
      nowMs += 10
    }
    const read = async (wanted: Omit<OutputWanted, 'follow'>): Promise<string> =>
      textOf(log.read({ follow: false, ...wanted }, never()))

    expect(await read({ tail: 0 })).toBe('')
    expect(await read({ tail: 2 })).toBe('three\nhalf')
    expect(await read({ tail: 9 })).toBe('one\ntwo\nthree\nhalf')
    expect(await read({ sinceMs: 1011 })).toBe('three\nhalf')
    expect(await read({ sinceMs: 2000 })).toBe('')
    expect(await read({ sinceMs: 1011, tail: 1 })).toBe('half')
    const times: unknown[] = []
    for await (const { atMs } of log.read({ follow: false }, never())) times.push(atMs)
    expect(times).toEqual([1000, 1010, 1020, 1030])
  })
})

import { describe, expect, test } from 'vitest'
import { LogLines, type LogWriting } from './log-lines.ts'
import { StdcopyReader } from './stdcopy.ts'

const both = new Set(['stdout', 'stderr'] as const)
const atMs = Date.parse('2026-11-22T04:31:08.107Z')

function written(
  writing: Partial<LogWriting>,
  ...outputs: [string, ('stdout' | 'stderr')?, number?][]
) {
  const lines = new LogLines({ streams: both, isRaw: false, hasTimes: false, ...writing })
  const frames = outputs.flatMap(([text, stream = 'stdout', later = 0]) =>
    lines.write({ kind: 'data', stream, bytes: Buffer.from(text), atMs: atMs + later }),
  )
  const bytes = Buffer.concat([...frames, ...lines.end()])
  if (writing.isRaw === true) return bytes.toString()
  return new StdcopyReader()
    .push(bytes)
    .map(({ stream, payload }) => `${stream === 'stdout' ? 'o' : 'e'}:${payload.toString()}`)
}

describe('DK42: lines of a log', () => {
  test('are frames of their own, and wait for their end', () => {
    expect(written({}, ['one\ntw'], ['x\n', 'stderr'], ['o\nhalf'])).toEqual([
      'o:one\n',
      'e:x\n',
      'o:two\n',
      'o:half',
    ])
  })

  test('begin with when they began, and with what they are of', () => {
    const details = 'com.docker.swarm.node.id=n,com.docker.swarm.task.id=t'
    expect(written({ hasTimes: true, details }, ['a'], ['b\n', 'stdout', 900])).toEqual([
      `o:2026-11-22T04:31:08.107000000Z ${details} ab\n`,
    ])
  })

  test('are of the streams that are asked for, and of the time', () => {
    const streams = new Set(['stderr'] as const)
    expect(written({ streams }, ['one\n'], ['two\n', 'stderr'])).toEqual(['e:two\n'])
    expect(written({ untilMs: atMs + 5 }, ['in time\n'], ['too late\n', 'stdout', 6])).toEqual([
      'o:in time\n',
    ])
  })

  test('of a terminal are bytes as they came', () => {
    expect(written({ isRaw: true }, ['one\r\ntwo\r\n'])).toBe('one\r\ntwo\r\n')
  })

  test('are cut when nothing ends them', () => {
    const [first = '', second = ''] = written({}, ['x'.repeat(20_000)])
    expect([first.length, second.length]).toEqual([16_384 + 2, 20_000 - 16_384 + 2])
  })
})

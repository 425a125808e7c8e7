import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { ConclaveError, Redacted, utf8 } from '@conclave/kernel'
import { LogLines } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { createLogger, type Log } from './log.ts'
import { scratchDirectory } from './testing/scratch.ts'

/** Printable, and neither a line's end nor a change of direction. */
const harmless = /^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]$/u

class VolumeLost extends ConclaveError {
  readonly code = 'volume.lost'
}

const canary = 'cnry-l0g-value'

describe('a logger', () => {
  test('RT12: writes one JSON line per event, with level, source, time and fields', () => {
    const lines = new LogLines()
    const log: Log = createLogger({ to: lines, base: { source: 'master-1' } })

    log.info({ path: 'dev/db', version: 3 }, 'sealed')
    log.debug({}, 'not at this level')

    expect(lines.parsed).toMatchObject([
      { level: 'info', source: 'master-1', path: 'dev/db', version: 3, msg: 'sealed' },
    ])
    expect(lines.parsed[0]!['time']).toMatch(/^\d{4}-\d\d-\d\dT/)
  })

  test('RT12: newlines, escapes and direction marks stay inside their line, and are harmless', () => {
    const lines = new LogLines()
    const evil = 'a\n{"level":"fatal"}\r\u001b[2J\u009b31m\u007f\u2028\u202e\u2066\u200f\u061cend'

    createLogger({ to: lines }).child({ task: evil }).warn({ path: evil }, evil)

    expect(lines.text.match(/\n/g)).toHaveLength(1)
    for (const char of lines.text.trimEnd()) expect(harmless.test(char)).toBe(true)
    expect(lines.parsed[0]).toMatchObject({ path: evil, task: evil, msg: evil })
  })

  test('RT12: no value, key, token or header gets out, however it was put in', () => {
    const lines = new LogLines()
    const log = createLogger({ to: lines, level: 'trace' })
    const bytes = utf8(canary)

    log.trace({ value: canary, secret: { value: canary }, token: canary, password: canary }, 'a')
    log.info({ req: { headers: { authorization: canary, 'x-vault-token': canary } } }, 'b')
    log.info({ opened: new Redacted(bytes), box: bytes, view: new DataView(bytes.buffer) }, 'c')
    log.info({ user: { password: canary, privateKey: canary, unlockKey: canary } }, 'd')
    log.child({ token: canary }).info({ body: { deep: canary } }, 'e')

    expect(lines.text).not.toContain(canary)
    expect(lines.text).not.toContain(Buffer.from(canary).toString('base64'))
    expect(lines.text).not.toContain(bytes.join(','))
    expect(lines.text).not.toMatch(/"0":\d+,"1":\d+/)
    expect(lines.parsed[2]).toMatchObject({ box: `[${canary.length} bytes]` })
  })

  test('RT12: an error tells its code and its causes, but not what it was given', () => {
    const lines = new LogLines()
    const log = createLogger({ to: lines })
    const notJson = (() => {
      try {
        return JSON.parse(`{"password": ${canary}`) as unknown
      } catch (error) {
        return error
      }
    })()
    const schema = z.object({ a: z.literal('b') }).safeParse({ a: canary })
    const foreign = Object.assign(new Error('refused', { cause: schema.error }), {
      code: 'ECONNREFUSED',
      config: { headers: { authorization: canary } },
    })

    log.error({ err: new VolumeLost('the volume is gone', { cause: notJson }) }, 'a')
    log.error({ err: foreign }, 'b')
    log.error({ error: canary.length }, 'c')

    expect(lines.text).not.toContain(canary)
    expect(lines.parsed[0]).toMatchObject({
      err: {
        type: 'VolumeLost',
        code: 'volume.lost',
        message: 'the volume is gone',
        cause: { type: 'SyntaxError' },
      },
    })
    expect(lines.parsed[1]).toMatchObject({
      err: { code: 'ECONNREFUSED', cause: { type: 'ZodError' } },
    })
  })

  test('RT12: a log file is appended to, and readable by its owner alone', async () => {
    const file = join(await scratchDirectory(), 'master.log')

    createLogger({ to: { file } }).info({}, 'first')
    createLogger({ to: { file } }).info({}, 'second')

    expect((await readFile(file, 'utf8')).trimEnd().split('\n')).toHaveLength(2)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })
})

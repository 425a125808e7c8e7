import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setting, type Config } from '@conclave/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { commonSettings, runApp, type App, type AppMember } from './run-app.ts'

const settings = {
  ...commonSettings,
  dataDirectory: setting(z.string().min(1), 'a directory'),
  tickMs: setting(z.int().positive(), 'a number of milliseconds', 100),
}

const never = new Promise<never>(() => undefined)

function app(
  member: Partial<AppMember> = {},
): App<typeof settings> & { configs: Config<typeof settings>[] } {
  const configs: Config<typeof settings>[] = []
  return {
    configs,
    name: 'conclave-thing',
    summary: 'does a thing',
    source: 'thing',
    example: 'conclave-thing --data-directory /var/lib/thing',
    settings,
    start: async (config) => {
      configs.push(config)
      return { ready: Promise.resolve({}), failed: never, stop: async () => undefined, ...member }
    },
  }
}

async function run(
  wanted: App<typeof settings>,
  argv: readonly string[],
  more: { environment?: Record<string, string>; ended?: Promise<string> } = {},
): Promise<{ code: number; out: string; err: string }> {
  const said = { out: '', err: '' }
  const code = await runApp(wanted, {
    argv: [...argv, '--log-level=silent'],
    environment: more.environment ?? {},
    out: (text) => (said.out += text),
    err: (text) => (said.err += text),
    ended: () => more.ended ?? Promise.resolve('test'),
  })
  return { code, ...said }
}

describe('an app', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'conclave-app-'))
  })
  afterEach(async () => rm(directory, { recursive: true, force: true }))

  test('AP1: takes a setting from a flag before its variable before its file', async () => {
    const file = join(directory, 'thing.json')
    await writeFile(file, '{"dataDirectory":"/file","tickMs":7}')
    const thing = app()

    await run(thing, ['--config', file])
    await run(thing, ['--config', file], { environment: { CONCLAVE_DATA_DIRECTORY: '/variable' } })
    await run(thing, ['--config', file, '--data-directory=/flag'], {
      environment: { CONCLAVE_DATA_DIRECTORY: '/variable' },
    })

    expect(thing.configs.map(({ dataDirectory }) => dataDirectory)).toEqual([
      '/file',
      '/variable',
      '/flag',
    ])
    expect(thing.configs[0]?.tickMs).toBe(7)
  })

  test('AP2: says of every bad field what is wrong with it, once, and ends with 2', async () => {
    const { code, err } = await run(app(), ['--tick-ms', 'soon'])

    expect(code).toBe(2)
    expect(err).toContain('dataDirectory (missing): it must be given: a directory')
    expect(err).toContain('tickMs (--tick-ms): "soon" is not a number of milliseconds')
  })

  test('AP2: ends with 2 at a flag that it does not have', async () => {
    const { code, err } = await run(app(), ['--data-dir', '/x'])

    expect(code).toBe(2)
    expect(err).toContain("'--data-dir'")
  })

  test('explains every setting with --help, and starts nothing', async () => {
    const thing = app()
    const { code, out } = await run(thing, ['--help'])

    expect(code).toBe(0)
    expect(out).toContain('--data-directory VALUE')
    expect(out).toContain('CONCLAVE_TICK_MS')
    expect(thing.configs).toEqual([])
  })

  test('AP3, AP4: says in one line when it is ready, and ends with 0 after its stop', async () => {
    let stops = 0
    const ended = Promise.withResolvers<string>()
    const member = {
      ready: Promise.resolve({ masterId: 'master-1' }),
      stop: async () => void stops++,
    }
    const running = run(app(member), ['--data-directory=/x'], { ended: ended.promise })
    await member.ready
    ended.resolve('SIGTERM')

    const { code, out } = await running
    expect(code).toBe(0)
    expect(stops).toBe(1)
    expect(JSON.parse(out)).toEqual({ ready: true, pid: process.pid, masterId: 'master-1' })
  })

  test('AP5: ends with 1 when its member cannot go on', async () => {
    const failed = Promise.resolve(new Error('the disk is full'))

    const { code } = await run(app({ failed }), ['--data-directory=/x'], { ended: never })

    expect(code).toBe(1)
  })
})

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { liveParts, type Parts } from '@conclave/simulation'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { main } from './simulate.ts'

/** Every master answers reads from what it happens to have. */
const careless: Partial<Parts> = {
  createReplica: (options) =>
    Object.assign(liveParts.createReplica(options), { linearize: () => Promise.resolve() }),
}

describe('npm run simulate', () => {
  let out: string
  let lines: string[]

  beforeEach(() => {
    out = mkdtempSync(join(tmpdir(), 'simulate-'))
    lines = []
  })
  afterEach(() => rmSync(out, { recursive: true }))

  const run = (args: readonly string[], parts: Partial<Parts> = {}): Promise<number> =>
    main([...args], { print: (text) => lines.push(...text.split('\n')), parts })

  const written = async (name: string, parts?: Partial<Parts>): Promise<string> => {
    const path = join(out, name)
    await run(['replay', '3', '--profile', 'mixed', '--ndjson', path], parts)
    return readFileSync(path, 'utf8')
  }

  test('SM1: says of each seed what it did, and counts in the end', async () => {
    expect(await run(['--seeds', '1..2', '--profile', 'crashes', '--out', out])).toBe(0)

    expect(lines).toHaveLength(3)
    expect(lines[0]).toMatch(/^ +1 crashes +kept +\d members, \d+ crashes, .* [\da-f]{8}$/)
    expect(lines[2]).toMatch(/^2 seeds, 0 broken, \d+ events/)
  })

  test('SM2: keeps a smaller history of a broken seed, which breaks again', async () => {
    const asked = ['--seeds', '1..2', '--profile', 'lossy', '--out', out]
    expect(await run(asked, careless)).toBe(1)

    expect(lines.at(-1)).toMatch(/, [12] broken, /)
    const file = /replay (\S+)$/m.exec(lines.join('\n'))?.[1] ?? ''
    expect(readFileSync(file, 'utf8')).toMatch(/^# SI7 after \d+ ms: /)
    lines = []
    expect(await run(['replay', file], careless)).toBe(1)
    expect(lines.join('\n')).toMatch(/BROKEN +SI7/)
    expect(await run(['replay', file])).toBe(0)
  }, 60_000)

  test('SM5: writes what a replay did as data, the same bytes each time, its violation too', async () => {
    const once = await written('once.ndjson')

    expect(await written('twice.ndjson')).toBe(once)
    const events = once
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(events.length).toBeGreaterThan(500)
    expect(events[0]).toEqual({
      atUs: 0,
      event: 'member',
      member: 1,
      what: 'starts, the 1. time',
    })
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'state', role: 'leader', voters: expect.any(Array) }),
    )
    const broken = await written('broken.ndjson', careless)
    expect(broken).toMatch(/"event":"broken","rule":"SI7"/)
  }, 60_000)

  test.each([
    [['--seeds', 'many'], '1..300'],
    [['--seeds', '9..3'], 'goes up'],
    [['--profile', 'wild'], 'no profile wild'],
    [['replay'], 'Name a seed'],
    [['replay', 'nowhere.txt'], 'no file nowhere.txt'],
    [['dance', '1'], 'no command dance'],
    [['shrink', '1', '--ndjson', 'x'], 'replay a seed'],
    [['--sedes', '1'], '--sedes'],
  ])('SM3: refuses %j', async (args, why) => {
    expect(await run(args)).toBe(2)
    expect(lines.join('\n')).toContain(why)
  })

  test('SM4: tells of the naive election and of the core, and refuses a seed that is none', async () => {
    expect(await run(['naive'])).toBe(0)
    expect(lines.join('\n')).toContain('It is split: 2 leaders at once')
    expect(lines.at(-1)).toContain('It holds')

    expect(await run(['naive', 'x'])).toBe(2)
  })
})

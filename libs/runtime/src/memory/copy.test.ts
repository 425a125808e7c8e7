import type { Container, ExecHow } from '@conclave/actors'
import { checkContainer, perform, planContainer } from '@conclave/isolators'
import { Redacted, utf8 } from '@conclave/kernel'
import { CommandInfo, ContainerInfo, parseOurs } from '@conclave/model'
import { canary } from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ArchiveEntry, ArchiveFormat } from './archive.ts'
import { MemoryRuntime } from './memory-runtime.ts'

const value = canary('copy')
const superuser = { uid: 0, gid: 0 }
const own = { mode: 0o644, uid: 0, gid: 0, modifiedAtMs: 1_700_000_000_000 }

/** In the place of tar: a line of JSON for each entry. */
const lines: ArchiveFormat = {
  async entriesOf(archive) {
    const text = Buffer.from(archive).toString()
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as ArchiveEntry & { text?: string })
      .map((entry) => ({ ...entry, bytes: Buffer.from(entry.text ?? '') }) as ArchiveEntry)
  },
  async *pack(entries) {
    for (const entry of entries) {
      const text =
        'bytes' in entry ? { bytes: undefined, text: String(Buffer.from(entry.bytes)) } : {}
      yield Buffer.from(`${JSON.stringify({ ...entry, ...text })}\n`)
    }
  },
}

let runtime: MemoryRuntime
let container: Container

/** One that runs, with a secret as a file and as a variable. */
beforeEach(async () => {
  runtime = new MemoryRuntime({ archives: lines })
  const secret = { type: 'REFERENCE', reference: { name: 'db' } }
  const info = parseOurs(ContainerInfo, {
    type: 'MESOS',
    volumes: [
      {
        mode: 'RO',
        container_path: '/run/secrets/db',
        source: { type: 'SECRET', secret },
        file: { mode: 0o444, uid: 0, gid: 0 },
      },
    ],
  })
  const variables = [{ name: 'DB', type: 'SECRET', secret }]
  const command = parseOurs(CommandInfo, { value: 'true', environment: { variables } })
  const checked = checkContainer(command, info)
  const values = checked.secrets.map(() => new Redacted(utf8(value.text)))
  const plan = planContainer(checked, { owner: superuser, environment: new Map() }, values)
  container = await runtime.create({
    containerId: 'c',
    hostname: 'box',
    argv: ['sleep', '3600'],
    user: { name: 'task', uid: 1000, gid: 1001 },
  })
  await perform(plan, container.host)
  await container.start(() => {})
})
afterEach(() => runtime.destroyAll())

type Wanted = NonNullable<ExecHow['archive']>

interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

async function copy(archive: Wanted, input = ''): Promise<Outcome> {
  const exec = await container.exec([], {}, { archive })
  exec.write(utf8(input))
  exec.endInput()
  return outcomeOf(exec)
}

async function outcomeOf(
  exec: Awaited<ReturnType<Container['exec']>>,
  signal = AbortSignal.timeout(5000),
): Promise<Outcome> {
  const said = { stdout: '', stderr: '' }
  for await (const { stream, bytes } of exec.output(signal)) {
    said[stream] += Buffer.from(bytes).toString()
  }
  return { ...said, exitCode: (await exec.exit).exitCode }
}

const put = (
  path: string,
  entries: readonly object[],
  more: Partial<Wanted> = {},
): Promise<Outcome> =>
  copy(
    { do: 'unpack', path, ...more },
    entries.map((one) => JSON.stringify({ ...own, ...one })).join('\n'),
  )

/** Facts of the path, then entries. */
async function get(path: string): Promise<readonly Record<string, unknown>[]> {
  const { exitCode, stdout, stderr } = await copy({ do: 'pack', path })
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function run(script: string): Promise<string> {
  const exec = await container.exec(['sh', '-c', script], {}, { user: 'root' })
  exec.endInput()
  return (await outcomeOf(exec)).stdout
}

const file = (path: string, text = 'x') => ({ kind: 'file', path, text })
const ok = { exitCode: 0, stdout: '', stderr: '' }

describe('MR17: files are copied out', () => {
  test('with all that is below them, under the name that was asked for', async () => {
    await run('mkdir -p /a/b; echo one >/a/b/f; ln /a/b/f /a/g; ln -s b/f /a/l; chmod 4711 /a/b/f')
    const [facts, ...entries] = await get('/a')
    expect(facts).toMatchObject({ name: 'a', kind: 'directory', sizeBytes: 4096, linkTarget: '' })
    expect(entries.map(({ kind, path, target, text }) => [kind, path, target ?? text])).toEqual([
      ['directory', 'a/', undefined],
      ['directory', 'a/b/', undefined],
      ['file', 'a/b/f', 'one\n'],
      ['link', 'a/g', 'a/b/f'],
      ['symlink', 'a/l', 'b/f'],
    ])
    expect(entries[2]).toMatchObject({ mode: 0o4711, uid: 0, gid: 0 })
    expect((await get('/a/.'))[1]).toMatchObject({ path: './' })
    expect((await get('../a/b/../b/f')).slice(1)).toMatchObject([{ path: 'f', text: 'one\n' }])
    expect((await get('/'))[1]).toMatchObject({ path: '/' })
  })

  test('a link is one, and is said where it leads; with a slash what it leads to is meant', async () => {
    await run('mkdir -p /a/b; ln -s /a/b /l; ln -s l /m; ln -s ../nowhere /a/n; ln -s o /o')
    expect(await get('/m')).toMatchObject([
      { kind: 'symlink', linkTarget: '/a/b' },
      { kind: 'symlink', path: 'm', target: 'l' },
    ])
    expect((await get('/m/'))[0]).toMatchObject({ name: 'm', kind: 'directory' })
    expect((await get('/m/.'))[0]).toMatchObject({ name: '.', kind: 'directory' })
    expect((await get('/a/n'))[0]).toMatchObject({ linkTarget: '/nowhere' })
    expect(await copy({ do: 'stat', path: '/o' })).toMatchObject({
      exitCode: 3,
      stderr: '/o: Too many levels of symbolic links',
    })
  })

  test('what is not there is told from what is no directory', async () => {
    expect(await copy({ do: 'pack', path: '/nosuch/x' })).toMatchObject({ exitCode: 1, stdout: '' })
    expect(await copy({ do: 'stat', path: '/etc/passwd/' })).toMatchObject({
      exitCode: 3,
      stderr: '/etc/passwd/: Not a directory',
    })
  })

  test('and no secret with them, under whatever name it is asked for', async () => {
    await run('ln -s /run/secrets/db /a; ln -s /run/secrets /b; ln /run/secrets/db /c; true')
    expect(await run('cat /run/secrets/db /a')).toBe(value.text.repeat(2))
    const paths = [
      '/',
      '/run/secrets/db',
      '/a',
      '/b/',
      '/b/db',
      '/run',
      '/proc/self/environ',
      '/etc/..',
    ]
    const all = await Promise.all(paths.map((path) => copy({ do: 'pack', path })))
    expect(JSON.stringify(all)).not.toContain(value.text)
    expect((await get('/run/secrets/db'))[1]).toMatchObject({ kind: 'file', text: '' })
    // Who does not use this view does see it: the test would notice.
    expect(all[0]?.stdout).toContain('run/secrets/db')
  })
})

describe('MR17: files are copied in', () => {
  test('with their modes, owners and times', async () => {
    const entries = [
      { kind: 'directory', path: 'd/', mode: 0o1770, uid: 5 },
      { ...file('d/f', 'one'), mode: 0o4750, uid: 5, gid: 6 },
      { kind: 'symlink', path: 'd/l', target: '/etc/passwd', uid: 9 },
      { kind: 'link', path: 'g', target: 'd/f' },
      file('made/for/it'),
    ]
    expect(await put('/tmp', entries)).toEqual(ok)
    expect(await run('cd /tmp; stat -c "%a %u:%g %Y %n" d d/f d/l g')).toBe(
      '1770 5:0 1700000000 d\n4750 5:6 1700000000 d/f\n777 9:0 1700000000 d/l\n4750 5:6 1700000000 g\n',
    )
    expect(await run('cat /tmp/g /tmp/made/for/it; readlink /tmp/d/l')).toBe('onex/etc/passwd\n')
  })

  test('or with the owner that the container has', async () => {
    expect(await put('/tmp', [{ ...file('f'), uid: 5 }], { isForUser: true })).toEqual(ok)
    expect(await run('stat -c %u:%g /tmp/f')).toBe('1000:1001\n')
  })

  test('in the place of what is there; directories are merged', async () => {
    await run('mkdir -p /d/e; echo old >/d/e/kept; echo old >/d/f; ln -s /etc /d/s')
    const entries = [
      { kind: 'directory', path: 'e', mode: 0o700 },
      file('f', 'new'),
      file('s', 'new'),
    ]
    expect(await put('/d', entries)).toEqual(ok)
    expect(await run('cat /d/e/kept /d/f /d/s; ls -d /etc/passwd')).toBe('old\nnewnew/etc/passwd\n')

    const kept = { keepsKinds: true }
    expect(await put('/d', [file('e')], kept)).toMatchObject({
      exitCode: 3,
      stderr: 'cannot overwrite directory "e" with non-directory "/d"',
    })
    expect(await put('/d', [{ kind: 'directory', path: 'f' }], kept)).toMatchObject({
      exitCode: 3,
      stderr: 'cannot overwrite non-directory "f" with directory "/d"',
    })
    expect(await put('/d', [file('e')])).toEqual(ok)
    expect(await run('cat /d/e')).toBe('x')
  })

  test('into a directory, by way of links, and into nothing else', async () => {
    await run('mkdir /real; ln -s /real /l')
    expect(await put('/l', [file('f')])).toEqual(ok)
    expect(await run('cat /real/f')).toBe('x')
    expect(await put('/nosuch', [file('f')])).toMatchObject({ exitCode: 1 })
    expect(await put('/etc/passwd', [file('f')])).toMatchObject({
      exitCode: 2,
      stderr: 'extraction point is not a directory',
    })
  })

  test.each([
    ['a way up', file('../f'), 'invalid entry name "../f"'],
    ['a way up, later', file('d/../../f'), 'invalid entry name "d/../../f"'],
    ['a way up, after a slash', file('/../f'), 'invalid entry name "/../f"'],
    ['a name with NUL', file('a\0b'), String.raw`invalid entry name "a\u0000b"`],
    [
      'another name of a file outside',
      { kind: 'link', path: 'f', target: '../etc/passwd' },
      'invalid hardlink target "../etc/passwd"',
    ],
    ['a link that leads outside', file('out/f'), 'openat out/f: path escapes from parent'],
    [
      'another name by way of it',
      { kind: 'link', path: 'f', target: 'out/passwd' },
      'openat out/passwd: path escapes from parent',
    ],
  ])('and nowhere else: %s', async (_, entry, why) => {
    await run('mkdir /in; ln -s /etc /in/out')
    expect(await put('/in', [entry])).toMatchObject({ exitCode: 3, stderr: why })
    expect(await run('ls /in; ls -d /f /etc/f 2>/dev/null')).toBe('out\n')
  })

  test('a way that links within the directory is one; an absolute name is below it', async () => {
    await run('mkdir -p /in/real; ln -s real /in/l')
    expect(await put('/in', [file('l/f'), file('/g')])).toEqual(ok)
    expect(await run('cat /in/real/f /in/g')).toBe('xx')
  })

  test('many of them, without anybody waiting long, and not to an unbounded depth', async () => {
    const deep = Array.from({ length: 50 }, (_, at) => `d${at}`).join('/')
    const many = Array.from({ length: 1000 }, (_, at) => file(`${deep}/${at}`))
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    expect(await put('/', many)).toEqual(ok)
    clearInterval(timer)
    expect(turns).toBeGreaterThan(3)
    expect(await run(`ls /${deep} | wc -l`)).toBe('1000\n')
    const { exitCode, stderr } = await put('/', [file(`${'d/'.repeat(256)}f`)])
    expect([exitCode, stderr.slice(-38)]).toEqual([3, ': it is more than 256 directories deep'])
  })

  test('also where one takes the place of a directory that came before', async () => {
    await run('mkdir -p /in /out/b; touch -d @5 /out/b')
    const entries = [
      { kind: 'directory', path: 'a/b', uid: 7 },
      { kind: 'symlink', path: 'a', target: '/out' },
    ]
    expect(await put('/in', entries)).toEqual(ok)
    expect(await run('readlink /in/a; stat -c "%u %Y" /out/b')).toBe('/out\n0 5\n')
  })

  test('not in the place of a secret, nor of a directory that one is in', async () => {
    for (const [path, name] of [
      ['/run/secrets', 'db'],
      ['/run', 'secrets'],
      ['/', 'run'],
    ] as const) {
      expect(await put(path, [file(name)])).toMatchObject({
        exitCode: 3,
        stderr: expect.stringMatching(/Device or resource busy$/) as string,
      })
    }
    const mine = { kind: 'link', path: 'mine', target: 'run/secrets/db' }
    expect(await put('/', [mine])).toMatchObject({ exitCode: 3 })
    expect(await run('cat /run/secrets/db; cat /mine 2>/dev/null')).toBe(value.text)
  })

  test('within the limits of the container', async () => {
    const large = 'x'.repeat(9 * 1024 * 1024)
    expect(await put('/tmp', [file('f', large)])).toMatchObject({
      exitCode: 3,
      stderr: 'No space left on device',
    })
    const exec = await container.exec([], {}, { archive: { do: 'unpack', path: '/tmp' } })
    for (let at = 0; at < 20; at++) exec.write(new Uint8Array(1_048_576))
    exec.endInput()
    expect(await outcomeOf(exec)).toMatchObject({
      exitCode: 3,
      stderr: 'the archive has more than 17825792 bytes',
    })
  })
})

describe('MR17: a copy', () => {
  test('is not begun with half of an archive when whoever sends it leaves', async () => {
    const leaving = new AbortController()
    const exec = await container.exec([], {}, { archive: { do: 'unpack', path: '/tmp' } })
    const read = outcomeOf(exec, leaving.signal)
    exec.write(utf8(JSON.stringify({ ...own, ...file('f') })))
    leaving.abort()
    exec.endInput()
    expect(await read).toEqual({ exitCode: 137, stdout: '', stderr: '' })
    expect(await exec.exit).toEqual({ exitCode: 137, signal: 'KILL' })
    expect(await run('ls /tmp')).toBe('')
  })

  test('ends with its container', async () => {
    const exec = await container.exec([], {}, { archive: { do: 'unpack', path: '/tmp' } })
    const read = outcomeOf(exec)
    container.signal('KILL')
    expect(await exec.exit).toEqual({ exitCode: 137, signal: 'KILL' })
    expect(await read).toEqual({ exitCode: 137, stdout: '', stderr: '' })
    await expect(container.exec([], {}, { archive: { do: 'stat', path: '/' } })).rejects.toThrow(
      'the container is not running',
    )
  })

  test('is none where nobody has a format for it', async () => {
    runtime.destroyAll()
    runtime = new MemoryRuntime()
    const user = { name: 'root', ...superuser }
    container = await runtime.create({
      containerId: 'd',
      hostname: 'box',
      argv: ['sleep', '9'],
      user,
    })
    await container.start(() => {})
    await expect(container.exec([], {}, { archive: { do: 'stat', path: '/' } })).rejects.toThrow(
      'this machine copies no files',
    )
  })
})

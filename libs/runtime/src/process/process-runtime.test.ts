import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContainerRefused, type Container, type ContainerExit } from '@conclave/actors'
import { HostFailed } from '@conclave/isolators'
import { Redacted, utf8 } from '@conclave/kernel'
import { canary, eventually, scanDirectory } from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ProcessRuntime } from './process-runtime.ts'

let home: string
let directory: string
let runtime: ProcessRuntime

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'conclave-process-'))
  directory = join(home, 'executors')
  runtime = new ProcessRuntime({ directory })
  await runtime.recover()
})
afterEach(() => {
  runtime.destroyAll()
  rmSync(home, { recursive: true, force: true })
})

const user = { name: 'root', uid: 0, gid: 0 }
const specOf = (containerId: string, ...argv: string[]) => ({
  containerId,
  hostname: containerId,
  argv,
  user,
  isExecutor: true,
})
const shell = (containerId: string, script: string): Promise<Container> =>
  runtime.create(specOf(containerId, '/bin/sh', '-c', script))

/** Resolves once it runs. */
async function start(container: Container): Promise<{ readonly ended: Promise<ContainerExit> }> {
  const ended = Promise.withResolvers<ContainerExit>()
  await container.start((exit) => ended.resolve(exit))
  return { ended: ended.promise }
}

/** Runs to its end, and gives that with all it said. */
async function run(container: Container): Promise<{ exit: ContainerExit; said: string }> {
  const exit = await (await start(container)).ended
  return { exit, said: await saidBy(container) }
}

async function saidBy(container: Container, follow = false): Promise<string> {
  let said = ''
  for await (const { bytes } of container.output({ follow }, new AbortController().signal)) {
    said += Buffer.from(bytes).toString()
  }
  return said
}

/** What it says first, once it does. */
async function firstSaidBy(container: Container): Promise<string> {
  for await (const { bytes } of container.output({ follow: true }, new AbortController().signal)) {
    return Buffer.from(bytes).toString()
  }
  return ''
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

describe.skipIf(process.platform !== 'linux')('RT19: a program of its own', () => {
  test('runs in a sandbox of its own, with its environment and nothing of ours', async () => {
    const container = await shell('c1', 'pwd; env; echo oops >&2; exit 7')
    await container.host.setEnv('PLAIN', 'value')
    await container.host.setEnv('MESOS_SANDBOX', '/mnt/mesos/sandbox')

    const { exit, said } = await run(container)

    expect(exit).toEqual({ exitCode: 7 })
    const sandbox = join(directory, 'c1/sandbox')
    expect(said.split('\n')).toEqual(
      expect.arrayContaining([sandbox, 'PLAIN=value', `MESOS_SANDBOX=${sandbox}`, 'oops']),
    )
    const names = said.match(/^\w+(?==)/gm)?.filter((name) => !['PWD', 'SHLVL', '_'].includes(name))
    expect(new Set(names)).toEqual(new Set(['PLAIN', 'MESOS_SANDBOX', 'PATH']))
    expect(statSync(join(directory, 'c1')).mode & 0o777).toBe(0o700)
  })

  test('is told a secret by its environment, and no file has it', async () => {
    const value = canary('of an executor')
    const container = await shell('c1', 'printf %s "$SECRET" | wc -c; sleep 1000')
    await container.host.setEnv('SECRET', new Redacted(utf8(value.text)))
    const { ended } = await start(container)
    const said = await firstSaidBy(container)

    const { hits } = await scanDirectory(home, [value])
    container.signal('TERM')
    await ended

    expect(hits).toEqual([])
    expect(said.split('\n')[0]?.trim()).toBe(`${value.bytes.length}`)
  })

  test('that dies of a signal says which', async () => {
    const container = await shell('c1', 'sleep 1000')
    const { ended } = await start(container)

    container.signal('KILL')

    expect(await ended).toEqual({ exitCode: 137, signal: 'KILL' })
    container.signal('TERM')
    container.signal('NO-SUCH')
  })

  test('takes along what it started, and leaves no directory', async () => {
    const container = await shell('c1', 'sleep 1000 & echo $!; wait')
    const { ended } = await start(container)
    const child = Number(await firstSaidBy(container))
    expect(isAlive(child)).toBe(true)

    await container.destroy()

    await ended
    await eventually(() => !isAlive(child))
    expect(readdirSync(directory)).toEqual([])
    await container.destroy()
    const again = await shell('c1', 'true')
    expect((await run(again)).exit).toEqual({ exitCode: 0 })
  })

  test('that is not there is refused, and so are no program and a name that is taken', async () => {
    const missing = await runtime.create(specOf('c1', '/no/such/program'))
    await expect(missing.start(() => undefined)).rejects.toThrow(ContainerRefused)
    await expect(runtime.create(specOf('c1', '/bin/true'))).rejects.toThrow(
      'there is a container c1',
    )
    await expect(runtime.create(specOf('c2'))).rejects.toThrow('there is no program to run')
    await expect(runtime.create(specOf('c3', ''))).rejects.toThrow(ContainerRefused)
  })

  test('threat:DL-07: has no files for secrets, no image, no URIs and no sessions, and says so', async () => {
    const container = await shell('c1', 'true')
    const { host } = container

    await expect(host.mountTmpfs(4096, 1)).rejects.toThrow(HostFailed)
    const planted = canary('file')
    const bytes = new Redacted(utf8(planted.text))
    await expect(host.writeFile('x', bytes, 0o400, user)).rejects.toThrow(HostFailed)
    // Where there is no tmpfs, nothing else takes its place: least of all a disk.
    const { hits } = await scanDirectory(directory, [planted])
    expect(hits).toEqual([])
    await expect(container.exec(['true'], {})).rejects.toThrow(ContainerRefused)
  })

  test('says the newest it said, and forgets it', async () => {
    runtime = new ProcessRuntime({ directory, outputSizeBytesMax: 1000 })
    const container = await shell(
      'c1',
      'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done',
    )

    const { said } = await run(container)

    // Whole pieces go, as the pipe gave them.
    expect(said.startsWith('line 0\n')).toBe(false)
    expect(said.endsWith('line 19999\n')).toBe(true)
    container.forgetOutput()
    expect(await saidBy(container)).toBe('')
  })

  test('that an agent which was killed left behind is ended by the next, with all that is its', async () => {
    const container = await shell('c1', 'sleep 1000')
    const { ended } = await start(container)
    const { pid } = JSON.parse(readFileSync(join(directory, 'c1/pid'), 'utf8')) as { pid: number }

    await new ProcessRuntime({ directory }).recover()

    expect(await ended).toEqual({ exitCode: 137, signal: 'KILL' })
    await eventually(() => !isAlive(pid))
    expect(readdirSync(directory)).toEqual([])
  })

  test('that only has the pid of one that was left behind goes on', async () => {
    const other = spawn('/bin/sleep', ['1000'], { detached: true, stdio: 'ignore' })
    await once(other, 'spawn')
    const place = join(directory, 'old')
    mkdirSync(place)
    writeFileSync(join(place, 'pid'), JSON.stringify({ pid: other.pid, start: '1' }))
    mkdirSync(join(directory, 'odd'))
    writeFileSync(join(directory, 'odd/pid'), 'no JSON')

    await new ProcessRuntime({ directory }).recover()

    expect(isAlive(other.pid ?? 0)).toBe(true)
    expect(existsSync(place)).toBe(false)
    other.kill('SIGKILL')
  })
})

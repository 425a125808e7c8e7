import type { Container, ContainerExit } from '@conclave/actors'
import { perform, type Plan } from '@conclave/isolators'
import { describeHost } from '@conclave/isolators/testing'
import { Redacted, utf8 } from '@conclave/kernel'
import { afterEach, describe, expect, test } from 'vitest'
import type { MemoryContainer } from './memory-container.ts'
import { MemoryRuntime } from './memory-runtime.ts'
import {
  createContainer,
  describeRuntime,
  said,
  started,
  task,
  textOf,
} from './runtime.contract.ts'

const root = { uid: 0, gid: 0 }
const canary = 'cnry7h3kq2vx9m4tz8wn5bpd6gjr0fsl'

let runtimes: MemoryRuntime[] = []
afterEach(() => {
  for (const runtime of runtimes) runtime.destroyAll()
  runtimes = []
})

function runtimeWith(options: ConstructorParameters<typeof MemoryRuntime>[0] = {}): MemoryRuntime {
  const runtime = new MemoryRuntime(options)
  runtimes.push(runtime)
  return runtime
}

/** A container as the runtime itself sees it. */
function inside(runtime: MemoryRuntime): MemoryContainer {
  const container = [...runtime.containers.values()].at(-1)
  if (container === undefined) throw new Error('there is no container')
  return container
}

/** Every buffer that can be reached from `start`: what a heap dump would show of it. */
function buffersIn(start: unknown): Buffer[] {
  const seen = new Set<unknown>()
  const buffers: Buffer[] = []
  const waiting: unknown[] = [start]
  for (let next = waiting.pop(); waiting.length > 0 || next !== undefined; next = waiting.pop()) {
    if (typeof next !== 'object' || next === null || seen.has(next)) continue
    seen.add(next)
    if (Buffer.isBuffer(next)) buffers.push(next)
    else if (next instanceof Map) waiting.push(...next.values())
    else if (next instanceof Set) waiting.push(...next)
    else waiting.push(...Object.values(next))
  }
  return buffers
}

const holding = (buffers: readonly Buffer[], text: string): number =>
  buffers.filter((buffer) => buffer.includes(text)).length

const secretPlan: Plan = [
  { do: 'mount-tmpfs', sizeBytes: 4096, inodes: 64 },
  { do: 'write-file', name: '0', bytes: new Redacted(utf8(canary)), mode: 0o400, owner: task },
  { do: 'bind-file', name: '0', at: '/run/secrets/db', isReadOnly: true },
  { do: 'set-env', name: 'DB', value: new Redacted(utf8(canary)) },
]
/** Plans wipe what they carry, so each test has its own. */
const freshPlan = (): Plan =>
  secretPlan.map((step): Plan[number] => {
    if (step.do === 'write-file') return { ...step, bytes: new Redacted(utf8(canary)) }
    return step.do === 'set-env' ? { ...step, value: new Redacted(utf8(canary)) } : step
  })

describeRuntime('memory', () => new MemoryRuntime())

describeHost('a memory container', () => {
  const runtime = runtimeWith()
  void runtime.create({ containerId: 'c', hostname: 'box', argv: ['true'], user: task })
  const container = inside(runtime)
  return {
    host: container,
    file: (at) => {
      try {
        const handle = container.fs.open(at, {}, root)
        const { mode, sizeBytes } = handle.stat()
        const bound = container.fs.boundFiles.find((file) => file.at === at)
        const bytes = handle.read(0, sizeBytes)
        return { bytes, mode, isReadOnly: bound?.isReadOnly ?? false }
      } catch {
        return undefined
      }
    },
    variable: (name) => {
      const value = container.variable(name)
      return typeof value === 'string' ? utf8(value) : value
    },
  }
})

describe('what a container leaves', () => {
  test('MR1: its tmpfs is a volume of its own, and is overwritten in place when it goes', async () => {
    const runtime = runtimeWith()
    const container = await createContainer(runtime, 'cat /run/secrets/db | wc -c', freshPlan())
    const { tmpfs, fs } = inside(runtime)
    const ofTmpfs = buffersIn(tmpfs?.storage.contents.volume)
    expect(holding(ofTmpfs, canary)).toBe(1)
    expect(fs.storage.contents.volume).toBeUndefined()

    await started(container)
    await container.destroy()

    expect(holding(ofTmpfs, canary)).toBe(0)
    expect(tmpfs?.storage.contents.volume).toBeUndefined()
  })

  test('MR1: copies that the task made, grew and deleted are overwritten, too', async () => {
    const runtime = runtimeWith()
    const script = `cp /run/secrets/db copy; echo $DB > grown
      i=0; while [ $i -lt 200 ]; do echo more-and-more-of-it >> grown; i=$((i+1)); done
      echo $DB > deleted; rm deleted; echo ready; sleep 3600`
    const container = await createContainer(runtime, script, freshPlan())
    const exit = started(container)
    await said(container, 'ready')
    const { volume } = inside(runtime).fs.storage.contents
    const buffers = buffersIn(volume)
    expect(holding(buffers, canary)).toBe(2)

    await container.destroy()
    await exit

    expect(holding(buffers, canary)).toBe(0)
  })

  test('MR1: variables are overwritten, and the runtime knows nothing more of it', async () => {
    const runtime = runtimeWith()
    const container = await createContainer(runtime, 'sleep 3600', freshPlan())
    const variable = inside(runtime).variable('DB')
    const exit = started(container)

    await container.destroy()
    await exit

    expect(variable).toEqual(new Uint8Array(canary.length))
    expect(runtime.containers.size).toBe(0)
    expect(holding(buffersIn(runtime), canary)).toBe(0)
  })

  test('MR1: so it is with all of them at once, without waiting', async () => {
    const runtime = runtimeWith()
    const container = await createContainer(runtime, 'cat /run/secrets/db; sleep 3600', freshPlan())
    const exit = started(container)
    await said(container, canary)
    const buffers = buffersIn(inside(runtime).tmpfs?.storage.contents.volume)

    runtime.destroyAll()

    expect(holding(buffers, canary)).toBe(0)
    expect(await exit).toMatchObject({ exitCode: 137 })
    expect(await textOf(container.output({ follow: false }, new AbortController().signal))).toBe('')
  })

  test('MR1: a plan that fails leaves the container without anything of it', async () => {
    const runtime = runtimeWith()
    const container = await createContainer(runtime, 'true')
    const plan: Plan = [...freshPlan(), { do: 'bind-file', name: '9', at: '/x', isReadOnly: true }]

    await expect(perform(plan, container.host)).rejects.toMatchObject({
      code: 'isolator.placement-failed',
    })

    expect(holding(buffersIn(inside(runtime)), canary)).toBe(0)
  })
})

const spinning = (runtime: MemoryRuntime): Promise<Container> =>
  createContainer(runtime, 'while :; do :; done')

describe('many containers', () => {
  test('MR2: one that spins stalls neither the event loop nor its neighbours', async () => {
    const runtime = runtimeWith()
    const spinners = await Promise.all(Array.from({ length: 20 }, () => spinning(runtime)))
    const exits = spinners.map(started)
    let turns = 0
    let isOver = false
    const count = (): void => {
      turns++
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)

    const neighbour = await createContainer(
      runtime,
      'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo done',
    )
    expect(await started(neighbour)).toEqual({ exitCode: 0 })
    isOver = true

    expect(turns).toBeGreaterThan(3)
    for (const container of spinners) container.signal('KILL')
    expect(await Promise.all(exits)).toEqual(
      spinners.map((): ContainerExit => ({ exitCode: 137, signal: 'KILL' })),
    )
  })

  test('MR2: one that floods its output keeps the newest, and says how much is gone', async () => {
    const runtime = runtimeWith({ limits: { outputSizeBytesMax: 8192 } })
    const container = await createContainer(runtime, 'yes | head -c 100000; echo; echo last')

    await started(container)
    const text = await textOf(container.output({ follow: false }, new AbortController().signal))

    expect(text.length).toBeLessThan(8300)
    expect(text.endsWith('last\n')).toBe(true)
  })

  test('MR2: an exec that does not read its input is ended before that fills the process', async () => {
    const runtime = runtimeWith()
    const container = await createContainer(runtime, 'echo ready; sleep 3600')
    const exit = started(container)
    await said(container, 'ready')
    const exec = await container.exec(['sleep', '3600'], {})

    for (let count = 0; count < 20; count++) exec.write(new Uint8Array(1_048_576))

    expect(await exec.exit).toMatchObject({ signal: 'KILL' })
    container.signal('KILL')
    await exit
  })

  test('MR3: a container that fills its volume gets ENOSPC, and its neighbour does not', async () => {
    const runtime = runtimeWith({ limits: { volumeSizeBytesMax: 65_536 } })
    const full = await createContainer(runtime, 'head -c 70000 /dev/zero > /tmp/big || echo full')
    const other = await createContainer(runtime, 'head -c 60000 /dev/zero > /tmp/big && echo fits')
    await Promise.all([started(full), started(other)])
    const never = new AbortController().signal

    expect(await textOf(full.output({ follow: false }, never))).toBe('full\n')
    expect(await textOf(other.output({ follow: false }, never))).toBe('fits\n')
  })

  test('MR4: a thousand, each with a secret of its own, run at once and give it back', async () => {
    const runtime = runtimeWith()
    const containers = await Promise.all(
      Array.from({ length: 1000 }, async (_, index) => {
        const bytes = new Redacted(utf8(`secret-${index}`))
        return createContainer(runtime, 'cat /run/secrets/db; sleep 3600', [
          { do: 'mount-tmpfs', sizeBytes: 4096, inodes: 8 },
          { do: 'write-file', name: '0', bytes, mode: 0o400, owner: task },
          { do: 'bind-file', name: '0', at: '/run/secrets/db', isReadOnly: true },
        ])
      }),
    )
    const exits = containers.map(started)

    const seen = await Promise.all(containers.map((one, index) => said(one, `secret-${index}`)))

    expect(seen).toEqual(containers.map((_, index) => `secret-${index}`))
    expect(runtime.containers.size).toBe(1000)
    runtime.destroyAll()
    await Promise.all(exits)
    expect(runtime.containers.size).toBe(0)
  })
})

describe('MR14: what stands beside a program in Mesos', () => {
  const look =
    'cat /proc/[2-9]*/cmdline; ps -ef | cat; cat /proc/2/environ; echo; cat /proc/3/environ'
  const helpers = new Redacted([
    { argv: ['mesos-containerizer', 'launch'], env: { INFO: `of root ${canary}` }, isRoot: true },
    {
      argv: ['mesos-executor', `--task_environment=${canary}`],
      env: { OWN: 'own' },
      isRoot: false,
    },
  ])
  const saidOf = async (user: typeof task, more: object): Promise<string> => {
    const runtime = runtimeWith()
    const container = await runtime.create({
      containerId: 'c',
      hostname: 'h',
      argv: ['sh', '-c', look],
      user,
      ...more,
    })
    await container.start(() => undefined)
    const { promise, resolve } = Promise.withResolvers<void>()
    const output: string[] = []
    void (async () => {
      for await (const { bytes } of container.output(
        { follow: true },
        new AbortController().signal,
      ))
        output.push(Buffer.from(bytes).toString())
      resolve()
    })()
    await promise
    await container.destroy()
    return output.join('')
  }

  test('is shown where a spec has it: arguments to all, environments to root and to their user', async () => {
    const [ofTask, ofRoot] = [
      await saidOf(task, { helpers }),
      await saidOf({ ...root, name: 'root' }, { helpers }),
    ]

    for (const one of [ofTask, ofRoot]) {
      expect(one).toContain('mesos-containerizer launch')
      expect(one).toContain(`--task_environment=${canary}`)
      expect(one).toContain('OWN=own')
    }
    expect(ofTask).not.toContain('INFO=')
    expect(ofTask).toContain('Permission denied')
    expect(ofRoot).toContain(`INFO=of root ${canary}`)
  })

  test('is not there where it has not', async () => {
    const shown = await saidOf({ ...root, name: 'root' }, {})

    expect(shown).toContain('ps -ef')
    expect(shown).not.toContain('mesos-')
    expect(shown).not.toContain(canary)
  })
})

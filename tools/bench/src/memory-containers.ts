import type { Container } from '@conclave/actors'
import { perform, type Plan } from '@conclave/isolators'
import { Redacted } from '@conclave/kernel'
import { MemoryRuntime } from '@conclave/runtime/memory'
import { median, type Result } from './result.ts'

const user = { name: 'task', uid: 1000, gid: 1000 }

/** Plans wipe what they carry, so each container has its own. */
const secretFile = (): Plan => [
  { do: 'mount-tmpfs', sizeBytes: 4096, inodes: 64 },
  {
    do: 'write-file',
    name: '0',
    bytes: new Redacted(new Uint8Array(Buffer.alloc(32, 0x61))),
    mode: 0o400,
    owner: user,
  },
  { do: 'bind-file', name: '0', at: '/run/secrets/password', isReadOnly: true },
]

/**
 * The memory runtime alone, in this process: no masters, no grants, no sealing. It says how many containers
 * the heap and the one thread of an agent can carry.
 */
export async function memoryContainers(count: number, execs: number): Promise<readonly Result[]> {
  const runtime = new MemoryRuntime()
  try {
    const before = residentMiB()
    const startedAt = performance.now()
    const containers: Container[] = []
    for (let n = 0; n < count; n++) containers.push(await startSleeping(runtime, `sleeping-${n}`))
    // In its turn, so after all of them have come as far as to sleep.
    await readSecret(containers.at(-1))
    const seconds = (performance.now() - startedAt) / 1000
    const grown = residentMiB() - before
    const times: number[] = []
    for (let n = 0; n < execs; n++) {
      const begunAt = performance.now()
      await readSecret(containers[Math.floor((n * count) / execs)])
      times.push(performance.now() - begunAt)
    }
    const what = `${count} sleeping containers in one process`
    return [
      { name: `${what}: all started`, value: seconds, unit: 's' },
      { name: `${what}: memory`, value: grown, unit: 'MiB more' },
      { name: `${what}: exec, median of ${execs}`, value: median(times), unit: 'ms' },
    ]
  } finally {
    runtime.destroyAll()
  }
}

async function startSleeping(runtime: MemoryRuntime, containerId: string): Promise<Container> {
  const argv = ['sh', '-c', 'exec sleep 100000']
  const container = await runtime.create({ containerId, hostname: 'bench', argv, user })
  await perform(secretFile(), container.host)
  await container.start(() => undefined)
  return container
}

/** Reads the secret from inside, which a container that has ended would refuse. */
async function readSecret(container: Container | undefined): Promise<void> {
  const exec = await container?.exec(['cat', '/run/secrets/password'], {})
  const end = await exec?.exit
  if (end?.exitCode !== 0) throw new Error('a container could not read its secret')
}

/** After a collection where Node was started with `--expose-gc`; otherwise garbage counts, too. */
function residentMiB(): number {
  globalThis.gc?.()
  return process.memoryUsage().rss / 1024 / 1024
}

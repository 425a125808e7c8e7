import { checkContainer, perform, planContainer, type Plan } from '@conclave/isolators'
import { Redacted, utf8 } from '@conclave/kernel'
import { CommandInfo, ContainerInfo, parseOurs } from '@conclave/model'
import { afterEach, describe, expect, test } from 'vitest'
import { MemoryRuntime } from './memory-runtime.ts'

const superuser = { uid: 0, gid: 0 }
const canary = 'cnry7h3kq2vx9m4tz8wn5bpd6gjr0fsl'
const secret = { type: 'REFERENCE', reference: { name: 'my_secret' } }

let runtime = new MemoryRuntime()
afterEach(() => {
  runtime.destroyAll()
  runtime = new MemoryRuntime()
})

const volume = (at: string, file: object) => ({
  mode: 'RO',
  container_path: at,
  source: { type: 'SECRET', secret },
  file,
})

/** As Docker's face has it: the same secret under two targets, root's and somebody's. */
const twoTargets = [
  volume('/run/secrets/my_secret', { mode: 0o444, uid: 0, gid: 0 }),
  volume('/run/secrets/mine', { mode: 0o400, uid: 1000, gid: 1001 }),
]

function planOf(volumes: readonly object[], text: string): Plan {
  const container = parseOurs(ContainerInfo, { type: 'MESOS', volumes })
  const checked = checkContainer(parseOurs(CommandInfo, { value: 'true' }), container)
  const values = volumes.map(() => new Redacted(utf8(text)))
  return planContainer(checked, { owner: superuser, environment: new Map() }, values)
}

/** What a script says in a container that runs as root, as Docker's do. */
async function said(script: string): Promise<string> {
  const user = { name: 'root', uid: 0, gid: 0 }
  const argv = ['sh', '-c', script]
  const container = await runtime.create({ containerId: 'c', hostname: 'box', argv, user })
  await perform(planOf(twoTargets, 's3cr3t\n'), container.host)
  await container.start(() => {})
  let text = ''
  for await (const { bytes } of container.output({ follow: true }, AbortSignal.timeout(5000))) {
    text += Buffer.from(bytes).toString()
  }
  await container.destroy()
  return text
}

describe('the files of a container of Docker', () => {
  test('MR12: look as the original shows them: B4 of the reference', async () => {
    expect(await said('ls -l /run/secrets/my_secret')).toMatch(
      /^-r--r--r--\s+1 root\s+root\s+7 .*\/run\/secrets\/my_secret\n$/,
    )
    expect(await said('stat -c "%a %u %g %F" /run/secrets')).toBe('755 0 0 directory\n')
    expect(await said('mount | grep secrets')).toBe(
      'tmpfs on /run/secrets/my_secret type tmpfs (ro,relatime)\n' +
        'tmpfs on /run/secrets/mine type tmpfs (ro,relatime)\n',
    )
  })

  test('MR12: one secret under two targets is two files, each with its own mode and owner', async () => {
    const script = 'stat -c "%a %u:%g" /run/secrets/my_secret /run/secrets/mine; cat /run/secrets/*'
    expect(await said(script)).toBe('444 0:0\n400 1000:1001\ns3cr3t\ns3cr3t\n')
  })

  test('MR9: cannot be written to or removed, by root either', async () => {
    expect(await said('echo x > /run/secrets/my_secret; true')).toContain('Read-only file system')
    expect(await said('rm -f /run/secrets/my_secret')).toContain('Device or resource busy')
  })
})

describe('MR13: a file that another takes the place of', () => {
  const user = { name: 'root', uid: 0, gid: 0 }

  async function withFile() {
    const argv = ['sleep', '3600']
    const container = await runtime.create({ containerId: 'c', hostname: 'box', argv, user })
    await perform(planOf(twoTargets, canary), container.host)
    const inside = [...runtime.containers.values()].at(-1)
    if (inside === undefined) throw new Error('there is no container')
    const open = (at: string) => inside.fs.open(at, {}, superuser)
    const read = (at: string) => Buffer.from(open(at).read(0, 100)).toString()
    return { container, inside, open, read }
  }

  test('is read as it was by whoever has it open, and as it is by whoever opens it', async () => {
    const { container, open, read } = await withFile()
    const before = open('/run/secrets/my_secret')
    const half = before.read(0, 16)

    await container.host.replaceFile('0', new Redacted(utf8('new')))

    expect(Buffer.from([...half, ...before.read(16, 16)]).toString()).toBe(canary)
    expect(read('/run/secrets/my_secret')).toBe('new')
    expect(read('/run/secrets/mine')).toBe(canary)
  })

  test('threat:DL-10: is never read half old and half new, however often it is replaced', async () => {
    const script = 'for i in $(seq 200); do tr -d "\\n" < /run/secrets/my_secret; echo; done'
    const argv = ['sh', '-c', script]
    const container = await runtime.create({ containerId: 'c', hostname: 'box', argv, user })
    const letters = 'abcdefghijklmnopqrstuvwxyz'
    const contents = (at: number) => letters.charAt(at % 26).repeat(1000 + (at % 7) * 20_000)
    await perform(planOf(twoTargets, contents(0)), container.host)
    const inside = [...runtime.containers.values()].at(-1)
    await container.start(() => {})
    let text = ''
    let replaced = 0
    for await (const { bytes } of container.output({ follow: true }, AbortSignal.timeout(20_000))) {
      text += Buffer.from(bytes).toString()
      await container.host.replaceFile('0', new Redacted(utf8(contents(++replaced))))
    }

    expect(replaced).toBeGreaterThan(100)
    const torn = text.split('\n').filter((line) => new Set(line).size > 1)
    expect(torn).toEqual([])
    const { mode, uid, gid } = inside?.fs.stat('/run/secrets/my_secret', superuser) ?? {}
    expect({ mode: (mode ?? 0) & 0o777, uid, gid }).toEqual({ mode: 0o444, uid: 0, gid: 0 })
  })

  test('is overwritten when nobody has it open any more', async () => {
    const { container, inside, open } = await withFile()
    const { volume: kept } = inside.tmpfs?.storage.contents ?? {}
    const holding = () => JSON.stringify(kept?.toJSON()).split(canary).length - 1
    expect(holding()).toBe(2)
    const handle = open('/run/secrets/my_secret')
    await container.host.replaceFile('1', new Redacted(utf8('new')))
    await container.host.replaceFile('0', new Redacted(utf8('new')))
    expect(holding()).toBe(1)

    handle.close()

    expect(holding()).toBe(0)
  })

  test('keeps its mode, its owner and its being read-only, and grows as it must', async () => {
    const { container, inside, read } = await withFile()
    await container.host.replaceFile('1', new Redacted(utf8('x'.repeat(50_000))))

    const { mode, uid, gid, sizeBytes } = inside.fs.stat('/run/secrets/mine', superuser)
    expect({ mode, uid, gid, sizeBytes }).toEqual({
      mode: 0o400,
      uid: 1000,
      gid: 1001,
      sizeBytes: 50_000,
    })
    const write = () => inside.fs.open('/run/secrets/mine', { write: true }, superuser)
    expect(write).toThrow('Read-only file system')
    expect(read('/run/secrets/my_secret')).toBe(canary)
  })

  test('stays as it was when there is no room for both', async () => {
    const { container, read } = await withFile()
    const tooLarge = new Redacted(new Uint8Array(17 * 1_048_576))

    await expect(container.host.replaceFile('0', tooLarge)).rejects.toThrow('no space left')

    expect(read('/run/secrets/my_secret')).toBe(canary)
  })
})

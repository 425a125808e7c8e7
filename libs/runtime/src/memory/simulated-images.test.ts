import type { ContainerExit, ContainerUsage } from '@conclave/actors'
import { perform, type Plan } from '@conclave/isolators'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { CommandInfo, parseOurs } from '@conclave/model'
import { simulatedImage } from '@conclave/simulated-images'
import { canary, expectNoLeak } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { MemoryRuntime } from './memory-runtime.ts'

/* The scripts of simulated images, run where they are for. */

const secret = canary('database')
const root = { name: 'root', uid: 0, gid: 0 }
let runtime: MemoryRuntime
afterEach(() => runtime?.destroyAll())

interface Started {
  /** What it has said once it said `text`. */
  says(text: string): Promise<string>
  readonly exit: Promise<ContainerExit>
  signal(name: string): void
  askToEnd(): void
  usage(): ContainerUsage | undefined
  exec(...argv: string[]): Promise<{ readonly said: string; readonly exitCode: number }>
}

const missing = (name: string): never => {
  throw new Error(`there is no image ${name}`)
}

/** Starts an image as Docker would, with `args` behind its entrypoint. */
async function start(
  name: string,
  args: readonly string[] = [],
  {
    env = {},
    file,
    user = root.name,
    workdir,
  }: {
    env?: Readonly<Record<string, string>>
    file?: Redacted<Uint8Array>
    user?: string
    workdir?: string
  } = {},
): Promise<Started> {
  runtime = new MemoryRuntime({
    images: {
      provision: async (wanted) => simulatedImage(wanted.name, 'any')?.root ?? missing(wanted.name),
    },
  })
  const asked = { shell: false, docker_arguments: true, arguments: args, user }
  const command = parseOurs(CommandInfo, asked)
  // As an agent has it, which does not know what is in an image.
  const spec = {
    containerId: 'c',
    hostname: 'box',
    argv: [],
    command,
    user: user === root.name ? root : { name: user, uid: 1000, gid: 1000 },
    ...(workdir !== undefined && { workdir }),
  }
  const container = await runtime.create(spec)
  const ofFile: Plan =
    file === undefined
      ? []
      : [
          { do: 'mount-tmpfs', sizeBytes: 4096, inodes: 4 },
          { do: 'write-file', name: '1', bytes: file, mode: 0o400, owner: root },
          { do: 'bind-file', name: '1', at: '/run/secrets/value', isReadOnly: true },
        ]
  await perform(
    [
      { do: 'provision-image', image: { name, isCached: true, dockerConfig: undefined } },
      ...ofFile,
      ...Object.entries(env).map(([key, value]) => ({ do: 'set-env', name: key, value }) as const),
    ],
    container.host,
  )
  const { promise: exit, resolve } = Promise.withResolvers<ContainerExit>()
  await container.start(resolve)
  return {
    exit,
    signal: (signal) => container.signal(signal),
    askToEnd: () => container.askToEnd(),
    usage: () => container.usage(),
    says: async (text) => {
      let said = ''
      for await (const { bytes } of container.output(
        { follow: true },
        new AbortController().signal,
      )) {
        said += utf8Text(bytes)
        if (said.includes(text)) return said
      }
      return expect.unreachable(`it ended, and had said ${said}`)
    },
    exec: async (...argv) => {
      const exec = await container.exec(argv, {})
      exec.endInput()
      let said = ''
      for await (const { bytes } of exec.output(new AbortController().signal)) {
        said += utf8Text(bytes)
      }
      return { said, exitCode: (await exec.exit).exitCode }
    },
  }
}

describe('IM4: a simulated image runs', () => {
  test.each([
    ['nginx', 'it serves nothing'],
    ['redis', 'Ready to accept connections'],
    ['somebody/something:3', 'is simulated by Conclave'],
  ])('%s, says that it is simulated, and ends when it is told to', async (name, text) => {
    const container = await start(name)
    expect(await container.says(text)).toContain('simulated by Conclave')
    container.signal('TERM')
    expect(await container.exit).toEqual({ exitCode: 0 })
  })

  test.each([
    ['nginx', 'start worker', 'signal 3 (SIGQUIT) received, shutting down'],
    ['redis', 'Ready to accept', 'SIGTERM'],
  ])('MR16: %s is asked to end as its image wants it', async (name, begins, ends) => {
    const container = await start(name)
    await container.says(begins)
    container.askToEnd()
    expect(await container.says(ends)).toContain(ends)
    expect(await container.exit).toEqual({ exitCode: 0 })
  })

  test('MR16: and says what it has used', async () => {
    const container = await start('eon01/infinite', [], { file: new Redacted(utf8('hello')) })
    const before = container.usage()
    await container.exec(
      'sh',
      '-c',
      'head -c 3000 /dev/zero > /tmp/file; cat /tmp/file; rm /tmp/file',
    )
    await container.exec('sh', '-c', 'head -c 2000 /dev/zero > /tmp/file')
    const after = container.usage()

    expect(after).toMatchObject({ processes: before?.processes, processesMax: 64 })
    expect(after?.memoryBytes).toBe((before?.memoryBytes ?? 0) + 2000)
    expect(after?.writtenBytes).toBe((before?.writtenBytes ?? 0) + 5000)
    expect(after?.readBytes).toBeGreaterThanOrEqual((before?.readBytes ?? 0) + 3000)
    expect(after?.cpuMs).toBeGreaterThan(before?.cpuMs ?? 0)
    // Its secret file has a page in the tmpfs.
    expect(before?.memoryBytes).toBeGreaterThanOrEqual(4096)
    expect(after?.memoryBytesMax).toBe(8 * 1_048_576 + 4096)
  })

  test('eon01/infinite, which says nothing and stays, with a shell beside it', async () => {
    const container = await start('eon01/infinite')
    const { said, exitCode } = await container.exec('cat', '/etc/conclave-simulated')
    expect({ said, exitCode }).toMatchObject({ exitCode: 0 })
    expect(said).toContain('This is not eon01/infinite.')
    expect((await container.exec('ls', '/bin')).said).toContain('cat\n')
  })

  test('busybox with arguments in the place of its command', async () => {
    const container = await start('busybox', ['echo', 'hello', 'you'])
    expect(await container.says('you')).toBe('hello you\n')
    expect(await container.exit).toEqual({ exitCode: 0 })
  })

  test.each([
    ['busybox', '/'],
    ['redis', '/data'],
  ])('%s where it says, or else at the root: %s', async (name, directory) => {
    const container = await start(name, ['sh', '-c', 'pwd; exec sleep 100'])
    expect(await container.says('\n')).toBe(`${directory}\n`)
    expect((await container.exec('pwd')).said).toBe(`${directory}\n`)
  })

  test('whatever it is told to of any image, where there is such a program', async () => {
    const container = await start('some/tool', ['echo', 'hello'])
    expect(await container.says('hello')).toBe('hello\n')
  })
})

describe('RT21: a container that is begun as Docker begins it', () => {
  const ids = ['sh', '-c', 'echo "$(id -u):$(id -g) $(pwd)"; exec sleep 100']

  test.each([
    ['nginx', 'nginx', '101:101'],
    ['nginx', 'www-data:nginx', '33:101'],
    ['busybox', '77:88', '77:88'],
    ['busybox', '1000', '1000:0'],
    ['busybox', 'root', '0:0'],
  ])('runs %s as %s, as its own files have it', async (name, user, shown) => {
    const container = await start(name, ids, { user })
    expect(await container.says('\n')).toBe(`${shown} /\n`)
    // And so does what is run beside it.
    expect((await container.exec('sh', '-c', 'echo "$(id -u):$(id -g)"')).said).toBe(`${shown}\n`)
  })

  test('is not begun as a user that its files do not have', async () => {
    await expect(start('busybox', ids, { user: 'nginx' })).rejects.toMatchObject({
      code: 'container.refused',
      message: 'unable to find user nginx: no matching entries in passwd file',
    })
  })

  test('begins in the directory that it is told, which is made, in the place of the image’s', async () => {
    const container = await start('redis', ids, { workdir: '/srv/of/mine' })
    expect(await container.says('\n')).toBe('0:0 /srv/of/mine\n')
    expect((await container.exec('pwd')).said).toBe('/srv/of/mine\n')
    await expect(start('redis', ids, { workdir: 'srv' })).rejects.toMatchObject({
      message: "the working directory 'srv' is invalid, it needs to be an absolute path",
    })
  })

  test.each([
    ['nosuch', 'exec: "nosuch": executable file not found in $PATH'],
    ['/no/such', 'exec: "/no/such": stat /no/such: no such file or directory'],
    ['/etc/passwd', 'exec: "/etc/passwd": permission denied'],
  ])('is not begun without its program: %s', async (program, why) => {
    await expect(start('busybox', [program])).rejects.toMatchObject({
      code: 'container.refused',
      message: `OCI runtime create failed: runc create failed: unable to start container process: ${why}: unknown`,
    })
  })
})

describe('IM5: a simulated image looks for its secrets', () => {
  test('postgres takes its password from a file, and never says it', async () => {
    const file = new Redacted(utf8(secret.text))
    const env = { POSTGRES_PASSWORD_FILE: '/run/secrets/value' }
    const container = await start('postgres:17', [], { env, file })
    const said = await container.says('ready to accept connections')
    expect(said).toContain(
      'The password was taken from POSTGRES_PASSWORD_FILE, which is /run/secrets/value.',
    )
    expectNoLeak({ said }, [secret])
    expect((await container.exec('pg_isready')).exitCode).toBe(0)
    container.signal('INT')
    expect(await container.exit).toEqual({ exitCode: 0 })
  })

  test.each([
    ['no password', {}, 'superuser password is not specified'],
    ['a file that is not there', { POSTGRES_PASSWORD_FILE: '/run/secrets/no' }, 'No such file'],
    ['both', { POSTGRES_PASSWORD: 'x', POSTGRES_PASSWORD_FILE: '/x' }, 'both POSTGRES_PASSWORD'],
  ])('postgres with %s does not start', async (_, env, text) => {
    const container = await start('postgres', [], { env })
    await container.says(text)
    expect(await container.exit).toEqual({ exitCode: 1 })
  })

  test('redis says that a password is required, and not which', async () => {
    const container = await start('redis', ['--requirepass', secret.text])
    const said = await container.says('Ready to accept connections')
    expect(said).toContain('a password is required: yes')
    expectNoLeak({ said }, [secret])
    expect((await container.exec('redis-cli', 'ping')).said).toBe('PONG\n')
  })

  test('nginx ends when a certificate that it is to use is not there', async () => {
    const configure = `printf 'server {\\n  ssl_certificate_key /run/secrets/value;\\n}\\n' >/etc/nginx/conf.d/site.conf; exec nginx`
    const without = await start('nginx', ['sh', '-c', configure])
    await without.says('cannot load certificate "/run/secrets/value"')
    expect(await without.exit).toEqual({ exitCode: 1 })

    const file = new Redacted(utf8(secret.text))
    const provided = await start('nginx', ['sh', '-c', configure], { file })
    expectNoLeak({ said: await provided.says('start worker processes') }, [secret])
  })
})

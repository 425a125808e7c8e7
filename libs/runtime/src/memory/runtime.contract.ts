import { createHash } from 'node:crypto'
import type {
  Container,
  ContainerExit,
  ContainerRuntime,
  ExecHow,
  OutputChunk,
} from '@conclave/actors'
import { perform, planCleanup, sandboxDirectory, type Plan } from '@conclave/isolators'
import { Redacted, utf8 } from '@conclave/kernel'
import { afterAll, describe, expect, test } from 'vitest'

export const task = { name: 'task', uid: 1000, gid: 1000 }

/** Made without running anything. Environment and secrets are what `plan` says. */
export async function createContainer(
  runtime: ContainerRuntime,
  script: string,
  plan: Plan = [],
): Promise<Container> {
  const containerId = `c-${++made}`
  const argv = ['sh', '-c', script]
  const container = await runtime.create({ containerId, hostname: 'box', argv, user: task })
  const path = { do: 'set-env', name: 'PATH', value: '/usr/bin:/bin' } as const
  await perform([path, ...plan], container.host)
  return container
}

let made = 0

export const started = (container: Container): Promise<ContainerExit> =>
  new Promise((resolve, reject) => {
    container.start(resolve).catch(reject)
  })

/** All that is said on one stream until it ends. */
export async function textOf(
  output: AsyncIterable<OutputChunk>,
  stream: OutputChunk['stream'] = 'stdout',
): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const chunk of output) if (chunk.stream === stream) parts.push(chunk.bytes)
  return Buffer.concat(parts).toString()
}

/** Resolves with what was said so far as soon as that has `wanted` in it. */
export async function said(container: Container, wanted: string): Promise<string> {
  let text = ''
  const closing = new AbortController()
  for await (const { bytes } of container.output({ follow: true }, closing.signal)) {
    text += Buffer.from(bytes).toString()
    if (text.includes(wanted)) closing.abort()
  }
  return text
}

const never = (): AbortSignal => new AbortController().signal

const fileAt = (name: string, bytes: Uint8Array, at: string, isReadOnly = true): Plan => [
  {
    do: 'write-file',
    name,
    bytes: new Redacted(bytes.slice()),
    mode: isReadOnly ? 0o400 : 0o600,
    owner: task,
  },
  { do: 'bind-file', name, at, isReadOnly },
]

const tmpfs = (sizeBytes: number): Plan => [{ do: 'mount-tmpfs', sizeBytes, inodes: 64 }]

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const pattern = (sizeBytes: number): Uint8Array =>
  Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 31 + (index >> 8)) & 255)

/** What every runtime promises. Its maker runs it: `describeRuntime('memory', () => new MemoryRuntime())`. */
export function describeRuntime(name: string, make: () => ContainerRuntime): void {
  describe(`${name} as a runtime`, () => {
    const runtime = make()
    afterAll(() => runtime.destroyAll())

    const run = async (
      script: string,
      plan: Plan = [],
    ): Promise<{ exit: ContainerExit; stdout: string; stderr: string }> => {
      const container = await createContainer(runtime, script, plan)
      const exit = await started(container)
      const stdout = await textOf(container.output({ follow: true }, never()))
      const stderr = await textOf(container.output({ follow: true }, never()), 'stderr')
      await container.destroy()
      container.forgetOutput()
      return { exit, stdout, stderr }
    }

    test('a program ends with its exit code, and both its streams are kept', async () => {
      expect(await run('echo out; echo err >&2; exit 7')).toEqual({
        exit: { exitCode: 7 },
        stdout: 'out\n',
        stderr: 'err\n',
      })
    })

    test('a program that is not there ends with 127', async () => {
      expect((await run('no-such-program')).exit).toEqual({ exitCode: 127 })
    })

    test('it runs in its sandbox, as its user, with exactly its environment', async () => {
      const plan: Plan = [{ do: 'set-env', name: 'GREETING', value: 'hällo wörld' }]
      const { stdout } = await run('pwd; id -u; id -g; hostname; env | sort', plan)

      expect(stdout.split('\n')).toEqual(
        expect.arrayContaining([sandboxDirectory, '1000', 'box', 'GREETING=hällo wörld']),
      )
      expect(stdout).not.toContain('HOME=')
    })

    test('what a plan prints is the head of its output', async () => {
      const plan: Plan = ['one', 'two'].map((line) => ({ do: 'print', line }))

      expect((await run('echo three', plan)).stdout).toBe('one\ntwo\nthree\n')
    })

    test('a secret variable arrives byte for byte', async () => {
      const value = utf8('quote \' double " dollar $x `tick` \\ ünïcode\nline two\n')
      const plan: Plan = [{ do: 'set-env', name: 'DB', value: new Redacted(value.slice()) }]

      expect((await run('printf %s "$DB" | sha256sum', plan)).stdout).toBe(`${digest(value)}  -\n`)
    })

    test.each([64, 65_536, 1_048_576])(
      'a secret file of %i bytes arrives byte for byte',
      async (size) => {
        const bytes = pattern(size)
        const plan = [...tmpfs(1_048_576), ...fileAt('0', bytes, `${sandboxDirectory}/keys/store`)]

        const { stdout } = await run('sha256sum < keys/store; wc -c < keys/store', plan)

        expect(stdout).toBe(`${digest(bytes)}  -\n${size}\n`)
      },
    )

    test('a read-only secret is its owner’s, and nobody can change, remove or replace it', async () => {
      const at = `${sandboxDirectory}/db`
      const plan = [...tmpfs(4096), ...fileAt('0', utf8('s3cr3t'), at)]
      const script = `stat -c '%a %u' db
        echo x 2>/dev/null > db || echo no-write
        rm -f db 2>/dev/null || echo no-remove
        mv db other 2>/dev/null || echo no-move
        echo x > new; mv -f new db 2>/dev/null || echo no-replace
        chmod 777 db 2>/dev/null || echo no-chmod
        ln db hard 2>/dev/null || echo no-link
        cat db`

      expect((await run(script, plan)).stdout).toBe(
        '400 1000\nno-write\nno-remove\nno-move\nno-replace\nno-chmod\nno-link\ns3cr3t',
      )
    })

    test('a writable secret can be rewritten, up to the size of its tmpfs', async () => {
      const plan = [...tmpfs(8192), ...fileAt('0', utf8('old'), `${sandboxDirectory}/db`, false)]
      const script = `printf new > db; cat db; head -c 9000 /dev/zero 2>/dev/null > db || echo " full"`

      expect((await run(script, plan)).stdout).toBe('new full\n')
    })

    test('secrets are shown as mounts, at paths of any kind', async () => {
      const plan = [...tmpfs(8192), ...fileAt('0', utf8('a'), '/run/secrets/a')]
      const { stdout } = await run('mount; cat /run/secrets/a', plan)

      expect(stdout).toMatch(/^\S+ on \/run\/secrets\/a type tmpfs \(ro,nosuid,nodev,noexec,/m)
      expect(stdout.endsWith('a')).toBe(true)
    })

    test('output streams while the program runs', async () => {
      const container = await createContainer(runtime, 'echo first; sleep 3600')
      const exit = started(container)

      expect(await said(container, 'first')).toBe('first\n')

      container.signal('KILL')
      expect(await exit).toEqual({ exitCode: 137, signal: 'KILL' })
    })

    test('SIGTERM can be caught, SIGKILL cannot', async () => {
      const container = await createContainer(
        runtime,
        "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 1; done",
      )
      const exit = started(container)
      await said(container, 'ready')
      container.signal('SIGTERM')
      expect(await exit).toEqual({ exitCode: 3 })
      expect(await textOf(container.output({ follow: false }, never()))).toBe('ready\ncaught\n')
    })

    test('a program that ignores SIGTERM ends with SIGKILL', async () => {
      const container = await createContainer(runtime, "trap '' TERM; echo ready; sleep 3600")
      const exit = started(container)
      await said(container, 'ready')
      container.signal('TERM')
      container.signal('KILL')

      expect(await exit).toMatchObject({ exitCode: 137 })
    })

    test('an exec sees the container, its secrets too, and has streams and an exit of its own', async () => {
      const plan: Plan = [
        ...tmpfs(4096),
        ...fileAt('0', utf8('s3cr3t'), `${sandboxDirectory}/db`),
        { do: 'set-env', name: 'DB', value: new Redacted(utf8('v4riable')) },
      ]
      const container = await createContainer(runtime, 'echo ready; sleep 3600', plan)
      const exit = started(container)
      await said(container, 'ready')

      const exec = await container.exec(['sh', '-c', 'cat db; echo " $DB $EXTRA"; cat; exit 4'], {
        EXTRA: 'more',
      })
      exec.write(utf8('typed\n'))
      exec.endInput()

      expect(await textOf(exec.output(never()))).toBe('s3cr3t v4riable more\ntyped\n')
      expect(await exec.exit).toEqual({ exitCode: 4 })
      expect(await textOf(container.output({ follow: false }, never()))).toBe('ready\n')
      container.signal('KILL')
      await exit
    })

    test('an exec can be signalled, and ends with its container', async () => {
      const container = await createContainer(runtime, 'echo ready; sleep 3600')
      const exit = started(container)
      await said(container, 'ready')
      const first = await container.exec(['sleep', '3600'], {})
      const second = await container.exec(['sleep', '3600'], {})

      first.signal('INT')
      expect(await first.exit).toMatchObject({ signal: 'INT' })
      container.signal('KILL')

      expect(await second.exit).toMatchObject({ signal: 'KILL' })
      await exit
      await expect(container.exec(['true'], {})).rejects.toMatchObject({
        code: 'container.refused',
      })
    })

    test('an exec is run by whoever and wherever it was asked for', async () => {
      const container = await createContainer(runtime, 'echo ready; sleep 3600')
      void started(container)
      await said(container, 'ready')
      const say = async (how: ExecHow, ...argv: string[]): Promise<string> =>
        textOf((await container.exec(argv, {}, how)).output(never()))

      expect(
        await say({ user: 'root', workdir: '/tmp' }, 'sh', '-c', 'id -u; pwd; echo $HOME'),
      ).toBe('0\n/tmp\n/root\n')
      expect(await say({ user: '77:88' }, 'sh', '-c', 'id -u; id -g')).toBe('77\n88\n')
      const refusals = [
        [{ user: 'nobody-here' }, ['true'], 126, 'unable to find user nobody-here'],
        [{ mustStart: true }, ['nosuch'], 127, 'executable file not found in $PATH'],
        [{ mustStart: true }, ['/etc/passwd'], 126, 'permission denied'],
        [{ mustStart: true, workdir: '/no/such' }, ['true'], 127, 'chdir to cwd ("/no/such")'],
      ] as const
      for (const [how, argv, exitCode, why] of refusals) {
        await expect(container.exec(argv, {}, how)).rejects.toMatchObject({
          code: 'container.program-refused',
          exitCode,
          message: expect.stringContaining(why) as string,
        })
      }
    })

    test('an exec on a terminal echoes, edits, and has a size', async () => {
      const container = await createContainer(runtime, 'echo ready; sleep 3600')
      void started(container)
      await said(container, 'ready')
      const terminal = { rows: 24, columns: 80 }
      const exec = await container.exec(
        ['sh', '-c', 'read a; stty size; echo $TERM $a'],
        {},
        { terminal },
      )

      exec.resize({ rows: 30, columns: 100 })
      exec.write(utf8('hallo\r'))

      expect(await textOf(exec.output(never()))).toBe('hallo\r\n30 100\r\nxterm hallo\r\n')
    })

    test('MR15: its own program reads where it may, with or without a terminal, whose size is told', async () => {
      const options = { hostname: 'box', user: task, hasInput: true }
      const typedInto = async (script: string, more: object): Promise<string> => {
        const containerId = `c-${++made}`
        const argv = ['sh', '-c', script]
        const container = await runtime.create({ ...options, containerId, argv, ...more })
        const path = { do: 'set-env', name: 'PATH', value: '/usr/bin:/bin' } as const
        await perform([path], container.host)
        const exit = started(container)
        container.resize({ rows: 30, columns: 100 })
        container.input?.write(utf8('hello\n'))
        await container.input?.taken()
        await exit
        container.resize({ rows: 1, columns: 1 })
        return textOf(container.output({ follow: true }, never()))
      }
      expect(await typedInto('read a; echo got $a', {})).toBe('got hello\n')
      const terminal = { rows: 24, columns: 80 }
      expect(await typedInto('read a; stty size; echo got $a', { terminal })).toBe(
        'hello\r\n30 100\r\ngot hello\r\n',
      )
      const silent = await createContainer(runtime, 'read a; echo got $a')
      await started(silent)
      expect(silent.input).toBeUndefined()
    })

    test('an exec waits for whoever reads it, and is waited for by whoever writes', async () => {
      const container = await createContainer(runtime, 'echo ready; sleep 3600')
      void started(container)
      await said(container, 'ready')
      const sizeBytes = 6 * 1024 * 1024
      const exec = await container.exec(['head', '-c', String(sizeBytes), '/dev/zero'], {})
      let seen = 0
      for await (const { bytes } of exec.output(never())) {
        seen += bytes.length
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(seen).toBe(sizeBytes)

      const reader = await container.exec(['sh', '-c', 'sleep 0.05; cat | wc -c'], {})
      const counted = textOf(reader.output(never()))
      for (let count = 0; count < 16; count++) {
        reader.write(new Uint8Array(64 * 1024))
        await reader.taken()
      }
      reader.endInput()
      expect((await counted).trim()).toBe(String(16 * 64 * 1024))
    })

    test('destroyed while it runs, it ends, and its output can still be read', async () => {
      const container = await createContainer(runtime, 'echo ready; sleep 3600')
      const exit = started(container)
      await said(container, 'ready')

      await container.destroy()
      await container.destroy()

      expect(await exit).toMatchObject({ exitCode: 137 })
      expect(await textOf(container.output({ follow: true }, never()))).toBe('ready\n')
      container.forgetOutput()
      expect(await textOf(container.output({ follow: true }, never()))).toBe('')
    })

    test('containers see nothing of each other', async () => {
      const plan = [...tmpfs(4096), ...fileAt('0', utf8('s3cr3t'), '/run/secrets/mine')]
      const mine = await createContainer(runtime, 'echo ready; sleep 3600', plan)
      const exit = started(mine)
      await said(mine, 'ready')

      const { stdout } = await run('ls /run/secrets 2>/dev/null; ps | grep -c sleep; touch /tmp/x')

      expect(stdout).not.toContain('mine')
      expect(stdout).toContain('0')
      mine.signal('KILL')
      await exit
      expect(planCleanup(plan)).toHaveLength(2)
    })

    test('one name is one container, and no program is none', async () => {
      const spec = { containerId: 'once', hostname: 'box', argv: ['true'], user: task }
      await runtime.create(spec)

      await expect(runtime.create(spec)).rejects.toMatchObject({ code: 'container.refused' })
      await expect(
        runtime.create({ ...spec, containerId: 'none', argv: [] }),
      ).rejects.toMatchObject({ code: 'container.refused' })
    })
  })
}

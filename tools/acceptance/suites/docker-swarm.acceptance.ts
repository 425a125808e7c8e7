import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deriveKek, parseUnlockKey } from '@conclave/crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import { canary, holdsKey, missingServer, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  conclaveProgram,
  DockerEngine,
  Home,
  runProgram,
  timesInMemory,
  until,
  type Outcome,
} from '../src/index.ts'

/*
 * Swarm membership with the real docker CLI: machines that are in no swarm, found one, join it, are locked and
 * unlocked, drained, and leave. Source: reference docker-swarm.md A2, A5, A6, A9.
 */

const why = missingServer('docker')
const secret = canary('swarm')
const outside = 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join"'
const service = 'app'

let home: Home
let one: DockerEngine
let two: DockerEngine
let three: DockerEngine

const swarmOf = (engine: DockerEngine): Promise<string> =>
  engine.out(['info', '--format', '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'])
const nodes = async (engine: DockerEngine): Promise<readonly string[]> =>
  (
    await engine.out([
      'node',
      'ls',
      '--format',
      '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}',
    ])
  )
    .split('\n')
    .map((line) => line.trim())
    .toSorted()
/** The command that was printed for others to type. */
const joinCommand = (printed: string): readonly string[] =>
  /docker (swarm join .*)$/m.exec(printed)?.[1]?.trim().split(' ') ?? []
const filesBelow = (directory: string): readonly Uint8Array[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name)))
const lastWord = (line: string): string => line.split(' ').at(-1) ?? ''

/** Where each task of the service runs. */
const running = async (engine: DockerEngine): Promise<readonly string[]> => {
  const format = ['--format', '{{.Node}} {{.CurrentState}}', '--filter', 'desired-state=running']
  const lines = (await engine.out(['service', 'ps', service, ...format])).split('\n')
  return lines.flatMap((line) => {
    const [node = '', state] = line.split(' ')
    return state === 'Running' ? [node] : []
  })
}

/** The task on a machine, and when its container was started. */
async function taskOn(node: string): Promise<readonly string[]> {
  const format = ['--format', '{{.ID}} {{.CurrentState}}', '--filter', 'desired-state=running']
  const line = await two.out(['node', 'ps', ...format, '--no-trunc', node])
  const [id = '', state = ''] = line.split(' ')
  const name = ['ps', '-q', '--filter', `name=${id}`]
  const inspected = ['inspect', '--format', '{{.State.StartedAt}}', await two.out(name)]
  return [id, state, await two.out(inspected)]
}
const roleOf = (node: string): Promise<string> =>
  two.out(['node', 'inspect', '--format', '{{.Spec.Role}} {{.ManagerStatus}}', node])

describe.skipIf(why !== undefined)(`DK30: machines of the docker CLI ${why ?? ''}`, () => {
  beforeAll(async () => {
    home = new Home()
    const started = ['one', 'two', 'three'].map((name) => DockerEngine.start(home, name))
    ;[one, two, three] = (await Promise.all(started)) as [DockerEngine, DockerEngine, DockerEngine]
  })
  afterAll(async () => {
    await Promise.all([one, two, three].map((engine) => engine?.stop()))
    home?.remove()
  })

  test('DK6: are in no swarm until they are told to', async () => {
    expect(await swarmOf(one)).toBe('inactive false')
    expect(await one.refusal(['secret', 'ls'])).toContain(outside)
    expect(await one.refusal(['node', 'ls'])).toContain(outside)
    expect(await one.refusal(['swarm', 'leave'])).toContain('This node is not part of a swarm')
    const broken = await one.refusal(['swarm', 'join', '--token', 'SWMTKN-1-xx', '127.0.0.1:1'])
    expect(broken).toBe('Error response from daemon: invalid join token')
  })

  test('found a swarm, and join it with the commands that are printed', async () => {
    const begun = await one.out(['swarm', 'init'])
    expect(begun).toMatch(/^Swarm initialized: current node \([0-9a-z]{25}\) is now a manager\./)
    const asManager = await one.out(['swarm', 'join-token', 'manager'])
    expect(await two.out(joinCommand(asManager))).toBe('This node joined a swarm as a manager.')
    expect(await three.out(joinCommand(begun))).toBe('This node joined a swarm as a worker.')

    const all = ['one Ready Active Leader', 'three Ready Active', 'two Ready Active Reachable']
    expect(await nodes(one)).toEqual(all)
    expect(await nodes(two)).toEqual(all)
    expect(await swarmOf(three)).toBe('active false')
    expect(await three.refusal(['secret', 'ls'])).toContain("Worker nodes can't be used to view")
    expect(await two.refusal(joinCommand(begun))).toContain('already part of a swarm')
  })

  test('refuse a token whose secret is wrong', async () => {
    const stranger = await DockerEngine.start(home, 'stranger')
    const [group = '', verb = '', flag = '', token = '', address = ''] = joinCommand(
      await one.out(['swarm', 'join-token', 'worker']),
    )
    const wrong = `${token.slice(0, -5)}aaaaa`
    expect(await stranger.refusal([group, verb, flag, wrong, address])).toBe(
      'Error response from daemon: rpc error: code = InvalidArgument desc = A valid join token is necessary to join this cluster',
    )
    expect(await swarmOf(stranger)).toBe('inactive false')
    await stranger.stop()
    expect(readdirSync(stranger.directory)).toEqual([])
  })

  test('EN3: run the tasks of a service with its secret, each on a machine of its own', async () => {
    await one.out(['secret', 'create', 'my_secret', '-'], secret.text)
    const wanted = ['--replicas', '3', '--secret', 'my_secret', '--no-resolve-image', '--detach']
    await two.out(['service', 'create', '--name', service, ...wanted, 'eon01/infinite'])
    await until('three tasks run, one on each machine', async () => {
      return (await running(one)).toSorted().join() === 'one,three,two'
    })
    // The search finds what is there: a task with the secret runs in this process.
    expect(timesInMemory(three.pid, [secret.text])[0]).toBeGreaterThan(0)
  })

  test('DK44: any manager leads into the containers of all of them', async () => {
    for (const engine of [one, two]) {
      const containers = (await engine.out(['ps', '-q', '--filter', `name=${service}`])).split('\n')
      expect(containers).toHaveLength(3)
      for (const container of containers) {
        const file = ['exec', container, 'cat', '/run/secrets/my_secret']
        expect(await engine.out(file)).toBe(secret.text)
        expect(await engine.out(['exec', '-i', container, 'wc', '-c'], 'x'.repeat(300_000))).toBe(
          '300000',
        )
      }
      const [container = ''] = containers
      expect(await engine.out(['top', container])).toContain('tail -f /dev/null')
      const there = `${container}:/tmp/copied`
      expect((await engine.docker(['cp', import.meta.filename, there])).code).toBe(0)
      expect(await engine.out(['cp', there, '-'])).toContain('DK44: any manager leads')
      await engine.out(['logs', container])
      await engine.out(['service', 'logs', service])
      const { code } = await engine.docker(['exec', container, 'sh', '-c', 'exit 7'])
      expect(code).toBe(7)
    }
  })

  test('WK14: a node that is drained is left, and nothing of a secret stays on it', async () => {
    await two.out(['node', 'update', '--availability', 'drain', 'three'])
    await until('its task runs elsewhere', async () => {
      const at = await running(two)
      return at.length === 3 && !at.includes('three')
    })
    await until('its memory holds nothing of the secret', () => {
      return timesInMemory(three.pid, [secret.text])[0] === 0
    })
    expect((await scanDirectory(three.directory, [secret])).hits).toEqual([])
    expect(await nodes(one)).toContain('three Ready Drain')
    await one.out(['node', 'update', '--availability', 'active', '--label-add', 'a=b', 'three'])
    const labels = ['node', 'inspect', '--format', '{{.Spec.Labels.a}}', 'three']
    expect(await two.out(labels)).toBe('b')
  })

  test('are demoted and promoted, by themselves too', async () => {
    expect(await one.out(['node', 'demote', 'two'])).toBe('Manager two demoted in the swarm.')
    await until(
      'two hears that it is a worker',
      async () => (await swarmOf(two)) === 'active false',
    )
    expect(await one.refusal(['node', 'demote', 'one'])).toContain(
      'attempting to demote the last manager of the swarm',
    )
    expect(await one.refusal(['node', 'rm', 'one'])).toContain(
      'It must be demoted to worker before removal',
    )
    expect(await one.refusal(['node', 'rm', 'two'])).toContain("is not down and can't be removed")
    expect(await one.out(['node', 'promote', 'two'])).toBe(
      'Node two promoted to a manager in the swarm.',
    )
    await until('two is a manager', async () => (await swarmOf(two)) === 'active true')
    await one.out(['node', 'demote', 'one'])
    await until('two leads', async () => (await nodes(two)).includes('two Ready Active Leader'))
    await two.out(['node', 'promote', 'one'])
    await until('one is a manager', async () => (await swarmOf(one)) === 'active true')
  })

  test('DK18: one that joined as a worker is promoted, votes when the leader is killed, and is demoted', async () => {
    await one.out(['service', 'update', '--force', '--detach', service])
    await until('three has a task again', async () => {
      const at = await running(two)
      return at.length === 3 && at.includes('three')
    })
    const [task, id] = [
      await taskOn('three'),
      await two.out(['node', 'inspect', '-f', '{{.ID}}', 'three']),
    ]
    expect(task[1]).toBe('Running')
    expect(await one.out(['node', 'promote', 'three'])).toBe(
      'Node three promoted to a manager in the swarm.',
    )
    expect(await roleOf('three')).toMatch(/^manager /)
    await until('three is a manager', async () => (await swarmOf(three)) === 'active true')
    expect(await nodes(three)).toHaveLength(3)
    expect(await nodes(three)).toContain('three Ready Active Reachable')
    expect(await three.out(['node', 'inspect', '-f', '{{.ID}}', 'self'])).toBe(id)
    expect(await three.out(['info', '-f', '{{.Swarm.Managers}} {{.Swarm.Nodes}}'])).toBe('3 3')

    // Its vote is counted on now: with two that answer the swarm goes on.
    const leads = (await nodes(two)).find((line) => line.endsWith('Leader'))?.split(' ')[0]
    const leader = leads === 'one' ? one : two
    const other = leader === two ? one : two
    await leader.kill()
    await until('another leads', async () => {
      return (await nodes(other)).some(
        (line) => line.endsWith('Leader') && !line.startsWith(leads ?? ''),
      )
    })
    await other.out(['secret', 'create', 'meanwhile', '-'], 'x')
    await other.out(['secret', 'rm', 'meanwhile'])
    await leader.restart()
    await until('it is back', async () => (await swarmOf(leader)) === 'active true')
    expect(await taskOn('three')).toEqual(task)
    await until('three tasks run', async () => (await running(two)).length === 3)
    const before = await taskOn('three')

    expect(await two.out(['node', 'demote', 'three'])).toBe('Manager three demoted in the swarm.')
    await until('three is a worker', async () => (await swarmOf(three)) === 'active false')
    expect(await roleOf('three')).toBe('worker <nil>')
    expect(await nodes(two)).toContain('three Ready Active')
    expect(await three.refusal(['secret', 'ls'])).toContain("Worker nodes can't be used to view")
    expect(await taskOn('three')).toEqual(before)
    await until('nothing of a master is on its disk', () => {
      const names = readdirSync(three.directory, { recursive: true }).map(String)
      return !names.some((name) => /kek\.key|journal|audit\.log/.test(name))
    })
    await three.kill()
    await three.restart()
    await until('it is a worker still', async () => (await swarmOf(three)) === 'active false')
    await until('its task runs again', async () => (await running(two)).includes('three'))
  })

  test('replace the root of all certificates, and the tokens with it', async () => {
    const before = await one.out(['swarm', 'ca'])
    const token = await one.out(['swarm', 'join-token', '-q', 'worker'])
    const rotated = await one.out(['swarm', 'ca', '--rotate'])
    expect(rotated).toContain('rotated TLS certificates:')
    const root = await two.out(['swarm', 'ca'])
    expect(rotated.endsWith(root)).toBe(true)
    expect(root).not.toBe(before)
    expect(await one.out(['swarm', 'join-token', '-q', 'worker'])).not.toBe(token)
  })

  test('DK31: wait for the unlock key when they start again, and go on with it', async () => {
    const printed = await one.out(['swarm', 'update', '--autolock=true'])
    const first = /SWMKEY-1-\S{43}/.exec(printed)?.[0] ?? ''
    expect(await two.out(['swarm', 'unlock-key', '-q'])).toBe(first)
    await one.out(['swarm', 'unlock-key', '--rotate', '-q'])
    const key = await one.out(['swarm', 'unlock-key', '-q'])
    expect(key).not.toBe(first)
    // Both masters have to have the newest key at work before they are killed.
    await until('every master has the newest key', async () => {
      const status = await runProgram(
        process.execPath,
        [conclaveProgram, 'cluster', 'keys', '--json'],
        {
          env: { ...home.environment, CONCLAVE_CONTEXT: `${one.directory}/context.json` },
        },
      )
      const { waitingFor } = JSON.parse(status.stdout) as { waitingFor: readonly string[] }
      return waitingFor.length === 0
    })

    await Promise.all([one.kill(), two.kill()])
    await Promise.all([one.restart(), two.restart()])
    expect(await swarmOf(one)).toBe('locked false')
    for (const args of [
      ['secret', 'ls'],
      ['node', 'ls'],
      ['service', 'ls'],
    ]) {
      expect(await one.refusal(args)).toContain('Swarm is encrypted and needs to be unlocked')
    }
    expect(await one.refusal(['swarm', 'unlock'], 'garbage\n')).toBe(
      'Error response from daemon: invalid key string',
    )
    expect(await one.refusal(['swarm', 'unlock'], `${first}\n`)).toBe(
      'Error response from daemon: swarm could not be unlocked: invalid key provided',
    )
    expect(await swarmOf(one)).toBe('locked false')

    await one.out(['swarm', 'unlock'], `${key}\n`)
    await two.out(['swarm', 'unlock'], `${key}\n`)
    await until('they lead again', async () => {
      return (await nodes(one)).some((line) => line.endsWith('Leader'))
    })
    expect(await one.out(['secret', 'ls', '--format', '{{.Name}}'])).toBe('my_secret')
    expect(await one.refusal(['swarm', 'unlock'], `${key}\n`)).toContain('swarm is not locked')
    await until('the service runs again', async () => (await running(two)).length === 3)
    const typed = [key, first].flatMap((text) => {
      const unlockKey = parseUnlockKey(new Redacted(utf8(text)))
      return [unlockKey.reveal(), deriveKek(unlockKey).key.bytes()]
    })
    for (const { directory, log } of [one, two]) {
      for (const bytes of filesBelow(directory)) {
        expect(typed.some((held) => holdsKey(bytes, held))).toBe(false)
      }
      expect(log).not.toContain(key)
    }
  })

  test('DK31: a worker that is promoted is locked as all managers are, until it is demoted', async () => {
    const key = await two.out(['swarm', 'unlock-key', '-q'])
    await two.out(['node', 'promote', 'three'])
    await until('three is a manager', async () => (await swarmOf(three)) === 'active true')
    await until('no key rests on its disk', () => {
      const names = readdirSync(three.directory, { recursive: true }).map(String)
      return (
        names.some((name) => name.endsWith('journal.keys')) &&
        !names.some((name) => name.endsWith('kek.key'))
      )
    })
    await three.kill()
    await three.restart()
    expect(await swarmOf(three)).toBe('locked false')
    await three.out(['swarm', 'unlock'], `${key}\n`)
    await until('three is a manager again', async () => (await swarmOf(three)) === 'active true')
    await two.out(['node', 'demote', 'three'])
    await until('three is a worker', async () => (await swarmOf(three)) === 'active false')
    await three.kill()
    await three.restart()
    await until('it needs no key', async () => (await swarmOf(three)) === 'active false')
    expect((await scanDirectory(three.directory, [secret])).hits).toEqual([])
  })

  test('leave, are shown as down, and are removed', async () => {
    expect(await three.out(['swarm', 'leave'])).toBe('Node left the swarm.')
    expect(await swarmOf(three)).toBe('inactive false')
    expect(readdirSync(three.directory)).toEqual(['docker.sock', 'lock'])
    await until('it is shown as down', async () => {
      return (await nodes(one)).some((line) => line.startsWith('three Down'))
    })
    await one.out(['node', 'rm', 'three'])
    expect((await nodes(two)).some((line) => line.startsWith('three'))).toBe(false)
  })

  test('hear that they were removed, while their agent still runs', async () => {
    await three.out(joinCommand(await one.out(['swarm', 'join-token', 'worker'])))
    await one.out(['service', 'scale', '--detach', `${service}=6`])
    await until('it has tasks', async () => (await running(one)).includes('three'))
    expect(await one.refusal(['node', 'rm', 'three'])).toContain("is not down and can't be removed")
    await one.out(['node', 'rm', '--force', 'three'])
    expect((await nodes(one)).some((line) => line.startsWith('three'))).toBe(false)
    await until('its tasks run elsewhere', async () => (await running(one)).length === 6)
    await until('it hears of it', async () => (await swarmOf(three)) === 'error false')
    await until('its memory holds nothing of the secret', () => {
      return timesInMemory(three.pid, [secret.text])[0] === 0
    })
    await three.out(['swarm', 'leave', '--force'])
    expect(await swarmOf(three)).toBe('inactive false')
  })

  test('leave as managers by force, and the last one with the swarm', async () => {
    expect(await two.refusal(['swarm', 'leave'])).toContain(
      'Removing this node leaves 1 managers out of 2.',
    )
    await two.out(['swarm', 'leave', '--force'])
    await until('one manager is left', async () => {
      return (await nodes(one)).filter((line) => line.includes('Leader')).length === 1
    })
    await one.out(['node', 'rm', 'two'])
    expect(await nodes(one)).toEqual(['one Ready Active Leader'])
    const { stderr } = await one.docker(['swarm', 'leave'])
    expect(stderr).toContain('Removing the last manager erases all current state of the swarm.')
    await one.out(['swarm', 'leave', '--force'])
    expect(await swarmOf(one)).toBe('inactive false')
    expect(readdirSync(one.directory).toSorted()).toEqual(['docker.sock', 'lock'])
  })
})

/** What both ends of TLS need. */
const make = (directory: string, ...args: readonly string[]): Promise<Outcome> =>
  runProgram(process.execPath, [conclaveProgram, 'docker', 'certs', '--data', directory, ...args], {
    env: home.environment,
  })

describe.skipIf(why !== undefined)(`DK19: a swarm that has lost its managers ${why ?? ''}`, () => {
  test('goes on with the one that is left, its secrets and its services', async () => {
    const place = new Home()
    const names = ['first', 'second', 'third']
    const engines = await Promise.all(names.map((name) => DockerEngine.start(place, name)))
    onTestFinished(async () => {
      await Promise.all(engines.map((engine) => engine.stop()))
      place.remove()
    })
    const [first, second, third] = engines as [DockerEngine, DockerEngine, DockerEngine]
    const init = ['swarm', 'init', '--force-new-cluster']
    await first.out(init)
    const manager = joinCommand(await first.out(['swarm', 'join-token', 'manager']))
    const worker = joinCommand(await first.out(['swarm', 'join-token', 'worker']))
    await second.out(manager)
    await third.out(worker)
    await second.out(['secret', 'create', 'kept', '-'], secret.text)
    const wanted = ['--secret', 'kept', '--no-resolve-image', '--detach', '--replicas', '3']
    await first.out(['service', 'create', '--name', service, ...wanted, 'eon01/infinite'])
    await until('three tasks run', async () => (await running(first)).length === 3)
    expect(await third.refusal(init)).toContain("Worker nodes can't be used to view or modify")

    await second.kill()
    expect(await first.out(init)).toMatch(
      /^Swarm initialized: current node \(\w{25}\) is now a manager/,
    )
    const all = await nodes(first)
    expect(all).toContain('first Ready Active Leader')
    expect(all.filter((line) => /Reachable|Unreachable/.test(line))).toEqual([])
    expect(await first.out(['secret', 'ls', '--format', '{{.Name}}'])).toBe('kept')
    await until('the tasks of the others run on', async () => {
      const at = await running(first)
      return at.includes('first') && at.includes('third')
    })
    // Of a machine that answers: those of the lost one are still listed. It answers once its agent has
    // found the new leader, and a task may still be on its way to it.
    const format = ['--format', '{{.CurrentState}} {{.ID}}', '--no-trunc']
    await until('a task at a machine that was not lost has the secret', async () => {
      const listed = (await first.out(['node', 'ps', ...format, 'third'])).split('\n')
      const [task = ''] = listed.filter((line) => line.startsWith('Running ')).map(lastWord)
      const container = await first.out(['ps', '-q', '--filter', `name=${task}`])
      const read = await first.docker(['exec', container, 'cat', '/run/secrets/kept'])
      return read.stdout.trim() === secret.text
    })

    // Who comes back has no say any more, and works for the new one.
    await second.restart()
    await until('it is a worker', async () => (await swarmOf(second)) === 'active false')
    await until('it is seen', async () => (await nodes(first)).includes('second Ready Active'))
    await first.out(['node', 'promote', 'second'])
    await until('it is a manager again', async () => (await swarmOf(second)) === 'active true')
  })
})

describe.skipIf(why !== undefined)(`DK32: the docker CLI over TLS ${why ?? ''}`, () => {
  let engine: DockerEngine
  let certs: string

  const over = (client: string, args: readonly string[]): Promise<Outcome> =>
    runProgram('docker', ['-H', engine.hosts[1] ?? '', ...args], {
      env: { ...home.environment, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: client },
      input: '',
    })

  beforeAll(async () => {
    home = new Home()
    certs = home.file('certs')
    await make(certs)
    await make(certs, '--user', 'nobody')
    const socket = `unix://${home.file('tls')}/docker.sock`
    const tls = ['--tlscacert', `${certs}/ca.pem`, '--tlscert', `${certs}/server-cert.pem`]
    engine = await DockerEngine.start(home, 'tls', {
      args: [
        '-H',
        socket,
        '-H',
        'tcp://127.0.0.1:0',
        '--tlsverify',
        ...tls,
        '--tlskey',
        `${certs}/server-key.pem`,
      ],
    })
  })
  afterAll(async () => {
    await engine?.stop()
    home?.remove()
  })

  test('acts as whom its certificate names', async () => {
    const begun = await over(`${certs}/dev`, ['swarm', 'init'])
    expect([begun.code, begun.stderr]).toEqual([0, ''])
    const listed = await over(`${certs}/dev`, ['secret', 'ls'])
    expect([listed.code, listed.stderr]).toEqual([0, ''])
    const denied = await over(`${certs}/nobody`, ['node', 'ls'])
    expect(denied.code).toBe(1)
    expect(denied.stderr).toContain('rpc error: code = PermissionDenied')
  })

  test('is nobody without a certificate, and with another authority’s', async () => {
    const host = (engine.hosts[1] ?? '').slice('tcp://'.length)
    const none = await runProgram(
      'docker',
      [
        '-H',
        `tcp://${host}`,
        '--tls',
        '--tlscacert',
        `${certs}/ca.pem`,
        '--tlscert',
        '',
        '--tlskey',
        '',
        'info',
      ],
      { env: home.environment, input: '' },
    )
    expect(none.stderr).toContain('tls: certificate required')
    const others = home.file('others')
    await make(others)
    const stranger = await over(`${others}/dev`, ['version', '--format', '{{.Server.Version}}'])
    expect(stranger.stderr).toContain('certificate signed by unknown authority')
    const plain = await runProgram('docker', ['-H', `tcp://${host}`, 'info'], {
      env: home.environment,
      input: '',
    })
    expect(plain.stderr).not.toBe('')
  })
})

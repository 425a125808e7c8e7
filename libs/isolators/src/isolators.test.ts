import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { CommandInfo, ContainerInfo, parseOurs } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { checkContainer, planContainer } from './container.ts'
import { perform, undo } from './perform.ts'
import { planCleanup, type Plan } from './plan.ts'
import { PlanRefused } from './refusal.ts'
import { describeHost, MemoryHost } from './testing/index.ts'

const owner = { uid: 1000, gid: 1000 }
const reference = { type: 'REFERENCE', reference: { name: 'dev/db' } }
const secretOf = (text: string) => new Redacted(utf8(text))

const commandOf = (...variables: object[]) =>
  parseOurs(CommandInfo, { value: 'true', environment: { variables } })
const volume = (container_path: string, mode = 'RO', secret: object = reference) => ({
  mode,
  container_path,
  source: { type: 'SECRET', secret },
})
const containerOf = (...volumes: object[]) => parseOurs(ContainerInfo, { type: 'MESOS', volumes })

function planOf(
  command: CommandInfo,
  container: ContainerInfo | undefined,
  values: readonly Redacted<Uint8Array>[],
  given: Record<string, string> = {},
): Plan {
  const environment = new Map(Object.entries(given))
  return planContainer(checkContainer(command, container), { owner, environment }, values)
}

const environmentOf = (plan: Plan) =>
  Object.fromEntries(
    plan
      .filter((step) => step.do === 'set-env')
      .map(({ name, value }) => [
        name,
        typeof value === 'string' ? value : utf8Text(value.reveal()),
      ]),
  )

function refusalOf(decide: () => unknown): { code: string; message: string } {
  try {
    decide()
  } catch (error) {
    if (error instanceof PlanRefused) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('it was not refused')
}

const plain = (name: string, value: string) => ({ name, type: 'VALUE', value })
const secret = (name: string) => ({ name, type: 'SECRET', secret: reference })
const threeValues = () => [secretOf('one'), secretOf('two'), secretOf('three')]
const planOfSize = (sizeBytes: number) =>
  planOf(commandOf(), containerOf(volume('db')), [new Redacted(new Uint8Array(sizeBytes))])

/** With that many files of 1 MiB each. */
const planOfMany = (count: number) => {
  const volumes = Array.from({ length: count }, (_, index) => volume(`db${index}`))
  const values = volumes.map(() => new Redacted(new Uint8Array(1_048_576)))
  return planOf(commandOf(), containerOf(...volumes), values)
}

describe('environment_secret', () => {
  test('IS1: a secret is exactly its bytes, a trailing newline too', () => {
    const plan = planOf(commandOf(secret('DB')), undefined, [secretOf('s3cr3t\n')])

    expect(environmentOf(plan)).toEqual({ DB: 's3cr3t\n' })
  })

  test('IS2: a secret overrides what the agent gives, and a plain variable the secret', () => {
    const command = commandOf(plain('B', 'plain'), secret('A'), secret('B'))
    const overridden = secretOf('hidden')

    const plan = planOf(command, undefined, [secretOf('a'), overridden], { A: 'agent', C: 'agent' })

    expect(environmentOf(plan)).toEqual({ A: 'a', B: 'plain', C: 'agent' })
    expect(overridden.reveal()).toEqual(new Uint8Array(6))
  })

  test('IS2: of two secrets of one name the last one wins, and the first is wiped', () => {
    const first = secretOf('first')

    const plan = planOf(commandOf(secret('A'), secret('A')), undefined, [first, secretOf('last')])

    expect(environmentOf(plan)).toEqual({ A: 'last' })
    expect(first.reveal()).toEqual(new Uint8Array(5))
  })

  test('IS18: the output begins with the names that were overridden, and says nothing else of them', () => {
    const variables = [secret('A'), secret('B'), plain('B', 'b'), plain('C', 'c'), plain('D', 'd')]
    const values = [secretOf('a'), secretOf('b')]
    const plan = planOf(commandOf(...variables), undefined, values, { A: 'a', C: 'c', D: 'agent' })

    // Of A and B, too: to be silent would say that the secret has the value that was written down.
    expect(plan.filter((step) => step.do === 'print')).toEqual(
      ['A', 'B', 'D'].map((name) => ({
        do: 'print',
        line: `Overwriting environment variable '${name}'`,
      })),
    )
    expect(plan.findIndex((step) => step.do === 'print')).toBe(0)
  })

  test('IS18: Docker has no launcher that would say so', () => {
    const command = { ...commandOf(secret('A'), plain('A', 'a')), docker_arguments: true }

    expect(planOf(command, undefined, [secretOf('a')]).map((step) => step.do)).toEqual(['set-env'])
  })

  test('IS3: a NUL byte in a resolved value is refused in the words of Mesos, and wiped', () => {
    const given = [secretOf('a'), secretOf('b\0c')]
    const refusal = refusalOf(() => planOf(commandOf(secret('A'), secret('B')), undefined, given))

    expect(refusal).toEqual({
      code: 'SECRET_ENV_INVALID',
      message:
        "Environment variable 'B' specifies a secret containing null bytes, which is not allowed in the environment",
    })
    expect(given.map((value) => value.reveal().every((byte) => byte === 0))).toEqual([true, true])
  })

  test('IS3: a sealed value that is known to hold a NUL byte is refused before anybody is asked', () => {
    const sealed = { id: 'e1', envelope: 'AAAA', containsNull: true }
    const variable = { name: 'A', type: 'SECRET', secret: { type: 'VALUE', value: { sealed } } }

    expect(refusalOf(() => checkContainer(commandOf(variable), undefined)).message).toMatch(
      /^Invalid environment specified: Environment variable 'A' specifies a secret containing null/,
    )
  })

  test.each(['A B', 'A=B', '1A', '', 'A\nB', 'A-B'])('IS3: %j is no name for a secret', (name) => {
    expect(refusalOf(() => checkContainer(commandOf(secret(name)), undefined))).toEqual({
      code: 'SECRET_ENV_INVALID',
      message: `secret ${JSON.stringify(name)} cannot be an environment variable: name is not [A-Za-z_][A-Za-z0-9_]*.`,
    })
  })

  test.each([
    [
      { name: 'X', secret: reference },
      "Environment variable 'X' of type 'VALUE' must have a value set",
    ],
    [
      { name: 'X', type: 'SECRET' },
      "Environment variable 'X' of type 'SECRET' must have a secret set",
    ],
    [
      { name: 'X', type: 'SECRET', secret: reference, value: '' },
      "Environment variable 'X' of type 'SECRET' must not have a value set",
    ],
    [
      { name: 'X', value: 'x', secret: reference },
      "Environment variable 'X' of type 'VALUE' must not have a secret set",
    ],
    [{ name: 'X', type: 'UNKNOWN' }, "Environment variable of type 'UNKNOWN' is not allowed"],
    [
      { name: 'X', type: 'SECRET', secret: { type: 'REFERENCE' } },
      "Environment variable 'X' specifies an invalid secret: Secret of type REFERENCE must have the 'reference' field set",
    ],
  ])('IS4: %j is refused in the words of Mesos', (variable, text) => {
    expect(refusalOf(() => checkContainer(commandOf(variable), undefined))).toEqual({
      code: 'SPEC_INVALID',
      message: `Invalid environment specified: ${text}`,
    })
  })
})

describe('volume/secret', () => {
  test('IS5: the plan is a tmpfs of whole pages, all files, then where they are seen', () => {
    const values = [secretOf('x'.repeat(4097)), secretOf('')]
    const plan = planOf(
      commandOf(),
      containerOf(volume('creds/db'), volume('/run/secrets/k')),
      values,
    )

    expect(plan).toMatchObject([
      { do: 'mount-tmpfs', sizeBytes: 3 * 4096 },
      { do: 'write-file', name: '0', mode: 0o400, owner },
      { do: 'write-file', name: '1', mode: 0o400, owner },
      { do: 'bind-file', name: '0', at: '/mnt/mesos/sandbox/creds/db', isReadOnly: true },
      { do: 'bind-file', name: '1', at: '/run/secrets/k', isReadOnly: true, mustExist: true },
    ])
  })

  test('IS5: an absolute path has to be there, unless an image brings a root to make it in', async () => {
    const absolute = volume('/run/secrets/k')
    const without = planOf(commandOf(), containerOf(absolute), [secretOf('x')])
    await expect(perform(without, new MemoryHost())).rejects.toThrow(
      "Absolute container path '/run/secrets/k' does not exist",
    )

    const image = { type: 'DOCKER', docker: { name: 'app' } }
    const container = parseOurs(ContainerInfo, {
      type: 'MESOS',
      volumes: [absolute],
      mesos: { image },
    })
    const host = new MemoryHost()
    await perform(planOf(commandOf(), container, [secretOf('x')]), host)
    expect(host.seen('/run/secrets/k')?.bytes).toEqual(utf8('x'))
  })

  test('IS5: a writable file is its owner’s to write, with room to grow', () => {
    const plan = planOf(commandOf(), containerOf(volume('db', 'RW')), [secretOf('x')])

    expect(plan).toMatchObject([
      { do: 'mount-tmpfs', sizeBytes: 1_048_576 },
      { do: 'write-file', mode: 0o600 },
      { do: 'bind-file', isReadOnly: false },
    ])
  })

  test('IS5: a volume that says what its file is like has it so, permission bits alone', () => {
    const file = { mode: 0o104750, uid: 5, gid: 6 }
    const container = containerOf({ ...volume('/run/secrets/db'), file }, volume('db'))
    const plan = planOf(commandOf(), container, [secretOf('one'), secretOf('two')])

    expect(plan.filter((step) => step.do === 'write-file')).toMatchObject([
      { mode: 0o750, owner: { uid: 5, gid: 6 } },
      { mode: 0o400, owner },
    ])
    expect(plan.filter((step) => step.do === 'bind-file').map((step) => step.mustExist)).toEqual([
      undefined,
      undefined,
    ])
    const [of] = checkContainer(commandOf(), container).secrets
    expect(of?.placement).toEqual({ where: 'tmpfs', at: '/run/secrets/db', mode: '0750' })
  })

  test('IS5: without secret volumes there is no tmpfs', () => {
    expect(planOf(commandOf(), undefined, [])).toEqual([])
    expect(planOf(commandOf(), containerOf(), [])).toEqual([])
  })

  test.each([
    ['', 'it is empty'],
    ['a\0b', 'it contains a NUL byte'],
    ['a\nb', 'it contains a control character'],
    ['..', 'it has a ".." component'],
    ['../x', 'it has a ".." component'],
    ['a/../../x', 'it has a ".." component'],
    ['/a/../etc/passwd', 'it has a ".." component'],
    ['..data', 'a component starts with ".."'],
    ['a/..b/c', 'a component starts with ".."'],
    ['.', 'it names a directory'],
    ['/', 'it names a directory'],
    ['a/', 'it names a directory'],
    ['/mnt/mesos/sandbox', 'it names a directory'],
    ['/proc/self/root/x', 'it lies in /proc'],
    ['//proc/self/environ', 'it lies in /proc'],
    ['/./sys/x', 'it lies in /sys'],
    ['/dev/null', 'it lies in /dev'],
    ['x'.repeat(256), 'a component is longer than 255 bytes'],
    ['\ud800', 'it is not valid Unicode'],
  ])('IS6 threat:DL-01 threat:DL-03: %j is refused', (path, reason) => {
    const refusal = refusalOf(() => checkContainer(commandOf(), containerOf(volume(path))))

    expect(refusal.code).toBe('SECRET_PATH_INVALID')
    expect(refusal.message).toMatch(/^secret path ".*" is not allowed: /)
    expect(refusal.message).toContain(`: ${reason}.`)
  })

  test.each(['x'.repeat(255), 'x/'.repeat(2047) + 'xx', '.hidden', 'a/./b'])(
    'IS6: %j is a path of a file',
    (path) => {
      expect(() => checkContainer(commandOf(), containerOf(volume(path)))).not.toThrow()
    },
  )

  test('IS6: a path of 5000 characters is refused, and not repeated whole', () => {
    const path = 'x/'.repeat(2500) + 'x'
    const refusal = refusalOf(() => checkContainer(commandOf(), containerOf(volume(path))))

    expect(refusal.message).toContain('it is longer than 4096 bytes')
    expect(refusal.message.length).toBeLessThan(400)
  })

  test.each([
    [['db', './db'], 'two secrets target "/mnt/mesos/sandbox/db".'],
    [['db', '/mnt/mesos/sandbox//db'], 'two secrets target "/mnt/mesos/sandbox/db".'],
    [
      ['a/b', 'a'],
      'two secrets target "/mnt/mesos/sandbox/a": one as a file, one as the directory of "/mnt/mesos/sandbox/a/b".',
    ],
  ])('IS7: %j cannot be had together', (paths, message) => {
    const volumes = paths.map((path) => volume(path))

    expect(refusalOf(() => checkContainer(commandOf(), containerOf(...volumes)))).toEqual({
      code: 'ISOLATOR_CONFLICT',
      message,
    })
  })

  test('IS8: a value above 1 MiB is refused by its size, one of 1 MiB is not', () => {
    expect(planOfSize(1_048_576)).toMatchObject([{ sizeBytes: 1_048_576 }, {}, {}])
    expect(refusalOf(() => planOfSize(1_048_577))).toEqual({
      code: 'SECRET_TOO_LARGE',
      message: 'secret "db" has 1048577 bytes; the limit per secret is 1048576.',
    })
  })

  test('IS8: all files of a container have a limit together', () => {
    expect(planOfMany(8)).toContainEqual(expect.objectContaining({ sizeBytes: 8 * 1_048_576 }))
    expect(refusalOf(() => planOfMany(9))).toMatchObject({
      code: 'SECRET_TOO_LARGE',
      message: expect.stringContaining('secret "db0" and those beside it') as string,
    })
  })

  test.each([
    [
      { type: 'DOCKER', docker: { image: 'x' }, volumes: [volume('db')] },
      'Can only prepare the secret volume isolator for a MESOS container',
    ],
    [
      { type: 'MESOS', volumes: [{ mode: 'RO', container_path: 'x', host_path: '/' }] },
      'Volumes in ContainerInfo is not supported',
    ],
    [
      { type: 'MESOS', volumes: [{ mode: 'RO', container_path: 'x', source: { type: 'SECRET' } }] },
      'volume.source.secret is not specified',
    ],
    [
      { type: 'MESOS', volumes: [volume('db', 'RO', { type: 'VALUE' })] },
      "Invalid secret specified in volume: Secret of type VALUE must have the 'value' field set",
    ],
    [
      { type: 'DOCKER', docker: { image: 'x', privileged: true } },
      'privileged containers, host pid namespace, host mounts of "/", "/proc", "/run" and device access are not supported.',
    ],
  ])('IS4: %j is refused', (container, message) => {
    const refusal = refusalOf(() =>
      checkContainer(commandOf(), parseOurs(ContainerInfo, container)),
    )

    expect(refusal.message).toBe(message)
  })
})

describe('carrying out a plan', () => {
  const command = commandOf({ name: 'DB', type: 'SECRET', secret: reference })
  const container = containerOf(volume('a'), volume('b', 'RW'))

  test('IS9: everything is in its place, and the bytes of the plan are wiped', async () => {
    const host = new MemoryHost()
    const given = threeValues()

    await perform(planOf(command, container, given), host)

    expect(utf8Text(host.seen('/mnt/mesos/sandbox/a')?.bytes ?? utf8(''))).toBe('one')
    expect(host.seen('/mnt/mesos/sandbox/b')).toMatchObject({ mode: 0o600, isReadOnly: false })
    expect(utf8Text(host.variable('DB') ?? utf8(''))).toBe('three')
    expect(given.map((value) => value.reveal().every((byte) => byte === 0))).toEqual([
      true,
      true,
      true,
    ])
  })

  test('IS10: whichever step fails, nothing is left and everything is wiped', async () => {
    const stepCount = planOf(command, container, threeValues()).length
    for (let failsAtCall = 1; failsAtCall <= stepCount; failsAtCall++) {
      const host = new MemoryHost()
      host.failsAtCall = failsAtCall
      const given = threeValues()

      await expect(perform(planOf(command, container, given), host)).rejects.toMatchObject({
        code: 'isolator.placement-failed',
      })

      expect(host.isEmpty).toBe(true)
      for (const copy of [...host.copies, ...given.map((value) => value.reveal())]) {
        expect(copy.every((byte) => byte === 0)).toBe(true)
      }
    }
  })

  test('IS11: the clean-up of a plan leaves nothing of it', async () => {
    const host = new MemoryHost()
    const plan = planOf(command, container, threeValues())
    await perform(plan, host)

    await undo(planCleanup(plan), host)

    expect(host.isEmpty).toBe(true)
    expect(host.copies.every((copy) => copy.every((byte) => byte === 0))).toBe(true)
  })

  test('IS11: a clean-up goes on after a step that failed, and says so', async () => {
    const host = new MemoryHost()
    const plan = planOf(command, container, threeValues())
    await perform(plan, host)
    host.unbindFile = () => Promise.reject(new Error('busy'))

    await expect(undo(planCleanup(plan), host)).rejects.toMatchObject({
      code: 'isolator.cleanup-failed',
    })

    expect(host.copies.every((copy) => copy.every((byte) => byte === 0))).toBe(true)
  })

  test('IS12: a plan shows no value, however it is printed', () => {
    const plan = planOf(command, container, threeValues())

    expect(JSON.stringify(plan)).not.toMatch(/one|two|three|111|116/)
  })
})

describeHost('the twin', () => {
  const host = new MemoryHost()
  return { host, file: (at) => host.seen(at), variable: (name) => host.variable(name) }
})

import { Redacted, utf8 } from '@conclave/kernel'
import { CommandInfo, ContainerInfo, parseOurs } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { checkContainer, planContainer } from './container.ts'
import { programOf } from './image.ts'
import { perform } from './perform.ts'
import { MemoryHost } from './testing/index.ts'

const owner = { uid: 1000, gid: 1000 }
const config = { type: 'REFERENCE', reference: { name: 'registry/dockercfg' } }
const hasImages = { hasImages: true }
const command = (fields: object) => parseOurs(CommandInfo, fields)
const withImage = (image: object, volumes: object[] = []) =>
  parseOurs(ContainerInfo, { type: 'MESOS', volumes, mesos: { image } })
const docker = { type: 'DOCKER', docker: { name: 'registry.local/app:1', config } }

describe('an image', () => {
  test('IS13: its config is resolved first, and given to nobody in the container', async () => {
    const volume = { mode: 'RO', container_path: 'db', source: { type: 'SECRET', secret: config } }
    const checked = checkContainer(
      command({ value: 'true' }),
      withImage(docker, [volume]),
      hasImages,
    )
    expect(checked.secrets.map(({ purpose }) => purpose)).toEqual([
      'image registry.local/app:1',
      'volume db',
    ])
    const values = ['the config', 'the file'].map((text) => new Redacted(utf8(text)))
    const environment = new Map([['MESOS_SANDBOX', '/s']])

    const plan = planContainer(checked, { owner, environment }, values)
    expect(plan.map((step) => step.do)).toEqual([
      'set-env',
      'provision-image',
      'mount-tmpfs',
      'write-file',
      'bind-file',
    ])
    const host = new MemoryHost()
    await perform(plan, host)

    expect(host.images).toEqual(['registry.local/app:1'])
    expect(host.seen('/mnt/mesos/sandbox/db')?.bytes).toEqual(utf8('the file'))
    for (const value of values) expect(value.reveal().every((byte) => byte === 0)).toBe(true)
  })

  test('IS13: a value that fits no docker config has at most the size of a secret', () => {
    const checked = checkContainer(command({ value: 'true' }), withImage(docker), hasImages)
    const large = new Redacted(new Uint8Array(1_048_577))
    const environment = new Map<string, string>()
    expect(() => planContainer(checked, { owner, environment }, [large])).toThrow('1048577 bytes')
  })

  test('IS13: a machine without images asks for no config', () => {
    const checked = checkContainer(command({ value: 'true' }), withImage(docker))
    expect(checked.secrets).toEqual([])
    expect(checked.image).toBeUndefined()
  })

  test('IS13: an image that nobody has to be asked for needs no config', () => {
    const asked: unknown[] = []
    const simulatesImage = (...of: unknown[]) => asked.push(of) > 0
    const abilities = { hasImages: false, simulatesImage }
    const checked = checkContainer(command({ value: 'true' }), withImage(docker), abilities)
    expect(checked.secrets).toEqual([])
    expect(checked.image).toMatchObject({ name: 'registry.local/app:1', config: undefined })
    expect(asked).toEqual([['registry.local/app:1', true]])
  })

  test('IS13: an image of another kind is refused', () => {
    const appc = withImage({ type: 'APPC', appc: { name: 'app' } })
    expect(() => checkContainer(command({ value: 'true' }), appc, hasImages)).toThrow(
      'only DOCKER images can be had',
    )
  })
})

describe('IS14: what is run, as the isolator docker/runtime has it', () => {
  const both = { entrypoint: ['/e', '-e'], command: ['c', '-c'] }
  const entry = { ...both, command: [] }
  const cmd = { ...both, entrypoint: [] }
  const none = { entrypoint: [], command: [] }

  test.each([
    ['a line for the shell', { value: 'x' }, both, ['sh', '-c', 'x']],
    ['a program, without arguments', { shell: false, value: '/x' }, both, ['/x']],
    ['a program', { shell: false, value: '/x', arguments: ['x', 'y'] }, both, ['/x', 'y']],
    ['the image', { shell: false }, both, ['/e', '-e', 'c', '-c']],
    ['the image', { shell: false }, entry, ['/e', '-e']],
    ['the image', { shell: false }, cmd, ['c', '-c']],
    ['the image, with arguments', { shell: false, arguments: ['y'] }, both, ['/e', '-e', 'y']],
    ['the image, with arguments', { shell: false, arguments: ['y'] }, cmd, ['c', 'y']],
    [
      'its own',
      { shell: false, docker_arguments: true, value: '/x', arguments: ['/x', 'y'] },
      both,
      ['/x', 'y'],
    ],
    ['as Docker', { shell: false, docker_arguments: true }, both, ['/e', '-e', 'c', '-c']],
    [
      'as Docker',
      { shell: false, docker_arguments: true, arguments: ['y'] },
      both,
      ['/e', '-e', 'y'],
    ],
    ['as Docker', { shell: false, docker_arguments: true, arguments: ['y', 'z'] }, cmd, ['y', 'z']],
  ])('%s: %j', (_, fields, image, argv) => {
    const whole = { ...image, environment: new Map<string, string>(), workingDirectory: undefined }
    expect(programOf(command(fields), whole)).toEqual(argv)
  })

  test.each([
    [{ shell: false }, none],
    [{ shell: false, arguments: ['y'] }, none],
    [{}, both],
  ])('nothing: %j', (fields, image) => {
    const whole = { ...image, environment: new Map<string, string>(), workingDirectory: undefined }
    expect(() => programOf(command(fields), whole)).toThrow('there is no program to run')
  })

  test('nothing, in the words of Docker', () => {
    const whole = { ...none, environment: new Map<string, string>(), workingDirectory: undefined }
    const fields = { shell: false, docker_arguments: true }
    expect(() => programOf(command(fields), whole)).toThrow('No command specified')
  })
})

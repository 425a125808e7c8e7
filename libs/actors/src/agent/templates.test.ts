import { checkContainer, PlanRefused } from '@conclave/isolators'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { CommandInfo, ContainerInfo, parseOurs } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { expandedCommand, expandedFiles, hostnameOf } from './templates.ts'

const place = {
  task_id: 't1',
  slot: '2',
  node_id: 'n1',
  hostname: 'laptop',
  os: 'linux',
  arch: 'x86_64',
}
const service = { id: 's1', name: 'web', labels: { tier: 'front' }, place }

interface File {
  readonly target: string
  readonly value: string
  readonly template?: string
  readonly object?: 'SECRET' | 'CONFIG'
}

function containerOf(files: readonly File[], more: object = { service }): ContainerInfo {
  const volumes = files.map(({ target, template, object = 'SECRET' }) => ({
    mode: 'RO',
    container_path: `/run/secrets/${target}`,
    source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name: target } } },
    file: { mode: 0o444, uid: 0, gid: 0, object, target, object_id: `id-${target}`, template },
  }))
  return parseOurs(ContainerInfo, { type: 'MESOS', volumes, ...more })
}

const commandOf = (variables: Readonly<Record<string, string>>): CommandInfo =>
  parseOurs(CommandInfo, {
    value: 'true',
    environment: {
      variables: Object.entries(variables).map(([name, value]) => ({ name, value })),
    },
  })

function filesOf(files: readonly File[], command = commandOf({ HOME: '/root' })) {
  const values = files.map(({ value }) => new Redacted(utf8(value)))
  const { secrets } = checkContainer(command, containerOf(files))
  const expand = () => expandedFiles(secrets, values, command, service)
  return { values, expand }
}

const textsOf = (values: readonly Redacted<Uint8Array>[]): readonly string[] =>
  values.map((value) => utf8Text(value.reveal()))

function refusal(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof PlanRefused) return error.message
    throw error
  }
  return 'none'
}

describe('MA60: the files of a container', () => {
  test('are expanded where they are templates: fields, variables, other secrets and configs', () => {
    const { values, expand } = filesOf([
      { target: 'db', value: 's3cr3t' },
      { target: 'app.conf', value: 'x={{secret "db"}}', object: 'CONFIG', template: 'golang' },
      {
        target: 'all',
        value:
          '{{.Service.Name}}/{{.Task.Slot}}@{{.Node.Hostname}} {{env "HOME"}} {{config "app.conf"}}',
        template: 'golang',
      },
      { target: 'none', value: '{{.Service.Name}}' },
    ])
    expect(textsOf(expand())).toEqual([
      's3cr3t',
      'x=s3cr3t',
      // Another file is what is stored, not what becomes of it.
      'web/2@laptop /root x={{secret "db"}}',
      '{{.Service.Name}}',
    ])
    expect([values[1], values[2]].every((one) => one?.reveal().every((byte) => byte === 0))).toBe(
      true,
    )
  })

  test.each<[string, File, string]>([
    [
      'another language',
      { target: 'a', value: 'x', template: 'jinja' },
      'unable to get secret from secret store: failed to expand templated secret id-a: unrecognized template type',
    ],
    [
      'a secret that the container does not have',
      { target: 'a', value: '{{secret "b"}}', template: 'golang', object: 'CONFIG' },
      'unable to get config from config store: failed to expand templated config id-a: template: expansion:1:2: executing "expansion" at <secret "b">: error calling secret: secret target b not found',
    ],
  ])('with %s are refused in the words of the Engine', (_what, file, message) => {
    const { values, expand } = filesOf([file])
    expect(refusal(expand)).toBe(message)
    expect(textsOf(values)).toEqual([file.value])
  })
})

describe('MA60: variables and the hostname', () => {
  const variables = { WHERE: '{{.Node.Hostname}}-{{.Task.ID}}', PLAIN: 'a{b' }

  test('are expanded in a container of a service, and in no other', () => {
    const command = commandOf(variables)
    const expanded = expandedCommand(command, containerOf([]))
    expect(expanded.environment?.variables.map(({ value }) => value)).toEqual(['laptop-t1', 'a{b'])
    expect(expandedCommand(command, containerOf([], {}))).toBe(command)
    const hostname = '{{.Service.Name}}-{{.Task.Slot}}'
    expect(hostnameOf(containerOf([], { service, hostname }))).toBe('web-2')
    expect(hostnameOf(containerOf([], { hostname }))).toBe(hostname)
  })

  test('have no secrets', () => {
    const command = commandOf({ A: '{{secret "db"}}' })
    expect(refusal(() => expandedCommand(command, containerOf([])))).toBe(
      'expanding env failed: template: expansion:1: function "secret" not defined',
    )
  })
})

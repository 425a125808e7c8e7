import { describe, expect, test } from 'vitest'
import { refusalOf } from '../errors.ts'
import { referencesIn, type FilesSpec } from './references.ts'
import { volumesOf } from './volumes.ts'

const usual = { Name: 'my_secret', UID: '0', GID: '0', Mode: 0o444 }
const secret = (name: string, more: object = {}, id = name.toLowerCase()) => ({
  File: { ...usual, Name: name, ...more },
  SecretID: id,
  SecretName: name,
})
const config = (name: string, more: object = {}) => ({
  File: { ...usual, Name: name, ...more },
  ConfigID: name,
  ConfigName: name,
})
const kept = (path: string, template?: string) => ({ path, template })

describe('DK14: the files of a ContainerSpec', () => {
  test('are volumes with modes and owners of their own, one secret under two targets among them', () => {
    const spec: FilesSpec = {
      Secrets: [secret('a'), secret('b', { UID: '1000', GID: '1001', Mode: 0o400 }, 'a')],
      Configs: [config('c')],
    }
    const a = { object: 'SECRET', object_id: 'a', template: 'golang' }
    const known = new Map([
      ['a', kept('a', 'golang')],
      ['c', kept('docker-configs/c')],
    ])

    expect(volumesOf(spec, known)).toEqual([
      volume('/run/secrets/a', 'a', { ...a, target: 'a', mode: 0o444, uid: 0, gid: 0 }),
      volume('/run/secrets/b', 'a', { ...a, target: 'b', mode: 0o400, uid: 1000, gid: 1001 }),
      volume('/c', 'docker-configs/c', {
        object: 'CONFIG',
        object_id: 'c',
        target: 'c',
        mode: 0o444,
        uid: 0,
        gid: 0,
      }),
    ])
  })

  test.each([
    ['x', '/run/secrets/x'],
    ['../x', '/run/x'],
    ['sub/dir/x', '/run/secrets/sub/dir/x'],
    ['/etc/app/key', '/etc/app/key'],
    ['/etc/../app//key/', '/app/key'],
    ['../../../../x', '/x'],
  ])('with the target %s lie at %s', (target, at) => {
    const spec = { Secrets: [secret('a', { Name: target })] }
    const [one] = volumesOf(spec, new Map([['a', kept('a')]]))
    expect(one?.container_path).toBe(at)
  })

  test.each<[string, FilesSpec, string]>([
    ['no id', { Secrets: [{ ...secret('a'), SecretID: '' }] }, 'malformed secret reference'],
    [
      'no target',
      { Secrets: [{ SecretID: 'a', SecretName: 'a' }] },
      'malformed secret reference, no target provided',
    ],
    [
      'an empty target',
      { Configs: [config('a', { Name: '' })] },
      'malformed file config reference, invalid target file name provided',
    ],
    [
      'one target twice',
      { Secrets: [secret('a', { Name: 't' }), secret('b', { Name: 't' })] },
      "secret references 'a' and 'b' have a conflicting target: 't'",
    ],
  ])('with %s are refused in the words of SwarmKit', (_what, spec, text) => {
    expect(refused(spec)).toBe(`rpc error: code = InvalidArgument desc = ${text}`)
  })

  test.each(['app', '-1', '4294967295', '0x1'])('may not belong to a user named %s', (UID) => {
    expect(refused({ Secrets: [secret('a', { UID })] })).toContain(`UID '${UID}' is no number`)
  })
})

const volume = (at: string, path: string, file: object): object => ({
  mode: 'RO',
  container_path: at,
  source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name: path } } },
  file,
})

function refused(spec: FilesSpec): string | undefined {
  try {
    referencesIn(spec)
  } catch (error) {
    return refusalOf(error)?.message
  }
  return undefined
}

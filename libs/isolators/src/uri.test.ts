import { Redacted, utf8 } from '@conclave/kernel'
import { CommandInfo, ContainerInfo, parseOurs } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { checkContainer, planContainer } from './container.ts'
import { perform } from './perform.ts'
import { MemoryHost } from './testing/index.ts'
import { urisOf } from './uri.ts'

const owner = { uid: 1000, gid: 1000 }
const abilities = { hasImages: false, hasUris: true }
const secret = (name: string) => ({ type: 'REFERENCE', reference: { name } })
const command = (uris: readonly object[], variables: readonly object[] = []) =>
  parseOurs(CommandInfo, { value: 'true', uris, environment: { variables } })

const refuse = (): unknown => urisOf(command([{ value: 'ftp://user:pa55word@x/y' }]))
const docker = (volumes: readonly object[] = []) =>
  parseOurs(ContainerInfo, { type: 'DOCKER', docker: { image: 'app' }, volumes })

describe('a URI', () => {
  test('IS15: its secrets are resolved after all others, and placed nowhere', async () => {
    const uri = {
      value: 'https://files.example/in/model.tar.gz?x=y',
      secrets: { authorization: secret('files/token'), client_certificate: secret('files/client') },
    }
    const variable = { name: 'DB', type: 'SECRET', secret: secret('db') }
    const checked = checkContainer(command([uri], [variable]), undefined, abilities)
    expect(checked.secrets.map(({ purpose }) => purpose)).toEqual([
      'env DB',
      'uri model.tar.gz authorization',
      'uri model.tar.gz clientCertificate',
    ])
    const values = ['db', 'token', 'certificate'].map((text) => new Redacted(utf8(text)))

    const plan = planContainer(checked, { owner, environment: new Map() }, values)
    expect(plan).toMatchObject([
      { do: 'set-env', name: 'DB' },
      {
        do: 'fetch-uri',
        uri: {
          outputFile: 'model.tar.gz',
          isExtracted: true,
          secrets: { authorization: values[1], clientCertificate: values[2] },
        },
      },
    ])
    const host = new MemoryHost()
    await perform(plan, host)

    expect(host.fetched).toEqual(['model.tar.gz'])
    for (const value of values) expect(value.reveal().every((byte) => byte === 0)).toBe(true)
  })

  test.each([
    [{ value: 'no uri' }, 'its value is no URI'],
    [{ value: 'ftp://x/y' }, '"ftp:" is not one of http:, https:, file:'],
    [{ value: 'https://x/' }, 'its output file "" is no name of a file'],
    [{ value: 'https://x/..%2f..%2fetc' }, 'its output file "../../etc" has a ".." component'],
    [{ value: 'https://x/y', output_file: '/etc/y' }, 'is not relative to the sandbox'],
    [{ value: 'https://x/y', output_file: 'a/../../y' }, 'has a ".." component'],
    [{ value: 'http://x/y', secrets: { authorization: secret('t') } }, 'over https alone'],
    [{ value: 'file:///y', secrets: { authorization: secret('t') } }, 'takes no credentials'],
    [
      { value: 'https://x/y', secrets: { authorization: { type: 'REFERENCE' } } },
      "Secret of type REFERENCE must have the 'reference' field set",
    ],
  ])('IS15: %j is refused', (uri, why) => {
    expect(() => urisOf(command([uri]))).toThrow(why)
  })

  test('IS15: is not named in a refusal, since it may have a password in it', () => {
    expect(refuse).toThrow('command.uris[0] cannot be fetched')
    expect(refuse).not.toThrow('pa55word')
  })

  test('IS15: a machine that fetches nothing passes it over', () => {
    expect(checkContainer(command([{ value: 'https://x/y' }]), undefined).uris).toEqual([])
  })
})

describe('a DOCKER container with secrets', () => {
  const variables = [
    { name: 'DB', type: 'SECRET', secret: secret('db') },
    { name: 'PLAIN', value: 'x' },
  ]
  const volume = {
    mode: 'RO',
    container_path: 'db',
    source: { type: 'SECRET', secret: secret('db') },
  }

  test('IS16: is refused, because it would not get them', () => {
    expect(() => checkContainer(command([], variables), docker())).toThrow(
      "Environment variable 'DB': secrets are only supported for the Mesos containerizer",
    )
    expect(() => checkContainer(command([]), docker([volume]))).toThrow(
      'Can only prepare the secret volume isolator for a MESOS container',
    )
  })

  test('IS16: loses them without a word where Mesos is to be shown as it is (mesos.md §16)', () => {
    const faithful = { hasImages: false, isDockerFaithful: true }
    const checked = checkContainer(command([], variables), docker([volume]), faithful)
    expect(checked.secrets).toEqual([])
    const plan = planContainer(checked, { owner, environment: new Map() }, [])
    expect(plan).toEqual([
      { do: 'set-env', name: 'DB', value: '' },
      { do: 'set-env', name: 'PLAIN', value: 'x' },
    ])
  })
})

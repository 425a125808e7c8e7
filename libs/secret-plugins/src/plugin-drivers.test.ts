import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8Text } from '@conclave/kernel'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bytesOfBase64 } from './base64-bytes.ts'
import { PluginDrivers } from './plugin-drivers.ts'
import { TestPlugin, type PluginAnswer } from './testing/index.ts'

let directory: string
let plugins: TestPlugin[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'plugins-'))
})
afterEach(async () => {
  for (const plugin of plugins) await plugin.close()
  plugins = []
  await rm(directory, { recursive: true, force: true })
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')

async function pluginAt(file: string, answer: () => PluginAnswer): Promise<TestPlugin> {
  const plugin = await TestPlugin.start(join(directory, file), answer)
  plugins.push(plugin)
  return plugin
}

const driversWith = (connectPausesMs: readonly number[] = []): PluginDrivers =>
  new PluginDrivers({ directories: { sockets: [directory], specs: [directory] }, connectPausesMs })

const question = {
  driver: 'vault',
  secretName: 'drv1',
  secretLabels: { vault_path: 'database/mysql' },
  serviceId: 's',
  serviceName: 's1',
  serviceLabels: {},
  serviceHostname: '',
  taskId: 't',
  taskName: 's1.1.t',
  taskImage: 'bb:1',
  nodeId: 'n',
}

describe('SP1: a plug-in', () => {
  test('is greeted, then asked what it has for this task, as the engine asks it', async () => {
    const answer = { Value: base64('s3cr3t\n'), Err: '', DoNotReuse: false }
    const plugin = await pluginAt('vault.sock', () => ({ body: answer }))

    const told = await driversWith().ask(question)

    expect(told.outcome === 'value' && utf8Text(told.bytes.reveal())).toBe('s3cr3t\n')
    expect(plugin.calls.map(({ path }) => path)).toEqual([
      '/Plugin.Activate',
      '/SecretProvider.GetSecret',
    ])
    const [greeting, asked] = plugin.calls
    expect(greeting?.headers).toMatchObject({
      accept: 'application/vnd.docker.plugins.v1.2+json',
      'content-length': '0',
      host: 'plugin.moby.localhost',
    })
    expect(greeting?.headers['content-type']).toBeUndefined()
    expect(JSON.parse(asked?.body ?? '')).toEqual({
      SecretName: 'drv1',
      SecretLabels: { vault_path: 'database/mysql' },
      ServiceID: 's',
      ServiceName: 's1',
      TaskID: 't',
      TaskName: 's1.1.t',
      TaskImage: 'bb:1',
      NodeID: 'n',
      ServiceEndpointSpec: {},
    })
  })

  test('SP2: is found by its socket, its folder, or a file that says where it is', async () => {
    const drivers = driversWith()
    expect(await drivers.has('vault')).toBe(false)
    await pluginAt('vault.sock', () => ({ body: { Value: base64('a') } }))
    await mkdir(join(directory, 'deep'))
    await pluginAt('deep/deep.sock', () => ({ body: { Value: base64('b') } }))
    const address = `unix://${join(directory, 'vault.sock')}`
    await writeFile(join(directory, 'line.spec'), `${address}\n`)
    await writeFile(join(directory, 'json.json'), JSON.stringify({ Name: 'json', Addr: address }))
    for (const driver of ['vault', 'deep', 'line', 'json']) {
      expect(await drivers.has(driver)).toBe(true)
      expect((await drivers.ask({ ...question, driver })).outcome).toBe('value')
    }
  })

  test.each(['../vault', 'a/b', '', '.', '..', 'x'.repeat(65)])(
    'SP3: is never looked for as %j',
    async (name) => {
      await writeFile(join(directory, 'vault.spec'), 'unix:///nowhere')
      const sub = join(directory, 'sub')
      await mkdir(sub)
      const drivers = new PluginDrivers({ directories: { sockets: [sub], specs: [sub] } })
      expect(await drivers.has(name)).toBe(false)
    },
  )

  test.each([
    ['tcp://example.com:1', 'names another machine without TLS'],
    ['ftp://localhost', 'names no unix, tcp, http or https address'],
    [
      '{"Addr":"tcp://example.com:1","TLSConfig":{"InsecureSkipVerify":true}}',
      'asks to trust anybody',
    ],
  ])('SP4: at %s is not asked', async (text, why) => {
    await writeFile(join(directory, `vault.${text.startsWith('{') ? 'json' : 'spec'}`), text)
    const told = await driversWith().ask(question)
    expect(told).toMatchObject({ outcome: 'unavailable', why: expect.stringContaining(why) })
  })
})

describe('SP5: what a plug-in cannot say', () => {
  test.each<[string, PluginAnswer, string]>([
    ['an error', { body: { Err: 'backend says no' } }, 'plugin vault: backend says no'],
    ['an error of 500', { status: 500, body: { Err: 'no' } }, 'plugin vault: no'],
    ['another status', { status: 404, body: {} }, 'plugin vault answered 404'],
    ['no JSON', { body: 'nonsense' }, 'plugin vault answered 200, and no JSON object'],
    ['no base64', { body: { Value: '!!!!' } }, 'plugin vault: its Value is no base64'],
    [
      'nothing',
      { body: { Value: '' } },
      'plugin vault: secret data must be larger than 0 and less than 512000 bytes',
    ],
    [
      'too much',
      { body: { Value: base64('x'.repeat(512_000)) } },
      'plugin vault: secret data must be larger than 0 and less than 512000 bytes',
    ],
  ])('%s is a reason, and none has a value in it', async (_what, answer, why) => {
    const canary = base64('cnry7h3kq2vx9m4tz8wn5bpd6gjr0fsl')
    await pluginAt('vault.sock', () =>
      typeof answer.body === 'string' || 'Value' in answer.body
        ? answer
        : { ...answer, body: { ...answer.body, Value: canary } },
    )
    const told = await driversWith().ask(question)
    expect(told).toMatchObject({ why })
    expect(JSON.stringify(told)).not.toContain(canary)
  })

  test('is said of one that is not there, and of one that nobody hears', async () => {
    expect(await driversWith().ask(question)).toEqual({
      outcome: 'not-found',
      why: 'plugin "vault" not found',
    })
    await writeFile(join(directory, 'vault.spec'), `unix://${join(directory, 'nobody.sock')}`)
    expect(await driversWith([1, 1]).ask(question)).toMatchObject({ outcome: 'unavailable' })
  })

  test('SP6: one that comes late is waited for', async () => {
    await writeFile(join(directory, 'vault.spec'), `unix://${join(directory, 'late.sock')}`)
    const asked = driversWith(Array.from({ length: 200 }, () => 20)).ask(question)
    await pluginAt('late.sock', () => ({ body: { Value: base64('a') } }))
    expect((await asked).outcome).toBe('value')
  })
})

test('SP7: base64 is bytes, and nothing else is', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at)
  for (let size = 0; size < 256; size++) {
    const part = bytes.subarray(0, size)
    const text = new Uint8Array(Buffer.from(Buffer.from(part).toString('base64')))
    expect(bytesOfBase64(text)).toEqual(new Uint8Array(part))
  }
  for (const text of ['a', 'ab=c', '====', 'a===', 'ab-_', 'abcd\n']) {
    expect(bytesOfBase64(new Uint8Array(Buffer.from(text)))).toBeUndefined()
  }
})

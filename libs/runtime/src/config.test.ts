import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import {
  ConfigInvalid,
  flagOf,
  flagSetting,
  loadConfig,
  secretSetting,
  setting,
  variableOf,
} from './config.ts'
import { scratchDirectory } from './testing/scratch.ts'

const settings = {
  agentPort: setting(z.int().min(1).max(65_535), 'a port from 1 to 65535', 5051),
  dataDirectory: setting(z.string().min(1), 'a directory'),
  peers: setting(z.array(z.string().includes(':')), 'a list of host:port', []),
  autolock: setting(z.boolean(), 'true or false', false),
  adminPassword: secretSetting(z.string().min(12), 'a password of at least 12 characters'),
}

const fine = { dataDirectory: '/var/lib/conclave', adminPassword: 'correct horse battery' }

async function fileWith(content: unknown): Promise<string> {
  const file = join(await scratchDirectory(), 'config.json')
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

const problemsOf = async (sources: Parameters<typeof loadConfig>[1]): Promise<ConfigInvalid> => {
  const failure: unknown = await loadConfig(settings, sources).catch((error: unknown) => error)
  if (!(failure instanceof ConfigInvalid)) throw new Error('no problems were found')
  return failure
}

describe('a configuration', () => {
  test('RT13: flags win over the environment, that over the file, that over the default', async () => {
    const file = await fileWith({ ...fine, agentPort: 3, autolock: true, peers: ['c:1'] })
    const environment = { CONCLAVE_AGENT_PORT: '2', CONCLAVE_PEERS: 'a:1, b:2', PATH: '/bin' }
    const flags = { agentPort: '1', dataDirectory: undefined }

    const { config, origins } = await loadConfig(settings, { flags, environment, file })

    expect(config).toMatchObject({
      agentPort: 1,
      peers: ['a:1', 'b:2'],
      autolock: true,
      dataDirectory: '/var/lib/conclave',
    })
    expect(origins).toEqual({
      agentPort: '--agent-port',
      peers: 'CONCLAVE_PEERS',
      autolock: file,
      dataDirectory: file,
      adminPassword: file,
    })
    expect((await loadConfig(settings, { flags: fine })).config.agentPort).toBe(5051)
  })

  test.each([
    ['agentPort', '8080', 8080],
    ['autolock', 'true', true],
    ['autolock', false, false],
    ['dataDirectory', '0042', '0042'],
    ['dataDirectory', 'true', 'true'],
    ['peers', '["a:1"]', ['a:1']],
    ['peers', '', []],
  ])('RT13: %s is read from %j', async (field, given, meant) => {
    const { config } = await loadConfig(settings, { flags: { ...fine, [field]: given } })

    expect(config[field as 'peers']).toEqual(meant)
  })

  describe('RT13: a setting for the command line alone', () => {
    const dangerous = { leaks: flagSetting(z.boolean(), 'true or false', false) }
    const load = (sources: Parameters<typeof loadConfig>[1]) => loadConfig(dangerous, sources)

    test('is heard there', async () => {
      expect((await load({ flags: { leaks: 'true' } })).config.leaks).toBe(true)
      expect((await load({})).config.leaks).toBe(false)
    })

    test('is refused in a variable and in a file, whoever meant well', async () => {
      const why = 'leaks (CONCLAVE_LEAKS): it is for the command line alone: say --leaks there'
      await expect(load({ environment: { CONCLAVE_LEAKS: 'true' } })).rejects.toThrow(why)
      const file = await fileWith({ leaks: true })
      await expect(load({ file })).rejects.toThrow('it is for the command line alone')
    })

    test('may be said there as it is anyhow, and a mistake is told as a mistake', async () => {
      expect((await load({ environment: { CONCLAVE_LEAKS: 'false' } })).config.leaks).toBe(false)
      await expect(load({ environment: { CONCLAVE_LEAKS: 'yes' } })).rejects.toThrow(
        '"yes" is not true or false',
      )
    })
  })

  test('RT13: names every bad field at once: where it came from, what it is, what would be right', async () => {
    const file = await fileWith({ autolock: 'yes', dataDirctory: '/x', peers: null })

    const { code, message, problems } = await problemsOf({
      file,
      environment: { CONCLAVE_AGENT_PORT: '70000' },
      flags: { adminPassword: 'short' },
    })

    expect(code).toBe('config.invalid')
    expect(problems).toHaveLength(6)
    expect(message).toContain(
      'agentPort (CONCLAVE_AGENT_PORT): "70000" is not a port from 1 to 65535',
    )
    expect(message).toContain(`autolock (${file}): "yes" is not true or false`)
    expect(message).toContain(`peers (${file}): null is not a list of host:port`)
    expect(message).toContain('dataDirectory (missing): it must be given: a directory')
    expect(message).toContain(
      `dataDirctory (${file}): no such setting: did you mean dataDirectory?`,
    )
  })

  test('RT13: a secret is held as bytes, and no message repeats it', async () => {
    const canary = 'cnry-conf'

    const { config } = await loadConfig(settings, { flags: fine })
    const failure = await problemsOf({ flags: { ...fine, adminPassword: canary } })

    expect(utf8Text(config.adminPassword.reveal())).toBe(fine.adminPassword)
    expect(JSON.stringify(config) + inspect(config)).not.toContain(fine.adminPassword)
    expect(inspect(failure, { depth: 9 })).not.toContain(canary)
    expect(failure.message).toBe(
      'adminPassword (--admin-password): a text of 9 characters is not a password of at least 12 characters',
    )
  })

  test.each([
    ['{"adminPassword": "cnry-file', 'it is not one JSON object'],
    ['[]', 'it is not one JSON object'],
    ['', 'it is not one JSON object'],
  ])('RT13: a file with %j is refused without quoting it', async (content, why) => {
    const failure = await problemsOf({ file: await fileWith(content), flags: fine })

    expect(failure.problems).toMatchObject([{ field: 'config', why }])
    expect(inspect(failure)).not.toContain('cnry-file')
  })

  test('RT13: a file that is not there is named', async () => {
    const failure = await problemsOf({ file: '/nowhere/conclave.json', flags: fine })

    expect(failure.message).toBe('config (/nowhere/conclave.json): it cannot be read (ENOENT)')
  })

  test('RT13: names like those of every object are no settings', async () => {
    const file = await fileWith('{"constructor": 1, "__proto__": {"agentPort": 1}}')

    const failure = await problemsOf({ file, flags: fine })

    expect(failure.problems.map(({ field }) => field)).toEqual(['constructor', '__proto__'])
  })

  test('RT13: a field has one flag and one variable', () => {
    expect([flagOf('dataDirectory'), variableOf('dataDirectory')]).toEqual([
      '--data-directory',
      'CONCLAVE_DATA_DIRECTORY',
    ])
  })
})

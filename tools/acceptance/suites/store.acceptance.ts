import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canary, EtcdCluster, missingServer, scanDirectory } from '@conclave/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, conclaveProgram, Home, runProgram, type Outcome } from '../src/index.ts'

const password = canary('password')
const older = canary('older')
const passphrase = canary('passphrase')
const whyNoEtcd = missingServer('etcd')

/** What a test started, the last one first. */
const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one()
})
const homes: Home[] = []

interface Told {
  readonly clusterId: string
  readonly revision: number
  readonly recordCount: number
  readonly digest: string
  readonly keyring?: string
  readonly resumedAt?: number
}

/** `conclave store …` with the context of `home`, and what it said. */
async function store(home: Home, args: readonly string[]): Promise<Outcome & { told: Told }> {
  const outcome = await runProgram(
    process.execPath,
    [conclaveProgram, 'store', ...args, '--json'],
    {
      env: home.environment,
    },
  )
  const told = (outcome.code === 0 ? JSON.parse(outcome.stdout) : {}) as Told
  return { ...outcome, told }
}

async function done(home: Home, ...args: readonly string[]): Promise<Told> {
  const { code, stderr, told } = await store(home, args)
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
  return told
}

function newHome(): Home {
  const home = new Home()
  homes.push(home)
  return home
}

/** What must be the same wherever the state went. */
async function secretsOf(cluster: Conclave): Promise<unknown> {
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.cli(['secret', ...args])
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
    return stdout
  }
  return {
    value: await run('get', 'dev/db/password'),
    older: await run('get', 'dev/db/password', '--version', '1'),
    versions: JSON.parse(await run('versions', 'dev/db/password', '--json')) as unknown,
    list: (JSON.parse(await run('ls', '--json')) as object[]).map(asPeopleMadeIt),
  }
}

/** Its id and its revision say where in the history of one store it was written: another store has its own. */
function asPeopleMadeIt(secret: object): object {
  return { ...secret, id: undefined, revision: undefined }
}

async function startAgain(home: Home): Promise<Conclave> {
  const cluster = await Conclave.start([], { home })
  undo.push(() => cluster.stop())
  return cluster
}

describe('the state of a cluster', () => {
  let cluster: Conclave
  let passphraseFile: string
  let before: unknown

  beforeAll(async () => {
    cluster = await Conclave.start(['--agents', '1'])
    await cluster.cli(['secret', 'put', 'dev/db/password'], older.text)
    await cluster.cli(['secret', 'put', 'dev/db/password'], password.text)
    await cluster.cli(['secret', 'put', 'dev/gone'], 'a value')
    await cluster.cli(['secret', 'rm', 'dev/gone'])
    passphraseFile = cluster.home.file('passphrase')
    writeFileSync(passphraseFile, `${passphrase.text}\n`, { mode: 0o600 })
    before = await secretsOf(cluster)
  })
  // Homes last: what still runs ends with the first that goes.
  afterAll(async () => {
    await cluster?.stop()
    for (const home of homes) home.remove()
  })

  const withPassphrase = (): readonly string[] => ['--passphrase-file', passphraseFile]

  test('is exported, verified, and goes on in a new cluster with all its versions', async () => {
    const home = newHome()
    const file = home.file('backup.cnx')
    const exported = await done(cluster.home, 'export', file, ...withPassphrase())
    expect(exported).toMatchObject({ clusterId: cluster.ready.clusterId, keyring: 'inside' })

    const { code, stderr } = await store(cluster.home, ['export', file, ...withPassphrase()])
    expect({ code, stderr }).toEqual({ code: 6, stderr: expect.stringContaining('exists') })
    const verified = await done(home, 'verify', file, ...withPassphrase())
    expect(verified).toMatchObject({ digest: exported.digest, recordCount: exported.recordCount })

    await done(
      home,
      'import',
      file,
      '--data',
      home.file('data'),
      '--agents',
      '1',
      ...withPassphrase(),
    )
    const restored = await startAgain(home)

    expect(restored.ready.clusterId).toBe(cluster.ready.clusterId)
    expect(await secretsOf(restored)).toEqual(before)
    const again = await restored.cli(['secret', 'put', 'dev/db/password'], 'newer')
    expect(again.code).toBe(0)
    const { stdout } = await restored.cli(['secret', 'versions', 'dev/db/password', '--json'])
    expect(JSON.parse(stdout)).toMatchObject([{ version: 3 }, { version: 2 }, { version: 1 }])
    const over = await store(home, [
      'import',
      file,
      '--data',
      home.file('data'),
      ...withPassphrase(),
    ])
    expect(over).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('holds a cluster already'),
    })
  })

  test('is not taken from a file that is damaged, cut off, or of another passphrase', async () => {
    const home = newHome()
    const file = home.file('backup.cnx')
    await done(cluster.home, 'export', file, ...withPassphrase())
    const bytes = readFileSync(file)
    const wrong = home.file('wrong')
    writeFileSync(wrong, 'another passphrase', { mode: 0o600 })

    const flipped = Buffer.from(bytes)
    flipped[bytes.length >> 1] = (flipped[bytes.length >> 1] ?? 0) ^ 1
    for (const damaged of [flipped, bytes.subarray(0, bytes.length - 1)]) {
      writeFileSync(home.file('damaged'), damaged)
      const data = home.file('data')
      const imported = await store(home, [
        'import',
        home.file('damaged'),
        '--data',
        data,
        ...withPassphrase(),
      ])
      expect(imported.code).toBe(1)
      expect(existsSync(data)).toBe(false)
    }
    const refused = await store(home, ['verify', file, '--passphrase-file', wrong])
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('does not open') })
  })

  test('is sealed to a key that only its owner has', async () => {
    const home = newHome()
    const [file, keyFile] = [home.file('backup.cnx'), home.file('backup.key')]
    const made = await cluster.cli(['store', 'keygen', keyFile])
    await done(cluster.home, 'export', file, '--recipient', made.stdout.trim())

    expect((await done(home, 'verify', file, '--key-file', keyFile)).keyring).toBe('inside')
    const other = await cluster.cli(['store', 'keygen', home.file('other.key')])
    expect(other.code).toBe(0)
    const refused = await store(home, ['verify', file, '--key-file', home.file('other.key')])
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('another key') })
  })

  test('S2: shows nothing of a secret in the file, the output, or the logs', async () => {
    const home = newHome()
    const { stdout, stderr } = await store(cluster.home, [
      'export',
      home.file('backup.cnx'),
      ...withPassphrase(),
    ])
    writeFileSync(home.file('output'), stdout + stderr)

    const { hits } = await scanDirectory(home.directory, [password, older, passphrase])
    expect(hits).toEqual([])
    const logs = await scanDirectory(join(cluster.directory, 'logs'), [password, older, passphrase])
    expect(logs.hits).toEqual([])
  })

  describe.skipIf(whyNoEtcd !== undefined)(`with an etcd ${whyNoEtcd ?? ''}`, () => {
    test('migrates to etcd and back, and is the same', async () => {
      const etcd = await EtcdCluster.start()
      undo.push(() => etcd.stop())
      const home = newHome()
      const url = etcd.url('conclave/test')

      const there = await done(cluster.home, 'migrate', '--from', 'conclave:', '--to', url)
      expect(there).toMatchObject({ clusterId: cluster.ready.clusterId, resumedAt: 0 })
      const twice = await store(cluster.home, ['migrate', '--from', 'conclave:', '--to', url])
      expect(twice).toMatchObject({ code: 6, stderr: expect.stringContaining('not empty') })

      // Nothing that is secret lies in etcd's own files.
      const { hits, files } = await scanDirectory(etcd.directory, [password, older])
      expect(hits).toEqual([])
      expect(files).toBeGreaterThan(3)

      const kek = ['--kek-from', join(cluster.directory, 'masters', 'master-1')]
      const data = home.file('data')
      const into = ['--to', `conclave:${data}`, '--masters', '1', '--agents', '1']
      const back = await done(home, 'migrate', '--from', url, ...kek, ...into)
      expect(back.recordCount).toBe(there.recordCount)
      const restored = await startAgain(home)

      expect(await secretsOf(restored)).toEqual(before)
    })
  })
})

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unwrapKey, verifyPassword } from '@conclave/crypto'
import { wipe } from '@conclave/kernel'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ClusterDirectoryUnusable } from './errors.ts'
import { loadKekAtRest } from './kek-at-rest.ts'
import { manifestFile, masterDirectory, agentDirectory, schedulerDirectory } from './layout.ts'
import {
  loadAccountKey,
  loadFirstIdentities,
  loadMember,
  MemberFileUnusable,
} from './member-files.ts'
import { addressesFor, prepareCluster } from './prepare-cluster.ts'

const plan = { masters: 3, agents: 2 }
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-prepare-'))
})
afterEach(async () => rm(directory, { recursive: true, force: true }))

async function filesBelow(at: string): Promise<string[]> {
  const entries = await readdir(at, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

test.skipIf(process.platform === 'win32').each([0o777, 0o720])(
  'PC3: no key is written into a directory of mode %o, where others may write, too',
  async (mode) => {
    await chmod(directory, mode)

    await expect(prepareCluster(directory, plan)).rejects.toThrow(/chmod 700/)

    expect(await readdir(directory)).toEqual([])
  },
)

describe('a new cluster', () => {
  test('PC1: has a certificate of its own authority for each master and each agent', async () => {
    const { manifest } = await prepareCluster(directory, plan)

    const masters = await Promise.all(
      manifest.masters.map(({ masterId }) =>
        loadMember(masterDirectory(directory, masterId), 'conclave-master'),
      ),
    )
    const agents = await Promise.all(
      manifest.agents.map((id) => loadMember(agentDirectory(directory, id), 'conclave-agent')),
    )

    expect(masters.map(({ id }) => id)).toEqual(['master-1', 'master-2', 'master-3'])
    expect(agents.map(({ id }) => id)).toEqual(['agent-1', 'agent-2'])
    const clusters = new Set([...masters, ...agents].map(({ clusterId }) => clusterId))
    expect(clusters).toEqual(new Set([manifest.clusterId]))
    expect(new Set([...masters, ...agents].map(({ identity }) => identity.authorityPem)).size).toBe(
      1,
    )
  })

  test('PC3: has one key for all masters, and under it the key of its authority', async () => {
    const { manifest } = await prepareCluster(directory, plan)

    for (const { masterId } of manifest.masters) {
      const own = masterDirectory(directory, masterId)
      const wrapped = await readFile(join(own, 'ca.key.wrapped'))
      const kek = await loadKekAtRest(own)
      if (kek === undefined) throw new Error(`${masterId} has no KEK`)
      const opened = unwrapKey({ kek, wrapped, clusterId: manifest.clusterId, name: 'ca' })
      expect(Buffer.from(opened.reveal()).toString()).toMatch(/^-----BEGIN PRIVATE KEY-----/)
      wipe(opened)
    }
  })

  test('PC1: knows one superuser by a hash, and each scheduler by its public key', async () => {
    const { manifest, password } = await prepareCluster(directory, plan)

    const own = masterDirectory(directory, 'master-1')
    const { users = [], permissions } = (await loadFirstIdentities(own)) ?? {}
    const [dev, scheduler] = users
    if (password === undefined) throw new Error('no password for a new cluster')
    expect(dev?.uid).toBe(manifest.superuser)
    expect(await verifyPassword(password, dev?.passwordHash)).toBe(true)
    expect(scheduler).toMatchObject({ uid: 'scheduler-1', isService: true })
    expect(scheduler?.passwordHash).toBeUndefined()
    expect(permissions).toContainEqual({ uid: 'dev', rid: 'dcos:superuser', actions: ['full'] })
    const scheduling = permissions?.filter(({ rid }) => rid === 'dcos:conclave:scheduling')
    expect(scheduling).toEqual([
      { uid: 'scheduler-1', rid: 'dcos:conclave:scheduling', actions: ['full'] },
    ])
    const key = await loadAccountKey(schedulerDirectory(directory, 'scheduler-1'))
    expect(Buffer.from(key.reveal()).toString()).toMatch(/^-----BEGIN PRIVATE KEY-----/)
  })

  test('PC3: keeps the password nowhere, and every key readable by its owner alone', async () => {
    const { password } = await prepareCluster(directory, plan)
    const text = Buffer.from(password?.reveal() ?? []).toString()

    const files = await filesBelow(directory)
    const holding = await Promise.all(
      files.map(async (file) => (await readFile(file)).includes(text)),
    )
    const modes = await Promise.all(files.map(async (file) => (await stat(file)).mode & 0o077))
    expect(files.filter((_, index) => holding[index])).toEqual([])
    const isOpen = (_: string, index: number): boolean => modes[index] !== 0
    // A certificate of the authority is for everybody to know.
    expect(files.filter(isOpen).every((file) => file.endsWith('ca.pem'))).toBe(true)
  })
})

test('PC4: a password is handed over before the cluster counts as made', async () => {
  const told: string[] = []
  const keepPassword = (clusterId: string): void => {
    told.push(clusterId)
    throw new Error('the disk is full')
  }

  await expect(prepareCluster(directory, { ...plan, keepPassword })).rejects.toThrow('disk is full')
  const { manifest, password } = await prepareCluster(directory, plan)

  expect(password).toBeDefined()
  expect(told).not.toContain(manifest.clusterId)
})

describe('a directory that was prepared before', () => {
  test('PC2: is left exactly as it is, and its password is not known again', async () => {
    const first = await prepareCluster(directory, plan)
    const before = await Promise.all((await filesBelow(directory)).map((file) => readFile(file)))

    const second = await prepareCluster(directory, { masters: 5, agents: 9 })

    expect(second.manifest).toEqual(first.manifest)
    expect(second.password).toBeUndefined()
    const after = await Promise.all((await filesBelow(directory)).map((file) => readFile(file)))
    expect(after).toEqual(before)
  })

  test('PC1: is filled anew when its filling was interrupted', async () => {
    await prepareCluster(directory, plan)
    // As a crash leaves it: some members' files are there, the manifest that comes last is not.
    await rm(manifestFile(directory))
    await rm(masterDirectory(directory, 'master-2'), { recursive: true })
    await writeFile(join(directory, 'unfinished'), '')

    const { manifest, password } = await prepareCluster(directory, plan)

    expect(password).toBeDefined()
    for (const { masterId } of manifest.masters) {
      const { clusterId } = await loadMember(
        masterDirectory(directory, masterId),
        'conclave-master',
      )
      expect(clusterId).toBe(manifest.clusterId)
    }
    expect(await readdir(directory)).not.toContain('unfinished')
  })

  test('is made with all that lead to it', async () => {
    const deep = join(directory, 'a', 'b', 'cluster')

    await prepareCluster(deep, plan)

    expect(await readdir(deep)).toContain('cluster.json')
    expect((await stat(join(directory, 'a'))).mode & 0o077).toBe(0)
  })

  test.skipIf(process.platform !== 'linux')(
    'is refused at once where none can be made',
    async () => {
      await expect(prepareCluster('/proc/no/such', plan)).rejects.toThrow(ClusterDirectoryUnusable)
    },
  )

  test('PC1: is refused when it holds anything else', async () => {
    await writeFile(join(directory, 'thesis.txt'), 'years of work')

    await expect(prepareCluster(directory, plan)).rejects.toThrow(ClusterDirectoryUnusable)
    expect(await readFile(join(directory, 'thesis.txt'), 'utf8')).toBe('years of work')
  })

  test('is refused when its manifest is damaged, which is named', async () => {
    await prepareCluster(directory, plan)
    await writeFile(manifestFile(directory), '{"version":1,"clusterId":"x"}')

    await expect(prepareCluster(directory, plan)).rejects.toThrow(/damaged at clusterId/)
  })
})

describe('what a member finds in its directory', () => {
  test('PC6: must be for its role', async () => {
    await prepareCluster(directory, plan)

    const wrong = loadMember(agentDirectory(directory, 'agent-1'), 'conclave-master')
    await expect(wrong).rejects.toThrow(MemberFileUnusable)
  })

  test.skipIf(process.platform === 'win32')('PC6: must be closed to others', async () => {
    await prepareCluster(directory, plan)
    const file = join(masterDirectory(directory, 'master-1'), 'kek.key')
    await chmod(file, 0o644)

    await expect(loadKekAtRest(masterDirectory(directory, 'master-1'))).rejects.toThrow(/chmod 600/)
  })
})

describe('the addresses of a cluster', () => {
  test('PC5: are all different, and the same again at the next start', async () => {
    const cluster = await prepareCluster(directory, plan)

    const first = await addressesFor(cluster)
    const second = await addressesFor(cluster)

    expect(second).toEqual(first)
    const ports = first.flatMap(({ ports: own }) => Object.values(own))
    expect(new Set(ports).size).toBe(18)
  })

  test('PC5: are others when one of them is taken', async () => {
    const cluster = await prepareCluster(directory, plan)
    const first = await addressesFor(cluster)
    const squatter = createServer()
    await new Promise<void>((resolve) => {
      squatter.listen(first[1]?.ports.dcos, '127.0.0.1', resolve)
    })

    const second = await addressesFor(cluster)
    squatter.close()

    expect(second).not.toEqual(first)
  })
})

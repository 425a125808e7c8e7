import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { foundingKey, FoundingRecord } from '@conclave/actors'
import { hashPassword, isEnvelope } from '@conclave/crypto'
import { EtcdClient, EtcdStore } from '@conclave/engine-etcd'
import { JournalLocked, NodeDisk } from '@conclave/journal'
import { Redacted, utf8 } from '@conclave/kernel'
import { encodeRecord } from '@conclave/model'
import { SystemRandom } from '@conclave/runtime'
import type { KeyValue } from '@conclave/store'
import { canary, EtcdCluster, missingServer, scanDirectory } from '@conclave/testkit'
import { progressKey } from '@conclave/transfer'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { devCaller, TestCluster } from '../../testing/test-cluster.ts'
import { whyToWait, type Newcomer } from './admission.ts'
import { checkEngine, EngineMismatch, hasJournal, noteEngine } from './engine-file.ts'
import { connectEtcd, EngineUnusable, isEngineUrl } from './etcd-engine.ts'
import { holdDirectory } from './held-directory.ts'

const clusterId = '5c6a1c1e-0000-4000-8000-00000000000a'
const whyNoEtcd = missingServer('etcd')

function stateWith(values: Readonly<Record<string, Uint8Array>>) {
  return {
    get: (key: string): KeyValue | undefined => {
      const value = values[key]
      return value && { key, value, createRevision: 1, modRevision: 1, version: 1 }
    },
  }
}

const foundedBy = (id: string): Uint8Array =>
  encodeRecord(FoundingRecord.parse({ clusterId: id, atMs: 1, masterId: 'master-1' }))

const founder: Newcomer = { clusterId, prefix: '/conclave', isFounder: true, hasJournal: false }

describe('AS14: a master in front of an etcd', () => {
  test('goes on with the state of its own cluster, and begins one where there is none', () => {
    expect(whyToWait(founder, stateWith({}))).toBeUndefined()
    const own = stateWith({ [foundingKey]: foundedBy(clusterId) })
    expect(whyToWait(founder, own)).toBeUndefined()
    expect(whyToWait({ ...founder, hasJournal: true, isFounder: false }, own)).toBeUndefined()
  })

  test('takes no other cluster for its own, and founds none while it has a state of its own', () => {
    const other = stateWith({ [foundingKey]: foundedBy('5c6a1c1e-0000-4000-8000-00000000000b') })
    expect(() => whyToWait(founder, other)).toThrow(EngineMismatch)
    const withJournal = { ...founder, hasJournal: true }
    expect(() => whyToWait(withJournal, stateWith({}))).toThrow('store migrate')
  })

  test('waits for a copy to be finished, and for the cluster that it joins', () => {
    const half = stateWith({ [progressKey]: utf8('{}'), [foundingKey]: foundedBy(clusterId) })
    expect(whyToWait(founder, half)).toContain('store migrate')
    expect(whyToWait({ ...founder, isFounder: false }, stateWith({}))).toContain('joins')
  })
})

describe('AS14: where its state is', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'conclave-engine-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  test('stands in its directory, so that it starts in front of nothing else', async () => {
    await checkEngine(directory, undefined)
    await checkEngine(directory, '/a')

    await noteEngine(directory, '/a')

    await checkEngine(directory, '/a')
    await expect(checkEngine(directory, undefined)).rejects.toThrow('--engine etcd://…/a')
    await expect(checkEngine(directory, '/b')).rejects.toThrow('not below /b')
    await writeFile(join(directory, 'engine.json'), 'damaged')
    await expect(checkEngine(directory, '/a')).rejects.toThrow(EngineMismatch)
  })

  test('is held by one master at a time, with the journal that a migration has left', async () => {
    const disk = new NodeDisk()
    const letGo = await holdDirectory(directory)
    await expect(holdDirectory(directory)).rejects.toThrow(JournalLocked)
    await letGo()
    await letGo()

    await mkdir(join(directory, 'journal'))
    await writeFile(join(directory, 'journal', '1.log'), '')
    const journal = await disk.lock(join(directory, 'journal'))
    await expect(holdDirectory(directory)).rejects.toThrow(JournalLocked)
    await journal.release()
    await (
      await holdDirectory(directory)
    )()
    expect(await readdir(directory)).toEqual(['journal'])
  })

  test('was its journal, if there is anything in one', async () => {
    expect(await hasJournal(directory)).toBe(false)
    await mkdir(join(directory, 'journal'))
    expect(await hasJournal(directory)).toBe(false)
    await writeFile(join(directory, 'journal', '1.log'), 'x')
    expect(await hasJournal(directory)).toBe(true)
  })

  test.each([
    [{ certFile: '/c', caFile: '/a' }, 'needs its key'],
    [{ certFile: '/c', keyFile: '/k' }, 'authority'],
    [{ user: 'conclave' }, 'password'],
    [{ caFile: '/no/such/file' }, '/no/such/file cannot be read'],
  ])('is not reached by half of what it takes: %j', async (files, words) => {
    const connecting = connectEtcd({ url: 'etcd://localhost/conclave', ...files })
    await expect(connecting).rejects.toThrow(EngineUnusable)
    await expect(connectEtcd({ url: 'etcd://localhost/conclave', ...files })).rejects.toThrow(words)
  })

  test('has an address that holds no password', () => {
    expect(isEngineUrl('etcd://10.0.0.1:2379,10.0.0.2/conclave/prod')).toBe(true)
    for (const text of ['etcd://user:pw@host', 'http://host', 'etcd://', '']) {
      expect(isEngineUrl(text)).toBe(false)
    }
  })
})

/** Files that somebody who has etcd's disk could try passwords against. */
async function filesWithHash(directory: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const content = await readFile(join(entry.parentPath, entry.name))
    if (content.includes('$scrypt$')) found.push(entry.name)
  }
  return found
}

describe.skipIf(whyNoEtcd !== undefined)(
  `AS14: masters in front of etcd ${whyNoEtcd ?? ''}`,
  () => {
    test('keep secrets there and nothing of them here, and begin where they ended', async () => {
      const etcd = await EtcdCluster.start({ size: 1 })
      onTestFinished(() => etcd.stop())
      const engine = { url: etcd.url('conclave/assembly') }
      const cluster = await TestCluster.start({ masters: 2 }, { engine })
      onTestFinished(() => cluster.remove())
      const value = canary('value')
      const [one, two] = cluster.masters
      const bytes = new Redacted(Uint8Array.from(value.bytes))
      await one?.api.secrets.create(devCaller, 'dev/db', { kind: 'text', bytes })

      const seen = await two?.api.secrets.read(devCaller, 'dev/db')
      expect(seen?.metadata.version).toBe(1)
      for (const at of cluster.addresses) {
        await expect(cluster.startMaster(at.masterId, { engine })).rejects.toThrow(JournalLocked)
      }
      await Promise.all(cluster.masters.map((master) => master.destroy()))
      const { masterId } = cluster.addresses[0] ?? { masterId: '' }
      const again = await cluster.startMaster(masterId, { engine })
      await again.ready()
      const read = await again.api.secrets.read(devCaller, 'dev/db')
      expect(Buffer.from(read.bytes.reveal()).equals(Buffer.from(value.bytes))).toBe(true)

      for (const directory of [etcd.directory, cluster.directory]) {
        expect((await scanDirectory(directory, [value])).hits).toEqual([])
      }
      expect(cluster.lines.some((line) => line.includes(value.text))).toBe(false)
      expect(await filesWithHash(etcd.directory)).toEqual([])
    }, 60_000)

    test('seal the hashes of passwords that an earlier build has left there', async () => {
      const etcd = await EtcdCluster.start({ size: 1 })
      onTestFinished(() => etcd.stop())
      const engine = { url: etcd.url('conclave/earlier') }
      const cluster = await TestCluster.start({ masters: 1 }, { engine })
      onTestFinished(() => cluster.remove())
      const { masterId } = cluster.addresses[0] ?? { masterId: '' }
      await Promise.all(cluster.masters.map((master) => master.destroy()))
      const random = new SystemRandom()
      const client = new EtcdClient({ endpoints: etcd.endpoints })
      onTestFinished(() => client.close())
      const store = new EtcdStore({ client, prefix: '/conclave/earlier', random })
      const password = canary('password')
      const hash = await hashPassword(new Redacted(utf8(password.text)), random)
      const key = 'identity/password/dev'
      const { revision } = await store.put(key, encodeRecord({ hash }))
      expect(await filesWithHash(etcd.directory)).not.toEqual([])

      const master = await cluster.startMaster(masterId, { engine })
      await master.ready()

      await vi.waitFor(async () => {
        const kv = await store.get(key)
        expect(kv && isEnvelope(kv.value)).toBe(true)
        await expect(store.get(key, { at: revision })).rejects.toThrow()
      }, 20_000)
      const given = new Redacted(utf8(password.text))
      expect(await master.api.identity.login('dev', given, '127.0.0.1')).toBeDefined()
    }, 60_000)
  },
)

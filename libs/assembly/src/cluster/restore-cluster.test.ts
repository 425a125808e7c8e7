import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stateBoxContext, type Caller, type StateLine } from '@conclave/actors'
import { AeadKey, createBoxKeyPair, Kek, openBox, unwrapKeyring } from '@conclave/crypto'
import { Redacted, utf8, utf8Text, wipe } from '@conclave/kernel'
import { SystemRandom } from '@conclave/runtime'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { RunningMaster } from '../master/master.ts'
import { startMaster } from '../master/start-master.ts'
import { chooseAddresses } from './addresses.ts'
import { masterDirectory } from './layout.ts'
import { prepareCluster, readManifest, type PreparedCluster } from './prepare-cluster.ts'
import { restoreCluster, type RestorableState } from './restore-cluster.ts'

const caller: Caller = { principal: { uid: 'dev' }, requestId: 'request-1' }
const random = new SystemRandom()
/** For a master that is elected, founds, and moves its records under another key. */
const patience = { timeout: 10_000, interval: 20 }
const plan = { masters: 1, agents: 0 }

let home: string
let running: RunningMaster[]

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'conclave-restore-'))
  running = []
})
afterEach(async () => {
  await Promise.all(running.map((master) => master.destroy()))
  await rm(home, { recursive: true, force: true })
})

async function start({ directory, manifest }: PreparedCluster): Promise<RunningMaster> {
  const masters = await chooseAddresses(manifest.masters, '127.0.0.1', random)
  const master = await startMaster({ directory: masterDirectory(directory, 'master-1'), masters })
  if (!('api' in master)) throw new Error('it is locked')
  running.push(master)
  // The authority is the last thing that a leader founds.
  await vi.waitFor(() => master.api.authority.status(caller), patience)
  return master
}

const put = ({ api }: RunningMaster, path: string, value: string): Promise<unknown> =>
  api.secrets.create(caller, path, { kind: 'text', bytes: new Redacted(utf8(value)) })

async function read({ api }: RunningMaster, path: string): Promise<string> {
  const { bytes } = await api.secrets.read(caller, path)
  return utf8Text(bytes.reveal())
}

async function stateOf({ api }: RunningMaster): Promise<RestorableState> {
  const pair = createBoxKeyPair(random)
  const lines: StateLine[] = []
  for await (const line of api.state.export(caller, pair.publicKey)) lines.push(line)
  const [head] = lines
  if (head?.kind !== 'head') throw new Error('there is no head')
  const { clusterId, revision, transportKey } = head
  const key = openBox(pair, Buffer.from(transportKey, 'base64'), stateBoxContext(clusterId))
  const kek = Kek.of(AeadKey.of(key.reveal()))
  return {
    clusterId,
    revision,
    keyring: unwrapKeyring({ kek, clusterId, wrapped: Buffer.from(head.keyring, 'base64') }),
    records: lines.flatMap((line) =>
      line.kind === 'record'
        ? [{ ...line, value: new Uint8Array(Buffer.from(line.value, 'base64')) }]
        : [],
    ),
  }
}

/** A state that has seen a KEK and a DEK come and go, and is locked. */
async function stateWithHistory(): Promise<{ state: RestorableState; root: string }> {
  const master = await start(await prepareCluster(join(home, 'old'), plan))
  await put(master, 'dev/before', 'under the first DEK')
  // Which draws a new KEK and a new DEK.
  wipe(await master.api.lock.lock(caller))
  await expect
    .poll(() => master.api.lock.status(caller), patience)
    .toMatchObject({ keys: { kept: [2], left: 0 } })
  await put(master, 'dev/after', 'under the second')
  const { root } = await master.api.authority.status(caller)
  const state = await stateOf(master)
  await master.stop()
  return { state, root: JSON.stringify(root) }
}

test('PC7: a restored cluster has the secrets of the old one, and locks, DEKs and a root of its own', async () => {
  const { state, root } = await stateWithHistory()

  const made = await restoreCluster(join(home, 'new'), plan, state)
  const master = await start(made)

  expect(made.manifest.clusterId).toBe(state.clusterId)
  expect(await read(master, 'dev/before')).toBe('under the first DEK')
  expect(await read(master, 'dev/after')).toBe('under the second')
  expect(await master.api.lock.status(caller)).toMatchObject({
    isOn: false,
    kekVersion: 1,
    keys: { newest: 2, kept: [2], left: 0 },
  })
  expect(JSON.stringify((await master.api.authority.status(caller)).root) === root).toBe(false)
  expect(master.api.status().members.map(({ masterId }) => masterId)).toEqual(['master-1'])

  // All that it has of its own can be replaced as in any other.
  wipe(await master.api.lock.lock(caller))
  await expect
    .poll(() => master.api.lock.status(caller), patience)
    .toMatchObject({ isOn: true, kekVersion: 2, keys: { newest: 3, kept: [3], left: 0 } })
  expect(await read(master, 'dev/before')).toBe('under the first DEK')
})

test('PC8: what broke off left no cluster, and can be done again; a cluster is never written over', async () => {
  const { state } = await stateWithHistory()
  const directory = join(home, 'new')
  const failing = {
    ...plan,
    keepPassword: () => {
      throw new Error('nobody could keep it')
    },
  }

  await expect(restoreCluster(directory, failing, state)).rejects.toThrow('nobody could keep it')
  expect(await readManifest(directory)).toBeUndefined()

  const made = await restoreCluster(directory, plan, state)
  expect(await read(await start(made), 'dev/after')).toBe('under the second')
  await expect(restoreCluster(directory, plan, state)).rejects.toThrow(/holds a cluster already/)
})

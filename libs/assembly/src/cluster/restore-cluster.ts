import { join } from 'node:path'
import { lastTermIn, restoreChanges, type FirstIdentities } from '@conclave/actors'
import type { Kek, Keyring } from '@conclave/crypto'
import { NodeDisk, openJournal } from '@conclave/journal'
import { invariant, type Random } from '@conclave/kernel'
import { foundingSnapshot, type SnapshotMeta } from '@conclave/raft'
import { SystemClock, SystemRandom } from '@conclave/runtime'
import { encodeCommand, snapshotOf, StoreMachine, type StateRecord } from '@conclave/store'
import { openKeys } from '../master/keys/open-keys.ts'
import { ClusterDirectoryUnusable } from './errors.ts'
import { masterDirectory } from './layout.ts'
import type { ClusterManifest } from './manifest.ts'
import {
  prepareCluster,
  readManifest,
  type ClusterPlan,
  type PreparedCluster,
} from './prepare-cluster.ts'

/** A state, opened: whose it was, when, and all that is in it. */
export interface RestorableState {
  readonly clusterId: string
  readonly revision: number
  readonly keyring: Keyring
  /** In key order. */
  readonly records: readonly StateRecord[]
}

/** How many changes one command may hold. */
const opsMax = 256

/**
 * Makes a new cluster in `directory` that begins with the state of another: same id, same secrets, people
 * and history of numbers; new masters, a new authority, a new KEK. Whole or not at all: until the manifest
 * is written, which comes last, no member would start there.
 *
 * @throws ClusterDirectoryUnusable when a cluster is there already, or anything else
 */
export async function restoreCluster(
  directory: string,
  plan: ClusterPlan,
  state: RestorableState,
): Promise<PreparedCluster> {
  if ((await readManifest(directory)) !== undefined) {
    throw new ClusterDirectoryUnusable(
      directory,
      'it holds a cluster already, and a state is only ever put into a new one; name another directory',
    )
  }
  const { clusterId } = state
  return prepareCluster(directory, {
    ...plan,
    clusterId,
    seed: (made) => seed(directory, made, state, plan.random ?? new SystemRandom()),
  })
}

interface Made {
  readonly manifest: ClusterManifest
  readonly kek: Kek
  readonly identities: FirstIdentities
}

async function seed(
  directory: string,
  { manifest, kek, identities }: Made,
  state: RestorableState,
  random: Random,
): Promise<void> {
  const machine = new StoreMachine()
  machine.restore(snapshotOf(state.revision, state.records))
  const nowMs = new SystemClock().nowMs()
  const { clusterId } = manifest
  const changes = restoreChanges({
    view: machine,
    clusterId,
    kek,
    keyring: state.keyring,
    identities,
    nowMs,
    random,
  })
  for (let at = 0; at < changes.length; at += opsMax) {
    const success = changes.slice(at, at + opsMax)
    machine.apply(encodeCommand({ nowMs, compare: [], success }))
  }
  const voters = manifest.masters.map(({ nodeId }) => nodeId)
  const meta = { ...foundingSnapshot(voters).meta, term: lastTermIn(machine) + 1 }
  for (const { masterId, nodeId } of manifest.masters) {
    const own = masterDirectory(directory, masterId)
    await saveFirst(own, { masterId, nodeId, clusterId, kek, random }, meta, machine)
  }
}

/** The same snapshot for each master, under a key of its own. */
async function saveFirst(
  own: string,
  member: {
    readonly masterId: string
    readonly nodeId: number
    readonly clusterId: string
    readonly kek: Kek
    readonly random: Random
  },
  meta: SnapshotMeta,
  machine: StoreMachine,
): Promise<void> {
  const { masterId, nodeId, clusterId, kek, random } = member
  const owner = { clusterId, masterId }
  const disk = new NodeDisk()
  const opened = await openKeys({ disk, directory: own, owner, random }, kek)
  invariant(opened.state === 'open', 'keys that were just made are open')
  const [newest] = opened.keeper.keys
  invariant(newest !== undefined, 'a journal has a key')
  const key = newest.key.bytes()
  const { journal } = await openJournal({
    directory: join(own, 'journal'),
    key,
    keyId: newest.id,
    clusterId,
    nodeId,
    random,
  }).finally(() => key.fill(0))
  try {
    const sink = await journal.beginSnapshot(meta)
    const writer = machine.beginSnapshot()
    for (let chunk = writer.next(); chunk !== undefined; chunk = writer.next()) {
      await sink.write(chunk)
    }
    await sink.commit()
  } finally {
    await journal.close()
  }
}

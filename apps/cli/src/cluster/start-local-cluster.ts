import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  addressesFor,
  isRemoved,
  masterDirectory,
  prepareCluster,
  urlsOf,
  type ClusterManifest,
  type EtcdEngine,
  type MasterAddress,
} from '@conclave/assembly'
import { wipe, type RedactedBytes } from '@conclave/kernel'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import { recallPassword, rememberPassword, type Context } from '../context.ts'
import { CommandFailed } from '../failure.ts'
import { LocalCluster, type Mode } from './local-cluster.ts'
import { membersAsProcesses } from './members-as-processes.ts'
import { membersInProcess } from './members-in-process.ts'

export interface LocalClusterPlan {
  readonly directory: string
  readonly mode: Mode
  readonly masters: number
  readonly agents: number
  /** What masters speak to each other over: `tcp`, or the address of a Redis. */
  readonly peerWire: RedactedBytes
  /** An etcd that keeps the state, rather than the masters. */
  readonly engine?: EtcdEngine | undefined
  /** Which images docker sockets know. Agents are told by their settings. */
  readonly simulatedImages?: SimulatedImagesMode
  /** Of every agent, by field name. */
  readonly agentSettings?: Readonly<Record<string, unknown>>
  /** Whether masters show inline secrets as Mesos does; agents have a setting for it. */
  readonly faithfulLeaks?: boolean
  /** Whether the cluster will be started again from its directory. */
  readonly isKept: boolean
  /** Called when a member ends and nobody had asked for it. */
  readonly onLost: (id: string, why: string) => void
  /** Called before the first member starts: where the cluster will be found. */
  readonly onPrepared?: (context: Context) => void
  /** How many entries lead a master to a snapshot; its own default unless given. */
  readonly snapshotEntries?: number
  /** Whether it is still wanted. */
  readonly signal?: AbortSignal
}

export interface StartedCluster {
  readonly cluster: LocalCluster
  readonly addresses: readonly MasterAddress[]
}

/** Sets a cluster up in `directory` unless it is there, and starts all its members. */
export async function startLocalCluster(plan: LocalClusterPlan): Promise<StartedCluster> {
  const { directory, mode, onLost } = plan
  const prepared = await prepareCluster(directory, {
    masters: plan.masters,
    agents: plan.agents,
    // Before the cluster counts as made: a password that is lost in a crash cannot be made again.
    keepPassword: (clusterId, password) => {
      if (plan.isKept) rememberPassword(clusterId, textOf(password))
    },
  })
  const { manifest, password } = prepared
  const everywhere = await addressesFor(prepared)
  const masters = await stillMasters(directory, prepared.manifest.masters)
  const addresses = everywhere.filter((one) =>
    masters.some(({ masterId }) => masterId === one.masterId),
  )
  const context: Context = {
    clusterId: manifest.clusterId,
    masters: addresses.map(urlsOf),
    uid: manifest.superuser,
    password: password === undefined ? remembered(directory, manifest.clusterId) : textOf(password),
  }
  if (password !== undefined) wipe(password)
  plan.onPrepared?.(context)
  mkdirSync(join(directory, 'logs'), { recursive: true, mode: 0o700 })
  const { snapshotEntries, peerWire, engine, agentSettings, simulatedImages } = plan
  const options = {
    directory,
    manifest: { ...manifest, masters },
    // All of them, since who founded a cluster is told by that to a master that never started.
    addresses: everywhere,
    peerWire,
    engine,
    ...(snapshotEntries && { snapshotEntries }),
    faithfulLeaks: plan.faithfulLeaks === true,
    ...(agentSettings && { agentSettings }),
    ...(simulatedImages && { simulatedImages }),
  }
  const members = mode === 'processes' ? membersAsProcesses(options) : membersInProcess(options)
  return {
    cluster: await LocalCluster.start({
      directory,
      context,
      mode,
      members,
      onLost,
      ...(plan.signal && { signal: plan.signal }),
    }),
    addresses,
  }
}

/** Without those who were removed since: their directories stay, and are not started again. */
async function stillMasters(
  directory: string,
  masters: ClusterManifest['masters'],
): Promise<ClusterManifest['masters']> {
  const removed = await Promise.all(
    masters.map(({ masterId }) => isRemoved(masterDirectory(directory, masterId))),
  )
  const left = masters.filter((_, index) => removed[index] === false)
  if (left.length > 0) return left
  throw new CommandFailed(
    'usage',
    `every master that ${directory} was set up with was removed from its cluster; start those that joined: conclave master join --data DIR`,
  )
}

/** A login sends it as JSON, so the context keeps it as text. */
const textOf = (password: RedactedBytes): string => Buffer.from(password.reveal()).toString('utf8')

function remembered(directory: string, clusterId: string): string {
  const password = recallPassword(clusterId)
  if (password !== undefined) return password
  throw new CommandFailed(
    'usage',
    `${directory} holds a cluster whose first password is not known here: it was kept in the context ` +
      'of whoever started it first. Set CONCLAVE_CONTEXT to that file, or use another --data directory',
  )
}

import {
  agentDirectory,
  agentOptionsOf,
  dockerSocketIn,
  loadAccountKey,
  logFile,
  masterDirectory,
  schedulerDirectory,
  parsePeerWire,
  readAgentSettings,
  startMaster,
  startMemberAgent,
  startScheduler,
  urlsOf,
  type ClusterManifest,
  type EtcdEngine,
  type MasterAddress,
} from '@conclave/assembly'
import type { RedactedBytes } from '@conclave/kernel'
import { createLogger, type Log } from '@conclave/runtime'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import { agentListeners, anyPort, neverLost, type MemberPlan } from './member.ts'

export interface InProcessOptions {
  readonly directory: string
  readonly manifest: ClusterManifest
  readonly addresses: readonly MasterAddress[]
  readonly snapshotEntries?: number
  readonly peerWire: RedactedBytes
  readonly engine?: EtcdEngine | undefined
  /** Of every master. */
  readonly faithfulLeaks: boolean
  readonly simulatedImages?: SimulatedImagesMode
  /** Of every agent, by field name. */
  readonly agentSettings?: Readonly<Record<string, unknown>>
}

/** Every member in this process, each with its own directory, log, listeners and connections. */
export function membersInProcess(options: InProcessOptions): readonly MemberPlan[] {
  const { masters, agents, schedulers } = options.manifest
  return [
    ...masters.map(({ masterId }) => masterPlan(options, masterId)),
    ...agents.map((id) => agentPlan(options, id)),
    ...schedulers.map(({ schedulerId, uid }) => schedulerPlan(options, schedulerId, uid)),
  ]
}

function masterPlan(options: InProcessOptions, id: string): MemberPlan {
  const directory = masterDirectory(options.directory, id)
  return {
    id,
    kind: 'master',
    directory,
    start: async () => {
      const log = logOf(options, id)
      const { addresses, snapshotEntries, engine, faithfulLeaks, simulatedImages } = options
      const socket = dockerSocketIn(directory, options.manifest.superuser)
      const replicaLimits = snapshotEntries === undefined ? {} : { snapshotEntries }
      const master = await startMaster({
        directory,
        masters: addresses,
        log,
        replicaLimits,
        engine,
        faithfulLeaks,
        docker: socket && { ...socket, simulatedImages },
        peerWire: parsePeerWire(options.peerWire),
      })
      return {
        lost: master.failed.then(reasonOf),
        stop: () => master.stop(),
        kill: () => master.destroy(),
      }
    },
  }
}

function agentPlan(options: InProcessOptions, id: string): MemberPlan {
  const directory = agentDirectory(options.directory, id)
  return {
    id,
    kind: 'agent',
    directory,
    start: async () => {
      const log = logOf(options, id)
      const settings = agentOptionsOf(
        await readAgentSettings({ ...anyPort, ...options.agentSettings }),
      )
      const { agent } = await startMemberAgent({
        directory,
        masters: options.addresses,
        ...settings,
        log,
      })
      return {
        listeners: agentListeners(agent.listensAt),
        lost: neverLost,
        stop: () => agent.stop(),
        kill: async () => agent.destroy(),
      }
    },
  }
}

function schedulerPlan(options: InProcessOptions, id: string, uid: string): MemberPlan {
  const directory = schedulerDirectory(options.directory, id)
  return {
    id,
    kind: 'scheduler',
    directory,
    start: async () => {
      const scheduler = await startScheduler({
        directory,
        masters: options.addresses.map(urlsOf),
        account: { uid, privateKey: await loadAccountKey(directory) },
        log: logOf(options, id),
      })
      return {
        lost: neverLost,
        stop: () => scheduler.stop(),
        kill: async () => scheduler.destroy(),
      }
    },
  }
}

const logOf = ({ directory }: InProcessOptions, id: string): Log =>
  createLogger({ to: { file: logFile(directory, id) }, base: { source: id } })

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : 'it failed')

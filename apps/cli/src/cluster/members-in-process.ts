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
} from '@conclave/assembly'
import { createLogger, type Log } from '@conclave/runtime'
import {
  agentListeners,
  anyPort,
  neverLost,
  type MemberPlan,
  type MembersOptions,
} from './member.ts'

/** Every member in this process, each with its own directory, log, listeners and connections. */
export function membersInProcess(options: MembersOptions): readonly MemberPlan[] {
  const { masters, agents, schedulers } = options.manifest
  return [
    ...masters.map(({ masterId }) => masterPlan(options, masterId)),
    ...agents.map((id) => agentPlan(options, id)),
    ...schedulers.map(({ schedulerId, uid }) => schedulerPlan(options, schedulerId, uid)),
  ]
}

function masterPlan(options: MembersOptions, id: string): MemberPlan {
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

function agentPlan(options: MembersOptions, id: string): MemberPlan {
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

function schedulerPlan(options: MembersOptions, id: string, uid: string): MemberPlan {
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

const logOf = ({ directory }: MembersOptions, id: string): Log =>
  createLogger({ to: { file: logFile(directory, id) }, base: { source: id } })

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : 'it failed')

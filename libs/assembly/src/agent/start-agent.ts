import { AgentActor, type Address, type AgentLimits, type ContainerRuntime } from '@conclave/actors'
import type { Clock, Random } from '@conclave/kernel'
import { AgentInfo, parseOurs, ToAgent, type FromAgent } from '@conclave/model'
import {
  AgentLinkClient,
  MemoryRuntime,
  silentLog,
  SystemClock,
  SystemRandom,
  Ticker,
  type Log,
  type TlsIdentity,
} from '@conclave/runtime'
import { AgentDirectory } from './agent-directory.ts'
import { AgentDriver } from './agent-driver.ts'

export interface StartAgentOptions {
  readonly clusterId: string
  readonly identity: TlsIdentity
  /** Where masters listen for agents. */
  readonly masters: readonly Address[]
  /** Where the agent keeps its id: nothing else, and nothing of a secret. */
  readonly directory: string
  readonly hostname: string
  /** What can be offered: scalars by name, such as `{ cpus: 4, mem: 4096 }`. */
  readonly resources: Readonly<Record<string, number>>
  /** `memory`, or one of one's own. */
  readonly runtime?: 'memory' | ContainerRuntime
  /** What tasks and clients are told; nothing listens there by itself. */
  readonly ipAddress?: string
  readonly port?: number
  readonly log?: Log
  readonly clock?: Clock
  readonly random?: Random
  readonly limits?: Partial<AgentLimits>
}

export interface RunningAgent {
  /** Undefined until a master has registered it for the first time. */
  readonly agentId: string | undefined
  readonly isRegistered: boolean
  /** How many containers it runs. */
  readonly containers: number
  /** For a certificate about to expire. The connection that stands goes on. */
  setIdentity(identity: TlsIdentity): void
  /** Ends every container, tells what became of it, and hangs up. */
  stop(): Promise<void>
  /**
   * As a crash would leave it: sockets are cut and nothing is said. What was in memory is overwritten,
   * since this process lives on.
   */
  destroy(): void
}

/** Between SIGTERM and SIGKILL when the whole agent stops. */
const stopGraceMs = 2000
/** However long a task's end takes, an agent that was told to stop stops. */
const stopWithinMs = 5000

/**
 * Starts an agent in this process. It resolves when the agent is at work; masters may be away, it
 * registers when one answers.
 *
 * @throws AgentDirectoryUnusable
 */
export async function startAgent(options: StartAgentOptions): Promise<RunningAgent> {
  const log = options.log ?? silentLog
  const clock = options.clock ?? new SystemClock()
  const random = options.random ?? new SystemRandom()
  const directory = await AgentDirectory.open(options.directory)
  let agentId = await directory.agentId()
  const runtime =
    options.runtime === undefined || options.runtime === 'memory'
      ? new MemoryRuntime({ clock, random, log })
      : options.runtime
  await runtime.recover()

  const tickMs = options.limits?.tickMs ?? 100
  const actor = new AgentActor({
    agentId,
    info: infoOf(options),
    runtime: runtime.name,
    ipAddress: options.ipAddress ?? '127.0.0.1',
    clock,
    random,
    limits: { ...options.limits, tickMs },
  })
  let isRegistered = false
  const allEnded = Promise.withResolvers<void>()
  const driver: AgentDriver = new AgentDriver({
    actor,
    runtime,
    send: (message) => link.send(message),
    waitingBytes: () => link.waitingBytes,
    keepAgentId: (id) => {
      agentId = id
      directory.keepAgentId(id)
    },
    onStopped: () => allEnded.resolve(),
    log,
  })
  const link = new AgentLinkClient<FromAgent, ToAgent>({
    clusterId: options.clusterId,
    identity: options.identity,
    masters: options.masters,
    parse: (value) => ToAgent.parse(value),
    onConnected: () => driver.tell({ kind: 'connected' }),
    onDisconnected: () => {
      isRegistered = false
      driver.tell({ kind: 'disconnected' })
    },
    onMessage: (message) => {
      if (message.type === 'registered') {
        isRegistered = true
        log.info({ agent: message.agentId }, 'registered with the leading master')
      }
      driver.tell({ kind: 'message', message })
    },
    log,
    random,
  })
  const ticker = new Ticker(tickMs, () => driver.tell({ kind: 'tick' }))
  link.start()
  ticker.start()
  let stopping: Promise<void> | undefined

  const cut = (): void => {
    ticker.stop()
    driver.cut()
    runtime.destroyAll()
  }
  const stop = async (): Promise<void> => {
    driver.tell({ kind: 'stop', graceMs: stopGraceMs })
    const patience = setTimeout(() => allEnded.resolve(), stopWithinMs)
    await allEnded.promise
    clearTimeout(patience)
    await link.close()
    cut()
    log.info({ agent: agentId }, 'the agent has stopped')
  }
  return {
    get agentId() {
      return agentId
    },
    get isRegistered() {
      return isRegistered
    },
    get containers() {
      return actor.containerCount
    },
    setIdentity: (identity) => link.setIdentity(identity),
    stop: () => (stopping ??= stop()),
    destroy() {
      link.destroy()
      cut()
    },
  }
}

function infoOf({ hostname, port, resources }: StartAgentOptions): AgentInfo {
  return parseOurs(AgentInfo, {
    hostname,
    port: port ?? 5051,
    resources: Object.entries(resources).map(([name, value]) => ({
      name,
      type: 'SCALAR',
      scalar: { value },
    })),
  })
}

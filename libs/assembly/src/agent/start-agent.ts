import {
  AgentActor,
  type Address,
  type AgentLimits,
  type ContainerRuntime,
  type MasterSeen,
} from '@conclave/actors'
import { wipe, type Clock, type Random, type RedactedBytes } from '@conclave/kernel'
import { AgentInfo, leakyAttribute, parseOurs, ToAgent, type FromAgent } from '@conclave/model'
import {
  AgentLinkClient,
  silentLog,
  SystemClock,
  SystemRandom,
  Ticker,
  type Log,
  type TlsIdentity,
} from '@conclave/runtime'
import { MemoryRuntime } from '@conclave/runtime/memory'
import type { ModuleResolver } from '@conclave/resolver-modules'
import type { FaceListener } from '../master/face-listener.ts'
import { tarArchives } from '@conclave/image-puller'
import { UriFetcher } from '@conclave/uri-fetcher'
import { AgentDirectory } from './agent-directory.ts'
import {
  executorRuntimeOf,
  executorTokenKey,
  listen,
  type AgentListenerOptions,
} from './agent-listener.ts'
import { MasterAddress } from '../cluster/addresses.ts'
import { addressSeen, KnownMasters } from '../cluster/known-masters.ts'
import { idIn, IdentityKeeper } from '../join/identity-keeper.ts'
import { remoteAuthority } from '../join/remote-authority.ts'
import { AgentDriver } from './agent-driver.ts'
import { openImages, type ImagesChoice } from './images.ts'
import { simulates } from './simulated-source.ts'
import { KeptFiles } from './kept-files.ts'
import { LeftOnDisk } from './left-on-disk.ts'
import { openResolver, referencesOf, type SecretResolverChoice } from './secret-resolver.ts'

export interface StartAgentOptions {
  readonly clusterId: string
  readonly identity: TlsIdentity
  /**
   * The masters, as it was told of them: where they listen for agents, and where they renew certificates.
   * What it has heard since is in its directory.
   */
  readonly masters: readonly MasterAddress[]
  /** Where the agent keeps its id and its certificate: nothing else, and nothing of a secret. */
  readonly directory: string
  readonly hostname: string
  /** What can be offered: scalars by name, such as `{ cpus: 4, mem: 4096 }`. */
  readonly resources: Readonly<Record<string, number>>
  /** What else is said of it, as text: `arch`, for one. */
  readonly attributes?: Readonly<Record<string, string>>
  /** `memory`, or one of one's own. */
  readonly runtime?: 'memory' | ContainerRuntime
  /** What tasks and clients are told; nothing listens there by itself. */
  readonly ipAddress?: string
  readonly port?: number
  readonly log?: Log
  readonly clock?: Clock
  readonly random?: Random
  readonly limits?: Partial<AgentLimits>
  /** Who answers references. Default: the masters. */
  readonly resolver?: SecretResolverChoice
  /** Where images come from. Default: nowhere, and a container has what the runtime brings. */
  readonly images?: ImagesChoice
  /** Where it answers HTTP itself. Default: nowhere. */
  readonly listener?: AgentListenerOptions
  /** Directories whose files tasks may have fetched by `file:` URIs. */
  readonly fetcherRoots?: readonly string[]
  /** Whether DOCKER containers lose their secrets without a word, as in Mesos. Else they are refused. */
  readonly isDockerFaithful?: boolean
}

export interface RunningAgent {
  /** Undefined until a master has registered it for the first time. */
  readonly agentId: string | undefined
  readonly isRegistered: boolean
  /** Where it answers HTTP itself, if it does. */
  readonly listensAt: Address | undefined
  /** How many containers it runs. */
  readonly containers: number
  /** The certificate that it meets masters with. */
  readonly identity: TlsIdentity
  /** Ends every container, tells what became of it, and hangs up. */
  stop(): Promise<void>
  /**
   * As a crash would leave it: sockets are cut and nothing is said. What was in memory is overwritten,
   * since this process lives on.
   */
  destroy(): void
}

const tickMsUsually = 100
const leaksWarning =
  'FAITHFUL LEAKS ARE ON: this agent shows values of secrets, and writes them to its disk in plain text, as ' +
  'Mesos does. For lessons only; give it no secret that matters'
/** Between SIGTERM and SIGKILL when the whole agent stops. */
const stopGraceMs = 2000
/** However long a task's end takes, an agent that was told to stop stops. */
const stopWithinMs = 5000

/**
 * Starts an agent in this process. It resolves when the agent is at work; masters may be away, it
 * registers when one answers.
 *
 * @throws AgentDirectoryUnusable, ImagePullFailed, ModulesInvalid, ResolverNotInitialized,
 *   FaceListenFailed, FaceExposed
 */
export async function startAgent(options: StartAgentOptions): Promise<RunningAgent> {
  const log = options.log ?? silentLog
  const clock = options.clock ?? new SystemClock()
  const random = options.random ?? new SystemRandom()
  const directory = await AgentDirectory.open(options.directory)
  await LeftOnDisk.removeAll(options.directory, log)
  const agentId = await directory.agentId()
  const faithfulLeaks = options.listener?.faithfulLeaks === true
  if (faithfulLeaks) log.warn({ directory: options.directory }, leaksWarning)
  const left = faithfulLeaks ? new LeftOnDisk(options.directory, log) : undefined
  const shared = faithfulLeaks ? { sharesKept: true } : {}
  const images = await openImages(options.images && { ...options.images, ...shared }, log)
  const uris = new UriFetcher({ fileRoots: options.fetcherRoots ?? [] })
  const keptFiles = faithfulLeaks ? new KeptFiles() : undefined
  const runtime =
    options.runtime === undefined || options.runtime === 'memory'
      ? new MemoryRuntime({
          clock,
          random,
          log,
          uris,
          archives: tarArchives,
          ...(images && { images }),
          ...(keptFiles && { onFetched: keptFiles.add }),
        })
      : options.runtime
  const outside = await openResolver(options.resolver, log)
  await runtime.recover()
  const executorRuntime = executorRuntimeOf(options.directory, options.listener)
  await executorRuntime?.recover()
  const masters = await KnownMasters.open(options.directory, options.masters, MasterAddress)
  const kept = {
    options,
    log,
    clock,
    random,
    directory,
    masters,
    agentId,
    runtime,
    outside,
    keptFiles,
    left,
  }
  const agent = new Agent({ ...kept, executorRuntime })
  await agent.start()
  return agent
}

/** What an agent is made of, opened and recovered. */
interface AgentParts {
  readonly options: StartAgentOptions
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
  readonly directory: AgentDirectory
  readonly masters: KnownMasters<MasterAddress>
  readonly agentId: string | undefined
  readonly runtime: ContainerRuntime
  readonly executorRuntime: ContainerRuntime | undefined
  readonly outside: ModuleResolver | undefined
  readonly keptFiles: KeptFiles | undefined
  readonly left: LeftOnDisk | undefined
}

type Kept = Pick<AgentParts, 'options' | 'log' | 'clock' | 'random'>

class Agent implements RunningAgent {
  readonly #log: Log
  readonly #directory: AgentDirectory
  readonly #masters: KnownMasters<MasterAddress>
  readonly #runtime: ContainerRuntime
  readonly #executorRuntime: ContainerRuntime | undefined
  readonly #listenerOptions: AgentListenerOptions | undefined
  readonly #tokenKey: RedactedBytes
  readonly #actor: AgentActor
  readonly #driver: AgentDriver
  readonly #link: AgentLinkClient<FromAgent, ToAgent>
  readonly #ticker: Ticker
  readonly #identity: TlsIdentity
  readonly #keeper: IdentityKeeper | undefined
  readonly #outside: ModuleResolver | undefined
  readonly #keptFiles: KeptFiles | undefined
  readonly #allEnded = Promise.withResolvers<void>()
  #listener: FaceListener | undefined
  #agentId: string | undefined
  #isRegistered = false
  #unwantedFor: string | undefined
  #stopping: Promise<void> | undefined

  constructor(parts: AgentParts) {
    const { options, log, clock, random, directory, agentId, runtime, outside } = parts
    const tickMs = options.limits?.tickMs ?? tickMsUsually
    this.#log = log
    this.#directory = directory
    this.#masters = parts.masters
    this.#runtime = runtime
    this.#executorRuntime = parts.executorRuntime
    this.#listenerOptions = options.listener
    this.#tokenKey = executorTokenKey(random)
    this.#outside = outside
    this.#keptFiles = parts.keptFiles
    this.#agentId = agentId
    this.#actor = new AgentActor({
      agentId,
      info: infoOf(options),
      runtime: runtime.name,
      ipAddress: options.ipAddress ?? '127.0.0.1',
      clock,
      random,
      limits: { ...options.limits, tickMs },
      references: referencesOf(options.resolver),
      hasImages: options.images?.provider === 'docker',
      simulatesImage: simulates(options.images),
      executorTokenKey: this.#tokenKey,
      faithfulLeaks: options.listener?.faithfulLeaks ?? false,
      onWork: () => this.#driver.flush(),
      hasUris: true,
      isDockerFaithful: options.isDockerFaithful ?? false,
    })
    this.#driver = new AgentDriver({
      actor: this.#actor,
      runtime,
      ...(parts.executorRuntime && { executorRuntime: parts.executorRuntime }),
      send: (message) => this.#link.send(message),
      waitingBytes: (sessionId) =>
        this.#actor.api.waitingBytes(sessionId) ?? this.#link.waitingBytes,
      keepAgentId: (id) => this.#keepAgentId(id),
      onStopped: () => this.#allEnded.resolve(),
      log,
      ...(outside && { outside }),
      ...(parts.left && { left: parts.left }),
    })
    this.#link = new AgentLinkClient<FromAgent, ToAgent>({
      clusterId: options.clusterId,
      identity: options.identity,
      masters: agentPlaces(parts.masters),
      parse: (value) => ToAgent.parse(value),
      onConnected: () => this.#driver.tell({ kind: 'connected' }),
      onDisconnected: () => this.#disconnected(),
      onMessage: (message) => this.#receive(message),
      log,
      random,
    })
    this.#identity = options.identity
    this.#keeper = this.#keeperOf({ options, log, clock, random })
    this.#ticker = new Ticker(tickMs, () => {
      this.#driver.tell({ kind: 'tick' })
      this.#keeper?.tick()
    })
  }

  get agentId(): string | undefined {
    return this.#agentId
  }

  get isRegistered(): boolean {
    return this.#isRegistered
  }

  get containers(): number {
    return this.#actor.containerCount
  }

  get listensAt(): Address | undefined {
    const { host } = this.#listenerOptions ?? {}
    const { port } = this.#listener ?? {}
    return host === undefined || port === undefined ? undefined : { host, port }
  }

  /** @throws FaceListenFailed, FaceExposed */
  async start(): Promise<void> {
    if (this.#listenerOptions !== undefined) {
      // Before it registers: masters are told where it listens.
      this.#listener = await listen(
        this.#actor.api,
        this.#listenerOptions,
        this.#keptFiles,
        this.#log,
      )
      this.#actor.listensOn(this.#listener.port)
    }
    this.#link.start()
    this.#ticker.start()
  }

  get identity(): TlsIdentity {
    return this.#keeper?.identity ?? this.#identity
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  destroy(): void {
    this.#link.destroy()
    void this.#listener?.destroy()
    this.#cut()
  }

  async #stop(): Promise<void> {
    this.#driver.tell({ kind: 'stop', graceMs: stopGraceMs })
    const patience = setTimeout(() => this.#allEnded.resolve(), stopWithinMs)
    await this.#allEnded.promise
    clearTimeout(patience)
    await this.#link.close()
    await this.#listener?.close()
    this.#cut()
    await this.#keeper?.stop()
    await this.#outside?.close()
    this.#log.info({ agent: this.#agentId }, 'the agent has stopped')
  }

  #cut(): void {
    this.#ticker.stop()
    void this.#outside?.close()
    void this.#keeper?.stop()
    this.#driver.cut()
    this.#runtime.destroyAll()
    this.#executorRuntime?.destroyAll()
    wipe(this.#tokenKey)
  }

  #keepAgentId(agentId: string | undefined): void {
    this.#agentId = agentId
    this.#directory.keepAgentId(agentId)
  }

  #disconnected(): void {
    this.#isRegistered = false
    this.#driver.tell({ kind: 'disconnected' })
  }

  #keeperOf({ options, log, clock, random }: Kept): IdentityKeeper | undefined {
    const { clusterId, identity, directory } = options
    const id = idIn(identity.certificatePem)
    return new IdentityKeeper({
      id,
      directory,
      identity,
      ...remoteAuthority({ joins: () => joinPlaces(this.#masters), clusterId }),
      onIdentity: (next) => this.#link.setIdentity(next),
      onFailed: (why, attempts, untilMs) => {
        const event = { type: 'certificate.renewal-failed', memberId: id, why, attempts, untilMs }
        this.#link.send({ type: 'events', events: [{ ...event, atMs: clock.nowMs() }] })
      },
      clock,
      random,
      log,
    })
  }

  /** The leader has said who the masters are now. */
  #heardOf(masters: readonly MasterSeen[]): void {
    this.#masters
      .hear(masters.flatMap((one) => addressSeen(one) ?? []))
      .catch((error: unknown) =>
        this.#log.warn({ err: error }, 'it cannot be written down who the masters are now'),
      )
    this.#link.setMasters(agentPlaces(this.#masters))
  }

  #receive(message: ToAgent): void {
    if (message.type === 'masters') return this.#heardOf(message.masters)
    if (message.type === 'authority') return this.#keeper?.told(message)
    // Who was removed hears it each time that it tries.
    if (message.type === 'shutdown' && message.why !== this.#unwantedFor) {
      this.#unwantedFor = message.why
      this.#log.warn({ why: message.why }, 'a master does not want this agent as it is')
    }
    if (message.type === 'registered') {
      this.#unwantedFor = undefined
      this.#isRegistered = true
      this.#log.info({ agent: message.agentId }, 'registered with the leading master')
    }
    this.#driver.tell({ kind: 'message', message })
  }
}

const agentPlaces = ({ all }: KnownMasters<MasterAddress>): readonly Address[] =>
  all.map(({ host, ports }) => ({ host, port: ports.agents }))

const joinPlaces = ({ all }: KnownMasters<MasterAddress>): readonly Address[] =>
  all.map(({ host, ports }) => ({ host, port: ports.join }))

function infoOf(options: StartAgentOptions): AgentInfo {
  const { hostname, port, resources, listener } = options
  const leaky = listener?.faithfulLeaks === true ? { [leakyAttribute]: 'true' } : {}
  const attributes = { ...options.attributes, ...leaky }
  return parseOurs(AgentInfo, {
    hostname,
    port: port ?? 5051,
    resources: Object.entries(resources).map(([name, value]) => ({
      name,
      type: 'SCALAR',
      scalar: { value },
    })),
    attributes: Object.entries(attributes).map(([name, value]) => ({
      name,
      type: 'TEXT',
      text: { value },
    })),
  })
}

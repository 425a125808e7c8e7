import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Caller } from '@conclave/actors'
import { forgetEngine, keepEngine } from '@conclave/faces-docker'
import { uuid, type Clock, type Random } from '@conclave/kernel'
import { Ticker, type Log } from '@conclave/runtime'
import type { RunningAgent } from '../agent/index.ts'
import type { MasterAddress } from '../cluster/addresses.ts'
import { startMemberAgent, type MemberAgentOptions } from '../cluster/member-agent.ts'
import { enrol } from '../join/enrol.ts'
import { startMaster } from '../master/start-master.ts'
import type { RunningMaster } from '../master/master.ts'
import { LeaderScheduler } from './leader-scheduler.ts'
import type { MemberLayout } from './member-layout.ts'

export interface EngineMemberOptions {
  readonly layout: MemberLayout
  readonly role: 'master' | 'agent'
  /** Of a master. */
  readonly place: MasterAddress | undefined
  readonly masters: readonly MasterAddress[]
  readonly hostname: string
  readonly agent: Omit<MemberAgentOptions, 'directory' | 'masters' | 'hostname' | 'log'>
  /** On whose behalf the machine asks its own master. */
  readonly uid: string
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
}

const tickMs = 250

/** What runs of one machine in one cluster: a master with an agent and a scheduler beside it, or an agent alone. */
export class EngineMember {
  readonly #options: EngineMemberOptions
  readonly #ticker: Ticker
  readonly #isWhole = Promise.withResolvers<void>()
  readonly #ending = new AbortController()
  #master: RunningMaster | undefined
  #agent: RunningAgent | undefined
  #agentName = ''
  #scheduler: LeaderScheduler | undefined
  #ended: Promise<void> | undefined

  private constructor(options: EngineMemberOptions) {
    this.#options = options
    this.#ticker = new Ticker(tickMs, () => this.#scheduler?.tick())
    this.#isWhole.promise.catch(() => undefined)
  }

  /**
   * Starts it: a master listens then, and all else follows once it can. {@link whole} says when.
   *
   * @throws what {@link startMaster} and {@link startMemberAgent} throw
   */
  static async start(options: EngineMemberOptions): Promise<EngineMember> {
    const member = new EngineMember(options)
    if (options.role === 'master') await member.#startMaster()
    else await member.#startAgent()
    void member.#complete()
    return member
  }

  get master(): RunningMaster | undefined {
    return this.#master
  }

  get agent(): RunningAgent | undefined {
    return this.#agent
  }

  /** The name in the agent's certificate; empty before there is one. */
  get agentName(): string {
    return this.#agentName
  }

  /** Resolves once its agent is registered, and Docker's clients see the machine as one node. */
  get whole(): Promise<void> {
    return this.#isWhole.promise
  }

  caller(): Caller {
    return { principal: { uid: this.#options.uid }, requestId: uuid(this.#options.random) }
  }

  /** Tells the others that this machine is a master no more, while it still can. */
  async sayFarewell(): Promise<void> {
    const master = this.#master
    if (master === undefined || master.state !== 'running') return
    await forgetEngine(master.api, this.caller(), master.masterId)
  }

  stop(): Promise<void> {
    this.#ended ??= this.#stop()
    return this.#ended
  }

  /** As a crash would leave it. */
  async destroy(): Promise<void> {
    this.#end()
    this.#agent?.destroy()
    await this.#master?.destroy()
  }

  async #stop(): Promise<void> {
    this.#end()
    // What its containers came to is reported to a master that still is there.
    await this.#agent?.stop()
    await this.#master?.stop()
  }

  #end(): void {
    this.#ending.abort()
    this.#ticker.stop()
    this.#scheduler?.stop()
    this.#isWhole.reject(new Error('the member has ended'))
  }

  async #startMaster(): Promise<void> {
    const { layout, place, masters, log } = this.#options
    if (place === undefined) throw new Error('a master has a place')
    const others = masters.filter(({ masterId }) => masterId !== place.masterId)
    const master = await startMaster({ directory: layout.member, masters: [...others, place], log })
    this.#master = master
  }

  async #startAgent(): Promise<void> {
    const { layout, masters, hostname, log, agent: settings } = this.#options
    const known = this.#mastersKnown()
    const { name, agent } = await startMemberAgent({
      ...settings,
      directory: layout.agent,
      masters: known.length > 0 ? known : masters,
      hostname,
      log,
    })
    this.#agentName = name
    this.#agent = agent
    if (this.#ending.signal.aborted) agent.destroy()
  }

  /** Its own master first: whoever leads, that one knows it. */
  #mastersKnown(): readonly MasterAddress[] {
    const { place, masters } = this.#options
    if (place === undefined) return masters
    return [place, ...masters.filter(({ masterId }) => masterId !== place.masterId)]
  }

  /** Tries for as long as it takes: a quorum may be away, or a master may wait for the unlock key. */
  async #complete(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      try {
        await this.#master?.ready()
        if (signal.aborted) return
        await this.#step()
        this.#isWhole.resolve()
        return
      } catch (error) {
        if (signal.aborted) return
        this.#options.log.warn({ err: error }, 'this engine is not whole yet; it is tried again')
        await pause(tickMs)
      }
    }
  }

  async #step(): Promise<void> {
    const master = this.#master
    const { place, layout, log } = this.#options
    if (master !== undefined && place !== undefined) {
      this.#scheduler ??= new LeaderScheduler({
        master: master.api,
        caller: () => this.caller(),
        place,
        directory: layout.scheduler,
        log,
      })
      this.#ticker.start()
      if (this.#agent === undefined) {
        await this.#enrolAgent(master, place)
        await this.#startAgent()
      }
    }
    await this.#untilRegistered()
    if (master !== undefined) await this.#announce(master)
  }

  /** The agent beside a master that has joined: the master itself gives it its token. */
  async #enrolAgent(master: RunningMaster, place: MasterAddress): Promise<void> {
    const { layout, log } = this.#options
    const isFounders = layout.agent.startsWith(`${layout.cluster}/`)
    if (isFounders || (await isEnrolled(layout.agent))) return
    const token = await master.api.authority.joinToken(this.caller(), 'agent')
    const address = { host: place.host, port: place.ports.join }
    await enrol({ address, token, directory: layout.agent, role: 'agent', log })
  }

  async #untilRegistered(): Promise<void> {
    while (this.#agent?.isRegistered !== true && !this.#ending.signal.aborted) await pause(20)
  }

  /** One node to Docker's clients, and a manager to constraints such as `node.role==manager`. */
  async #announce(master: RunningMaster): Promise<void> {
    const { api, masterId } = master
    const caller = this.caller()
    await keepEngine(api, caller, masterId, this.#agentName)
    const { role } = await api.nodes.get(caller, this.#agentName)
    const wanted = api.status().isVoter ? 'manager' : 'worker'
    if (role !== wanted) await api.nodes.update(caller, this.#agentName, { role: wanted })
  }
}

/** Whether an earlier attempt got as far as a certificate: that is written last. */
const isEnrolled = (directory: string): Promise<boolean> =>
  stat(join(directory, 'identity.pem')).then(
    () => true,
    () => false,
  )

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Address, Caller } from '@conclave/actors'
import { engineAttribute, keepEngine } from '@conclave/faces-docker'
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
import { askStanding } from './standing.ts'

export interface EngineMemberOptions {
  readonly layout: MemberLayout
  readonly role: 'master' | 'agent'
  /** Of a master. */
  readonly place: MasterAddress | undefined
  /** As they were known last. */
  readonly masters: readonly MasterAddress[]
  readonly clusterId: string
  /** The masters are others now. */
  readonly onMasters: (masters: readonly MasterAddress[]) => void
  /** The masters want it to be one of them, and it is an agent alone. */
  readonly onPromoted: () => void
  /** The masters want nothing of this machine any more. */
  readonly onRefused: (why: string) => void
  readonly hostname: string
  readonly agent: Omit<MemberAgentOptions, 'directory' | 'masters' | 'hostname' | 'log'>
  /** On whose behalf the machine asks its own master. */
  readonly uid: string
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
}

const tickMs = 250
/** How often it asks how it stands. */
const standingTicks = 12

/** What runs of one machine in one cluster: a master with an agent and a scheduler beside it, or an agent alone. */
export class EngineMember {
  readonly #options: EngineMemberOptions
  readonly #ticker: Ticker
  readonly #isWhole = Promise.withResolvers<void>()
  readonly #ending = new AbortController()
  #layout: MemberLayout
  #place: MasterAddress | undefined
  #master: RunningMaster | undefined
  #agent: RunningAgent | undefined
  #agentStarts: Promise<void> | undefined
  #agentName = ''
  #scheduler: LeaderScheduler | undefined
  #masters: readonly MasterAddress[]
  #ticks = 0
  #isAsking = false
  #ended: Promise<void> | undefined

  private constructor(options: EngineMemberOptions) {
    this.#options = options
    this.#layout = options.layout
    this.#place = options.place
    this.#masters = options.masters
    this.#ticker = new Ticker(tickMs, () => this.#tick())
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
    else await member.#withAgent()
    member.#ticker.start()
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

  /**
   * Has a master run beside the agent, whose containers do not notice.
   *
   * @throws what {@link startMaster} throws
   */
  async becomeMaster(layout: MemberLayout, place: MasterAddress): Promise<void> {
    this.#layout = layout
    this.#place = place
    await this.#startMaster()
    void this.#complete()
  }

  /**
   * Its master ends, and starts as a group of its own; its agent goes on meanwhile.
   *
   * @throws what {@link startMaster} throws
   */
  async beginAnew(): Promise<void> {
    const master = this.#master
    this.#master = undefined
    this.#scheduler?.stop()
    this.#scheduler = undefined
    await master?.destroy()
    await this.#startMaster(true)
    void this.#complete()
  }

  /** Goes on with the agent alone, once it runs. What the master had on its disk is the caller's to erase. */
  async becomeAgent(masters: readonly MasterAddress[]): Promise<void> {
    this.#masters = masters
    const master = this.#master
    this.#master = undefined
    this.#place = undefined
    this.#scheduler?.stop()
    this.#scheduler = undefined
    await master?.destroy()
    await this.#withAgent()
    void this.#complete()
  }

  /**
   * Ends what runs here, and has the others let this machine's master go while it still can say so, also one that
   * is locked or was not let in yet. The last master has nobody to be let go by.
   *
   * @throws MembershipRefused
   */
  async sayFarewell(signal: AbortSignal): Promise<void> {
    const master = this.#master
    if (master === undefined) return
    const others =
      master.state === 'running'
        ? master.api.status().members.length > 1
        : this.#masters.some(({ masterId }) => masterId !== master.masterId)
    this.#end()
    // What its containers came to is reported while somebody listens.
    await this.#agent?.stop()
    if (others) await Promise.race([master.leave(signal), master.failed])
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

  async #startMaster(beginsAnew = false): Promise<void> {
    const place = this.#place
    if (place === undefined) throw new Error('a master has a place')
    const others = this.#masters.filter(({ masterId }) => masterId !== place.masterId)
    const { member: directory } = this.#layout
    const { log } = this.#options
    const masters = [...others, place]
    const master = await startMaster({ directory, masters, beginsAnew, log })
    this.#master = master
    if (this.#ending.signal.aborted) await master.destroy()
  }

  /** Resolves once an agent runs: it is started once, whoever wants it first. */
  async #withAgent(): Promise<void> {
    if (this.#agent !== undefined) return
    this.#agentStarts ??= this.#startAgent().finally(() => (this.#agentStarts = undefined))
    await this.#agentStarts
  }

  async #startAgent(): Promise<void> {
    const { hostname, log, agent: settings } = this.#options
    const { name, agent } = await startMemberAgent({
      ...settings,
      directory: this.#layout.agent,
      masters: this.#mastersKnown(),
      hostname,
      // Docker's nodes can be promoted, and this one is one.
      attributes: { [engineAttribute]: 'true' },
      log,
    })
    this.#agentName = name
    this.#agent = agent
    if (this.#ending.signal.aborted) agent.destroy()
  }

  /** Its own master first: whoever leads, that one knows it. */
  #mastersKnown(): readonly MasterAddress[] {
    const place = this.#place
    if (place === undefined) return this.#masters
    return [place, ...this.#masters.filter(({ masterId }) => masterId !== place.masterId)]
  }

  #tick(): void {
    this.#scheduler?.tick()
    this.#ticks++
    if (this.#agent === undefined || this.#ticks % standingTicks !== 0 || this.#isAsking) return
    this.#isAsking = true
    void this.#askStanding(this.#agent)
      .catch((error: unknown) =>
        this.#options.log.warn({ err: error }, 'how this engine stands could not be asked'),
      )
      .finally(() => (this.#isAsking = false))
  }

  /** Masters come and go while it is one of theirs; and one day it may be none. */
  async #askStanding(agent: RunningAgent): Promise<void> {
    const { clusterId, onMasters, onPromoted, onRefused } = this.#options
    const joins = this.#mastersKnown().map(joinOf)
    const standing = await askStanding(joins, agent.identity, clusterId)
    if (standing === undefined || this.#ending.signal.aborted) return
    if (standing.is === 'refused') return onRefused(standing.why)
    if (!isDeepStrictEqual(standing.masters, this.#masters)) {
      this.#masters = standing.masters
      onMasters(standing.masters)
    }
    if (standing.isPromoted && this.#master === undefined) onPromoted()
  }

  /** Tries for as long as it takes: a quorum may be away, or a master may wait for the unlock key. */
  async #complete(): Promise<void> {
    const { signal } = this.#ending
    const master = this.#master
    while (!signal.aborted && this.#master === master) {
      try {
        await master?.ready()
        if (signal.aborted || this.#master !== master) return
        await this.#step()
        this.#isWhole.resolve()
        return
      } catch (error) {
        if (signal.aborted || this.#master !== master) return
        this.#options.log.warn({ err: error }, 'this engine is not whole yet; it is tried again')
        await pause(tickMs)
      }
    }
  }

  async #step(): Promise<void> {
    const master = this.#master
    const place = this.#place
    const { log } = this.#options
    if (master !== undefined && place !== undefined) {
      this.#scheduler ??= new LeaderScheduler({
        master: master.api,
        caller: () => this.caller(),
        place,
        directory: this.#layout.scheduler,
        log,
      })
      if (this.#agent === undefined) {
        await this.#enrolAgent(master, place)
        await this.#withAgent()
      }
    }
    await this.#untilRegistered()
    if (master !== undefined) await this.#announce(master)
  }

  /** The agent beside a master that has joined: the master itself gives it its token. */
  async #enrolAgent(master: RunningMaster, place: MasterAddress): Promise<void> {
    const layout = this.#layout
    const { log } = this.#options
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
    const { promotions } = await api.authority.status(caller)
    // Who was promoted is known by that already.
    if (!promotions.some((one) => one.masterId === masterId)) {
      await keepEngine(api, caller, masterId, this.#agentName)
    }
    const { role } = await api.nodes.get(caller, this.#agentName)
    const own = (await api.members.list(caller)).find((one) => one.masterId === masterId)
    const shall = own?.wanted ?? (api.status().isVoter ? 'voter' : 'learner')
    const wanted = shall === 'voter' ? 'manager' : 'worker'
    if (role !== wanted) await api.nodes.update(caller, this.#agentName, { role: wanted })
  }
}

/** Whether an earlier attempt got as far as a certificate: that is written last. */
const isEnrolled = (directory: string): Promise<boolean> =>
  stat(join(directory, 'identity.pem')).then(
    () => true,
    () => false,
  )

const joinOf = ({ host, ports }: MasterAddress): Address => ({ host, port: ports.join })

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })

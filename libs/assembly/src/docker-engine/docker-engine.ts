import { mkdir } from 'node:fs/promises'
import type { MasterApi } from '@conclave/actors'
import {
  agentNodeId,
  masterNodeId,
  noSwarm,
  partsOf as addressParts,
  Refusal,
  refusalIn,
  rpc,
  type Beginning,
  type Joining,
  type PlaceWanted,
  type SwarmNode,
  type SwarmState,
} from '@conclave/faces-docker'
import {
  ConclaveError,
  Redacted,
  wipe,
  type Clock,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import { loadTlsIdentity, type Log } from '@conclave/runtime'
import { MasterAddress } from '../cluster/addresses.ts'
import { KnownMasters } from '../cluster/known-masters.ts'
import { loadMember } from '../cluster/member-files.ts'
import { prepareCluster } from '../cluster/prepare-cluster.ts'
import { enrol, enrolPromoted, type Joined } from '../join/enrol.ts'
import { loadEnrolment } from '../join/enrolment-files.ts'
import { JoinUnreachable } from '../join/join-client.ts'
import { MasterRemoved, NotLetIn } from '../master/membership.ts'
import {
  EngineFile,
  eraseMaster,
  eraseMembership,
  loadEngineFile,
  newMasterDirectory,
  newMembership,
  saveEngineFile,
} from './engine-file.ts'
import { EngineMember, type EngineMemberOptions } from './engine-member.ts'
import { founder, layoutOf, partsOf } from './member-layout.ts'
import { chooseOwnPlace, hostOf, placeAgain } from './own-place.ts'
import { askStanding } from './standing.ts'

export interface DockerEngineOptions {
  /** Where it keeps everything: `swarm.json`, and a directory for each membership. */
  readonly directory: string
  /** Whose rights whoever may open its socket has. The superuser of what it founds. */
  readonly uid: string
  readonly hostname: string
  readonly agent: EngineMemberOptions['agent']
  /** Told of a cluster that was founded here, before it counts as made: nothing else keeps the password. */
  readonly onFounded?: ((made: Founded) => void) | undefined
  /** Told when a membership is over. */
  readonly onLeft?: (() => void) | undefined
  readonly log: Log
  readonly clock: Clock
  readonly random: Random
}

export interface Founded {
  readonly clusterId: string
  readonly place: MasterAddress
  readonly uid: string
  readonly password: RedactedBytes
}

/** As long as dockerd waits before it goes on in the background. */
const joinPatienceMs = 20_000
/** However long the others take to let this one go, it goes. */
const leavePatienceMs = 10_000
/** Between questions how it stands, while no master answers. */
const standingEveryMs = 1000

/**
 * A machine as dockerd sees itself: in no swarm at first, it founds a cluster or joins one, and leaves it. What
 * it is survives its end; each change can be cut off anywhere and is then done again or undone at the next start:
 *
 * 1. What is only beginning is on nobody's mind yet, and is erased.
 * 2. A membership counts from the moment `swarm.json` says so. A master is let in only after that.
 * 3. What is leaving is erased, and forgotten last.
 */
export class DockerEngine implements SwarmNode {
  readonly #options: DockerEngineOptions
  #file: EngineFile | undefined
  #member: EngineMember | undefined
  /** Of an agent, as it was told when it joined. */
  #masters: readonly MasterAddress[] = []
  #clusterId = ''
  #failure: string | undefined
  #written: Promise<void> = Promise.resolve()
  #roleChanges: Promise<void> = Promise.resolve()
  /** Its master is none any more, and it is not known yet what that makes of the machine. */
  #isOut = false
  #isBusy = false
  #isStopped = false

  constructor(options: DockerEngineOptions) {
    this.#options = options
  }

  /** Goes on with what it was. @throws MemberFileUnusable */
  async start(): Promise<void> {
    const { directory, log } = this.#options
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const kept = await loadEngineFile(directory)
    if (kept === undefined) return
    if (kept.stage !== 'member') {
      log.warn({ stage: kept.stage }, 'a membership was cut off, and is erased')
      return this.#erase(kept)
    }
    this.#file = kept
    try {
      await this.#goOn(kept)
    } catch (error) {
      this.#fail(error)
    }
  }

  get state(): SwarmState {
    if (this.#failure !== undefined) return { is: 'error', why: this.#failure }
    const member = this.#member
    const isChanging = this.#isBusy && this.#file?.stage !== 'member'
    if (member === undefined || isChanging) return { is: isChanging ? 'pending' : 'inactive' }
    const master = this.#isOut ? undefined : member.master
    if (master?.state === 'booting-locked') return { is: 'locked' }
    if (master !== undefined && master.api.status().isVoter) return { is: 'manager' }
    const agentId = member.agent?.agentId
    if (agentId === undefined) return { is: 'pending' }
    return {
      is: 'worker',
      nodeId: agentNodeId(this.#clusterId, agentId),
      address: this.#file?.place?.host ?? this.#file?.at?.host ?? '127.0.0.1',
      managers: this.#masters.map(({ masterId, host, ports }) => ({
        nodeId: masterNodeId(this.#clusterId, masterId),
        address: `${host}:${ports.join}`,
      })),
    }
  }

  /** Of the master that it is. @throws Refusal when it is none, in the Engine's words */
  get api(): MasterApi {
    const refusal = refusalIn(this.state)
    const master = this.#member?.master
    // While it begins, what it founds is asked before it is one.
    if (master?.state === 'running' && (refusal === undefined || this.#isBusy)) return master.api
    throw refusal ?? noSwarm()
  }

  async init({ at, availability }: Beginning, begin: () => Promise<void>): Promise<void> {
    await this.#exclusively(async () => {
      const { directory, random } = this.#options
      const host = hostOf(at)
      const place = await chooseOwnPlace({ masterId: founder, nodeId: 1 }, at, random)
      const kept: EngineFile = { ...newMembership(random, 'founded'), place }
      await this.#attempt(kept, async () => {
        const prepared = await prepareCluster(layoutOf(directory, kept).cluster, {
          masters: 1,
          agents: 1,
          superuser: this.#options.uid,
          hosts: [host],
          keepPassword: (clusterId, password) => this.#founded({ clusterId, place, password }),
        })
        if (prepared.password !== undefined) wipe(prepared.password)
        const member = await this.#run(kept, [place], prepared.manifest.clusterId)
        await this.#untilWhole(member)
        await begin()
        await this.#settle(member, availability)
        await this.#keep({ ...kept, stage: 'member' })
      })
    })
  }

  async beginAnew(): Promise<void> {
    const member = this.#member
    if (member?.master === undefined) throw noSwarm()
    await this.#exclusively(async () => {
      await this.#roleChanges
      try {
        await member.beginAnew()
      } catch (error) {
        this.#fail(error)
        throw error
      }
      void this.#watch(member)
      while (!this.#isStopped && member.master?.api.status().isReady !== true) await pause(20)
    })
  }

  async join(wanted: Joining, begin: () => Promise<void>): Promise<void> {
    await this.#exclusively(async () => {
      const { directory, random } = this.#options
      const kept = newMembership(random, 'joined')
      await this.#attempt(kept, async () => {
        const { member: own } = layoutOf(directory, kept)
        const joined = await this.#enrol(wanted, own)
        const place =
          joined.nodeId === undefined
            ? undefined
            : await chooseOwnPlace(
                { masterId: joined.id, nodeId: joined.nodeId },
                wanted.at,
                random,
              )
        const now: EngineFile = {
          ...kept,
          stage: 'member',
          role: joined.role,
          ...(place ? { place } : { at: placeKept(wanted.at) }),
        }
        // From here on the others count on it: it goes on after whatever happens.
        await this.#keep(now)
        const member = await this.#run(now, joined.masters, joined.clusterId)
        await this.#untilJoined(member)
        if (joined.role === 'master') await begin()
        await this.#settle(member, wanted.availability)
      })
    })
  }

  async leave(): Promise<void> {
    if (this.#file === undefined) throw noSwarm()
    await this.#exclusively(async () => {
      await this.#roleChanges
      const kept = this.#file
      if (kept === undefined) return
      // What broke before it was written down is a member still.
      await this.#farewell()
      await this.#keep({ ...kept, stage: 'leaving' })
      await this.#erase(kept)
    })
  }

  async unlock(key: RedactedBytes, source: string): Promise<void> {
    const master = this.#member?.master
    if (master === undefined) throw noSwarm()
    await master.unlock(key, source)
    // Until it has started, not until it can serve: the others may still be locked.
    const failed = master.failed.then(() => true)
    while (master.state === 'booting-locked' && !this.#isStopped) {
      if (await Promise.race([failed, pause(20)])) return
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#member?.stop()
  }

  /** As a crash would leave it. */
  async destroy(): Promise<void> {
    this.#isStopped = true
    await this.#member?.destroy()
  }

  // ── one step after the other ──────────────────────────────────────────────────────────────────

  async #exclusively(act: () => Promise<void>): Promise<void> {
    if (this.#isBusy) {
      throw rpc('FailedPrecondition', 'this node is coming into a swarm or leaving it; look again')
    }
    this.#isBusy = true
    try {
      await act()
    } finally {
      this.#isBusy = false
    }
  }

  /** What comes to nothing leaves nothing behind, unless the others may count on it already. */
  async #attempt(kept: EngineFile, act: () => Promise<void>): Promise<void> {
    await this.#keep(kept)
    try {
      await act()
    } catch (error) {
      if (error instanceof JoinGoesOn) throw error
      if (this.#file?.stage === 'member') await this.#farewell()
      await this.#erase(kept)
      throw error
    }
  }

  async #keep(kept: EngineFile): Promise<void> {
    await this.#change(() => kept)
  }

  /** One after the other, each on what the one before has written. */
  #change(next: (known: EngineFile | undefined) => EngineFile | undefined): Promise<void> {
    const done = this.#write(next, this.#written)
    this.#written = done.catch(() => undefined)
    return done
  }

  async #write(
    next: (known: EngineFile | undefined) => EngineFile | undefined,
    before: Promise<void>,
  ): Promise<void> {
    await before
    const kept = next(this.#file)
    if (kept === undefined) return
    await saveEngineFile(this.#options.directory, kept)
    this.#file = kept
  }

  async #erase(kept: EngineFile): Promise<void> {
    const { directory, log } = this.#options
    const member = this.#member
    this.#member = undefined
    await member?.stop()
    await eraseMembership(directory, kept, layoutOf(directory, kept).member)
    this.#options.onLeft?.()
    this.#file = undefined
    this.#failure = undefined
    this.#isOut = false
    this.#masters = []
    log.info({ directory: kept.directory }, 'this engine is in no swarm now')
  }

  // ── what it is made of ────────────────────────────────────────────────────────────────────────

  async #goOn(found: EngineFile): Promise<void> {
    const { directory, random } = this.#options
    // A change of its role was cut off: what there is of a master is nobody's.
    if (found.role === 'agent' && found.masterIn !== undefined) await this.#eraseMaster(found)
    const kept = this.#file ?? found
    const layout = layoutOf(directory, kept)
    const own = kept.role === 'agent' ? layout.agent : layout.member
    const isMaster = kept.role === 'master' && kept.place !== undefined
    const place = isMaster ? await placeAgain(kept.place, random) : undefined
    const now: EngineFile = { ...kept, ...(place && { place }) }
    if (isMaster && place !== kept.place) await this.#keep(now)
    const enrolment = await loadEnrolment(own)
    const clusterId = enrolment?.clusterId ?? (await clusterIdIn(own, kept.role))
    const masters = kept.masters ?? enrolment?.masters ?? (place ? [place] : [])
    try {
      await this.#run(now, masters, clusterId)
    } catch (error) {
      // It may have been demoted, and have heard so just before its end.
      if (error instanceof MasterRemoved) void this.#goOnAsAgent(now)
      throw error
    }
  }

  async #run(
    kept: EngineFile,
    masters: readonly MasterAddress[],
    clusterId: string,
  ): Promise<EngineMember> {
    const { directory, hostname, agent, uid, log, clock, random } = this.#options
    this.#masters = masters
    this.#clusterId = clusterId
    const member: EngineMember = await EngineMember.start({
      layout: layoutOf(directory, kept),
      role: kept.role,
      place: kept.role === 'master' ? kept.place : undefined,
      masters,
      clusterId,
      onMasters: (now) => void this.#noteMasters(now),
      onPromoted: () => void this.#changeRole(() => this.#promote(member)),
      onRefused: (why) => this.#fail(new NodeRemoved(why)),
      hostname,
      agent,
      uid,
      log,
      clock,
      random,
    })
    this.#member = member
    void this.#watch(member)
    return member
  }

  async #watch(member: EngineMember): Promise<void> {
    const { master } = member
    if (master === undefined) return
    const error = await master.failed
    const isOurs = (): boolean =>
      this.#member === member && member.master === master && !this.#isStopped
    if (!isOurs()) return
    const isOut = error instanceof MasterRemoved || error instanceof NotLetIn
    // Who is coming into the swarm, or leaving it, is told by that.
    if (isOut && this.#isBusy) return
    this.#isOut = isOut
    const isAgent = isOut && (await this.#isStillAgent(this.#file))
    if (!isOurs()) return
    if (isAgent) await this.#changeRole(() => this.#demote(member))
    else this.#fail(error)
  }

  // ── its role ──────────────────────────────────────────────────────────────────────────────────

  /** One after the other, and never beside a leave. */
  #changeRole(change: () => Promise<void>): Promise<void> {
    if (this.#isBusy) return Promise.resolve()
    this.#roleChanges = this.#roleChanges.then(change).catch((error: unknown) => {
      if (!this.#isStopped) this.#fail(error)
    })
    return this.#roleChanges
  }

  /**
   * A master beside the agent, which goes on meanwhile. The others count on it only once `swarm.json` says so and it
   * was let in; what comes to nothing before is erased, and tried again as long as the masters want it.
   */
  async #promote(member: EngineMember): Promise<void> {
    const { directory, random, log } = this.#options
    const kept = this.#file
    const { agent } = member
    const isOver = this.#isStopped || this.#isBusy || this.#member !== member
    if (isOver || kept?.stage !== 'member' || kept.role !== 'agent' || agent === undefined) return
    const { agentIn } = partsOf(kept)
    const begun: EngineFile = { ...kept, agentIn, masterIn: newMasterDirectory(random) }
    await this.#keep(begun)
    const at: PlaceWanted = { host: '', ...kept.at, port: kept.at?.port }
    try {
      const joined = await enrolPromoted({
        addresses: this.#masters.map(({ host, ports }) => ({ host, port: ports.join })),
        agent: agent.identity,
        clusterId: this.#clusterId,
        directory: layoutOf(directory, begun).member,
        hosts: [kept.place?.host ?? hostOf(at)],
        log,
      })
      if (this.#isStopped) return
      const who = { masterId: joined.id, nodeId: joined.nodeId ?? 0 }
      const place = await (kept.place === undefined
        ? chooseOwnPlace(who, at, random)
        : placeAgain({ ...kept.place, ...who }, random))
      await this.#change((known) => ({ ...(known ?? begun), role: 'master', place }))
      await member.becomeMaster(layoutOf(directory, this.#file ?? begun), place)
      void this.#watch(member)
      log.info({ masterId: joined.id }, 'this engine becomes a manager')
    } catch (error) {
      // What a start finds of it, it erases.
      if (this.#isStopped) return
      log.warn({ err: error }, 'this engine could not become a manager; it is tried again')
      await this.#eraseMaster(this.#file ?? begun)
    }
  }

  /** Its agent goes on by itself; what the master had is erased. */
  async #demote(member: EngineMember): Promise<void> {
    const kept = this.#file
    const isOver = this.#isStopped || this.#isBusy || this.#member !== member
    if (isOver || kept?.stage !== 'member' || kept.role !== 'master') return
    await member.becomeAgent(this.#masters)
    await this.#eraseMaster(kept)
    this.#isOut = false
    this.#options.log.info({ masterId: kept.place?.masterId }, 'this engine is a worker now')
  }

  /** The same at a start, which waits for nobody's answer. */
  async #goOnAsAgent(kept: EngineFile): Promise<void> {
    if (!(await this.#isStillAgent(kept))) return
    await this.#changeRole(async () => {
      if (this.#isStopped || this.#isBusy || this.#member !== undefined) return
      await this.#eraseMaster(kept)
      await this.#run(this.#file ?? kept, this.#masters, this.#clusterId)
      this.#failure = undefined
    })
  }

  /** What it had as a master. Where it listened is where it will, if it ever is one again. */
  async #eraseMaster(kept: EngineFile): Promise<void> {
    const { directory } = this.#options
    const { masters } = this.#file ?? kept
    const { masterIn: _erased, ...rest } = kept
    const after: EngineFile = {
      ...rest,
      role: 'agent',
      agentIn: partsOf(kept).agentIn,
      ...(masters && { masters }),
    }
    await this.#keep({ ...after, masterIn: partsOf(kept).masterIn })
    await eraseMaster(layoutOf(directory, kept).member)
    await this.#keep(after)
  }

  /** Whether the masters still know its agent, as far as there is one: asked until one of them answers. */
  async #isStillAgent(kept: EngineFile | undefined): Promise<boolean> {
    if (kept === undefined) return false
    const { agent } = layoutOf(this.#options.directory, kept)
    const identity = await loadTlsIdentity(agent).catch(() => undefined)
    if (identity === undefined) return false
    while (!this.#isStopped && !this.#isBusy) {
      // The agent is told of the others at once; this machine asks only now and then.
      const known = await KnownMasters.open(agent, this.#masters, MasterAddress)
      const others = known.all.filter(({ masterId }) => masterId !== kept.place?.masterId)
      const joins = others.map(({ host, ports }) => ({ host, port: ports.join }))
      const standing = await askStanding(joins, identity, this.#clusterId)
      if (standing?.is === 'member') await this.#noteMasters(standing.masters)
      if (standing !== undefined) return standing.is === 'member'
      await pause(standingEveryMs)
    }
    return false
  }

  #fail(error: unknown): void {
    const { log } = this.#options
    log.error({ err: error }, 'this engine cannot be what it was')
    const why = error instanceof Error ? error.message : 'it failed'
    this.#failure = error instanceof MasterRemoved ? new NodeRemoved(why).message : why
    // Its containers are nobody's now.
    void this.#member?.stop()
  }

  /** Whoever starts again looks for those who are there, not for those who were. */
  async #noteMasters(masters: readonly MasterAddress[]): Promise<void> {
    this.#masters = masters
    await this.#change((kept) =>
      kept?.stage === 'member' ? { ...kept, masters: [...masters] } : undefined,
    ).catch((error: unknown) =>
      this.#options.log.warn({ err: error }, 'who the masters are could not be written down'),
    )
  }

  #founded({ clusterId, place, password }: Omit<Founded, 'uid'>): void {
    this.#options.onFounded?.({ clusterId, place, uid: this.#options.uid, password })
  }

  /** At the first of its masters that answers. @throws JoinRefused, AuthorityNotPinned, JoinUnreachable */
  async #enrol({ at, token, remotes }: Joining, directory: string): Promise<Joined> {
    const { log } = this.#options
    let last: unknown = new Refusal(400, 'at least 1 RemoteAddr is required to join')
    for (const remote of remotes) {
      const { host, port } = addressParts(remote)
      if (host === '' || port === undefined) {
        throw new Refusal(
          400,
          `${remote.slice(0, 64)} is no address: host:port, as swarm join-token prints it`,
        )
      }
      // Whoever is asked wipes what it was given.
      const own = new Redacted(Uint8Array.from(token.reveal()))
      try {
        return await enrol({
          address: { host, port },
          token: own,
          directory,
          hosts: [hostOf(at)],
          log,
        })
      } catch (error) {
        if (!(error instanceof JoinUnreachable)) throw error
        last = error
      }
    }
    throw last
  }

  /** @throws the reason why it cannot be one */
  async #untilWhole(member: EngineMember): Promise<void> {
    const failed = member.master?.failed.then((error) => {
      throw error
    })
    await (failed === undefined ? member.whole : Promise.race([member.whole, failed]))
  }

  /** @throws JoinGoesOn when it takes long, or why the others would not have it */
  async #untilJoined(member: EngineMember): Promise<void> {
    const patience = Promise.withResolvers<'late'>()
    const timer = setTimeout(() => patience.resolve('late'), joinPatienceMs)
    try {
      const joined = this.#untilWhole(member).then(() => untilVoter(member))
      if ((await Promise.race([joined, patience.promise])) === 'late') throw new JoinGoesOn()
    } finally {
      clearTimeout(timer)
    }
  }

  /** What the machine's user wanted of it. */
  async #settle(member: EngineMember, availability: Beginning['availability']): Promise<void> {
    const { master, agentName } = member
    if (availability === 'active' || master === undefined) return
    await master.api.nodes.update(member.caller(), agentName, { availability })
  }

  /** The others are told as far as they can be: they go on without it either way. */
  async #farewell(): Promise<void> {
    const member = this.#member
    const { log } = this.#options
    if (member === undefined) return
    const patience = Promise.withResolvers<void>()
    const signal = AbortSignal.timeout(leavePatienceMs)
    signal.addEventListener('abort', () => patience.resolve())
    const told = member.sayFarewell(signal).catch((error: unknown) => {
      log.warn({ err: error }, 'the other masters could not be told that this one leaves')
    })
    await Promise.race([told, patience.promise])
  }
}

/** The others go on without this machine: it can only be told to leave what it was in. */
export class NodeRemoved extends ConclaveError {
  readonly code = 'engine.removed'

  constructor(why: string) {
    super(
      `this node was removed from the swarm (${why}): docker swarm leave --force, and join anew`,
    )
  }
}

/** The answer to who waits for a join that takes long. In dockerd's words. */
class JoinGoesOn extends Refusal {
  constructor() {
    super(
      503,
      'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.',
    )
  }
}

async function untilVoter(member: EngineMember): Promise<undefined> {
  while (member.master?.api.status().isVoter === false) await pause(50)
  return undefined
}

const pause = (ms: number): Promise<false> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(false), ms)
  })

/** As a certificate says: the founder's, or the one of its agent. */
const clusterIdIn = async (directory: string, role: EngineFile['role']): Promise<string> =>
  (await loadMember(directory, role === 'agent' ? 'conclave-agent' : 'conclave-master')).clusterId

const placeKept = ({ host, port }: PlaceWanted): NonNullable<EngineFile['at']> => ({
  host,
  ...(port !== undefined && { port }),
})

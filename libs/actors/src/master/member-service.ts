import { ConclaveError, type Clock } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import { isMember, none, type NodeId } from '@conclave/raft'
import type { MemberChange } from '../config-changes.ts'
import type { Group } from '../group.ts'
import type { Access } from './access.ts'
import { holderKey, removedKey, type RemovedRecord } from './authority/authority-records.ts'
import { CatchUp } from './catch-up.ts'
import { administer } from './led-members.ts'
import { MembershipBusy, MembershipRefused, NotLeader, Unavailable } from './errors.ts'
import { Machines, type Beside } from './machines.ts'
import type { Caller, MemberApi, MemberView } from './master-api.ts'
import { memberKey, type MemberRecord } from './master-records.ts'
import { peersListener, type Members } from './members.ts'
import {
  whyNotDemote,
  whyNotLeave,
  whyNotPromote,
  whyNotRemove,
  type MemberSeen,
} from './membership-rules.ts'
import type { PeerAnswer, PeerAsk, PeerQuestion } from './peer-questions.ts'
import { encodeRecord } from './record.ts'
import { decideAndCommit, isStill, type Replicated } from './replicated.ts'
import { operatorResource } from './resources.ts'

export interface MemberServiceOptions {
  readonly masterId: string
  readonly nodeId: NodeId
  readonly members: Members
  readonly replica: Group
  readonly replicated: Replicated
  readonly access: Access
  readonly clock: Clock
  readonly peers: PeerAsk
  readonly emit: (draft: EventDraft) => void
  /** Another master says that this one is no member any more. */
  readonly onRemoved: () => void
  readonly onProblem: (what: string, error: unknown) => void
}

type Join = Extract<PeerQuestion, { ask: 'join' }>
type Step = MemberChange['do']

/** How long an operator waits for what was decided to be brought about, in ticks of a second. */
const patienceSeconds = 30

/**
 * Who is a master: asked by operators, and by masters that want to join. What a member shall be is on
 * record first, and the leader then changes the configuration in the log until it is so, step by step.
 * So whatever is interrupted is finished, by this leader or by the next.
 */
export class MemberService implements MemberApi {
  readonly #options: MemberServiceOptions
  readonly #machines: Machines
  readonly #catchUps = new Map<NodeId, CatchUp>()
  #isChanging = false
  #decided: Promise<unknown> = Promise.resolve()
  #waiting: { isSo: () => boolean; secondsLeft: number; done: (isSo: boolean) => void }[] = []

  constructor(options: MemberServiceOptions) {
    this.#options = options
    this.#machines = new Machines(options.replicated.view)
    options.replica.onConfig(() => this.#checkWaiting())
    options.replica.onRole(() => this.#checkWaiting())
  }

  // ── operators ─────────────────────────────────────────────────────────────────────────────────

  async list(caller: Caller): Promise<readonly MemberView[]> {
    await this.#demand(caller, 'list', 'list')
    await this.#lead()
    return this.#views()
  }

  async promote(caller: Caller, masterId: string): Promise<MemberView> {
    await this.#demand(caller, masterId, 'promote')
    await this.#lead()
    this.#refuse(this.#options.replica.whyMembersStay ?? whyNotPromote(this.#seen(), masterId))
    if (this.#options.members.get(masterId)?.isLeaving === true) throw new MembershipBusy()
    await this.#want(masterId, { role: 'voter' })
    await this.#bringAbout(() => this.#isVoter(masterId))
    return this.#view(masterId)
  }

  async demote(caller: Caller, masterId: string): Promise<MemberView> {
    await this.#demand(caller, masterId, 'demote')
    await this.#lead()
    await this.#inTurn(async () => {
      this.#refuse(
        this.#options.replica.whyMembersStay ?? whyNotDemote(this.#seenAs(masterId), masterId),
      )
      await this.#want(masterId, { role: 'learner' })
    })
    await this.#bringAbout(() => !this.#isVoter(masterId))
    return this.#view(masterId)
  }

  async remove(
    caller: Caller,
    masterId: string,
    { force = false }: { readonly force?: boolean } = {},
  ): Promise<void> {
    await this.#demand(caller, masterId, 'remove')
    await this.#lead()
    this.#refuse(
      this.#options.replica.whyMembersStay ?? whyNotRemove(this.#seen(), masterId, force),
    )
    await this.#removed(masterId)
  }

  /** Down and out, whoever it is: a leader hands leadership on, and the next one goes on with it. */
  async leave(caller: Caller, masterId: string): Promise<void> {
    await this.#demand(caller, masterId, 'leave')
    await this.#lead()
    await this.#leave(masterId)
  }

  async #leave(masterId: string): Promise<void> {
    const isVoter = await this.#inTurn(async () => {
      this.#refuse(
        this.#options.replica.whyMembersStay ?? whyNotLeave(this.#seenAs(masterId), masterId),
      )
      if (!this.#isVoter(masterId)) return false
      await this.#want(masterId, { role: 'learner', isLeaving: true })
      return true
    })
    if (!isVoter) return this.#removed(masterId)
    const nodeId = this.#options.members.get(masterId)?.nodeId ?? none
    await this.#bringAbout(() => !isMember(this.#options.replica.config, nodeId))
  }

  // ── other masters ─────────────────────────────────────────────────────────────────────────────

  /** Answers a master, whose certificate proves that it is `masterId`. */
  async answer(masterId: string, question: PeerQuestion): Promise<PeerAnswer> {
    const { members, masterId: self, nodeId } = this.#options
    switch (question.ask) {
      case 'who':
        return { answer: 'i-am', masterId: self, nodeId }
      case 'membership': {
        const known = members.get(masterId)
        if (known === undefined) return { answer: 'stranger' }
        const at = question.listeners?.[peersListener]
        if (known.state === 'member' && at !== undefined) members.seenAt(masterId, at)
        return { answer: known.state }
      }
      case 'join':
        return this.#admit(masterId, question)
      case 'leave':
        return this.#release(masterId)
      case 'administer':
        if (members.get(masterId)?.state === 'member') return administer(this, question)
        return { answer: 'refused', why: 'you are no member of the group' }
      case 'farewell':
      default:
        // Whoever was removed may not send others away: only who votes here speaks for the group.
        if (members.get(masterId)?.state === 'removed' || !this.#isVoter(masterId)) {
          return { answer: 'refused', why: 'you do not speak for the group' }
        }
        this.#options.onRemoved()
        return { answer: 'noted' }
    }
  }

  /** A master that goes asks for itself. One that was not let in yet never is then. */
  async #release(masterId: string): Promise<PeerAnswer> {
    const { members, access, replica } = this.#options
    try {
      await this.#lead()
      this.#refuse(replica.whyMembersStay)
      const known = members.get(masterId)
      if (known?.state === 'removed') return { answer: 'removed' }
      const caller = { principal: { uid: `master/${masterId}` }, requestId: 'leave' }
      await access.audit(caller, 'administer', `${memberKey(masterId)}/leave`, 'allowed')
      if (known === undefined) await this.#giveUp(masterId)
      else if (isMember(replica.config, known.nodeId)) await this.#leave(masterId)
      else await this.#removed(masterId)
      return { answer: 'removed' }
    } catch (error) {
      return notNow(error)
    }
  }

  /** @throws Unavailable, also when it was let in meanwhile */
  async #giveUp(masterId: string): Promise<void> {
    const { members, replica, replicated, clock } = this.#options
    const place = members.places().find((one) => one.masterId === masterId)
    const hasCome = (): boolean => members.get(masterId) !== undefined
    await decideAndCommit<void>(replicated, () => {
      if (hasCome() || isMember(replica.config, place?.nodeId ?? none)) {
        return { refuse: async () => new Unavailable(`${masterId} is one already; ask again`) }
      }
      const { compare, success } = this.#removal(masterId, clock.nowMs())
      const absent = isStill(memberKey(masterId), undefined)
      return { commit: { compare: [absent, ...compare], success }, committed: () => undefined }
    })
  }

  /** The door for a master that joins: what it may not be is refused for good, the rest later. */
  async #admit(masterId: string, join: Join): Promise<PeerAnswer> {
    try {
      await this.#lead()
      await this.#letIn(masterId, join)
      return { answer: 'member' }
    } catch (error) {
      return notNow(error)
    }
  }

  /** @throws MembershipRefused */
  async #letIn(masterId: string, { nodeId, role, listeners }: Join): Promise<void> {
    const { members, peers, emit, replica, replicated } = this.#options
    const check = (known: MemberRecord | undefined): void => {
      this.#refuse(whyNotJoin(masterId, nodeId, known, members.ownerOf(nodeId)))
      // It was to be one, and was given up before it was.
      const isGivenUp = replicated.view.get(removedKey('master', masterId)) !== undefined
      this.#refuse(isGivenUp ? `${masterId} was removed before it was let in` : undefined)
    }
    this.#refuse(replica.whyMembersStay)
    check(members.get(masterId))
    const at = listeners[peersListener]
    if (at === undefined) throw new MembershipRefused('it does not say where the others reach it')
    const answered = await peers.ask(at, masterId, { ask: 'who' }).catch(() => undefined)
    if (answered?.answer !== 'i-am' || answered.nodeId !== nodeId) {
      throw new MembershipRefused(
        `${masterId} cannot be reached back at ${at.host}:${at.port}: give an address that the other masters reach`,
      )
    }
    const isNew = members.get(masterId) === undefined
    const letIn = (known: MemberRecord | undefined): MemberRecord => {
      check(known)
      const sinceMs = known?.sinceMs ?? this.#options.clock.nowMs()
      const wanted = { state: 'member', role: known?.role ?? role, sinceMs } as const
      return { ...known, masterId, nodeId, listeners, ...wanted }
    }
    await members.change(masterId, letIn, () => ({
      compare: [isStill(removedKey('master', masterId), undefined)],
    }))
    if (isMember(replica.config, nodeId)) return
    await this.#exclusively(() => this.#step('add-learner', nodeId))
    if (isNew) emit({ type: 'member.added', masterId, nodeId })
  }

  /**
   * Of a master that has begun anew by itself: nobody who was one before is ever listened to again.
   *
   * @throws Unavailable, OutcomeUnknown
   */
  async beginAnew(): Promise<void> {
    const { members, masterId: self, clock } = this.#options
    const onRecord = members.records().filter(({ state }) => state !== 'removed')
    const others = new Map([...members.places(), ...onRecord].map((one) => [one.masterId, one]))
    others.delete(self)
    for (const { masterId, nodeId, listeners } of others.values()) {
      const change = (known: MemberRecord | undefined): MemberRecord => ({
        ...(known ?? { masterId, nodeId, listeners }),
        role: 'learner',
        state: 'removed',
      })
      await members.change(masterId, change, () => this.#removal(masterId, clock.nowMs()))
    }
    const own = members.get(self)
    if (own === undefined || (own.role === 'voter' && own.isLeaving === undefined)) return
    await members.change(self, (known) => {
      const { isLeaving: _over, ...rest } = known ?? own
      return { ...rest, role: 'voter' }
    })
  }

  // ── the leader ────────────────────────────────────────────────────────────────────────────────

  /** Told once a second. */
  tick(): void {
    this.#waiting = this.#waiting.filter((one) => {
      one.secondsLeft--
      if (one.secondsLeft > 0) return true
      one.done(false)
      return false
    })
    if (this.#options.replica.role !== 'leader') return this.#catchUps.clear()
    void this.#approach()
  }

  /** One step towards what is on record, if there is one to be made. */
  async #approach(): Promise<void> {
    if (this.#isChanging) return
    try {
      await this.#letGo()
      const next = this.#nextStep()
      if (next !== undefined) await this.#exclusively(() => this.#step(next.do, next.nodeId))
    } catch (error) {
      this.#options.onProblem('a change of the masters is tried again', error)
    }
  }

  /** Those who wanted to leave, and do not vote any more. */
  async #letGo(): Promise<void> {
    for (const { masterId, isLeaving, state } of this.#options.members.records()) {
      if (isLeaving !== true || state === 'removed' || this.#isVoter(masterId)) continue
      await this.#exclusively(() => this.#keepRemoved(masterId))
    }
  }

  #nextStep(): MemberChange | undefined {
    const { members, replica } = this.#options
    const seen = this.#seen()
    for (const { masterId, nodeId, role, state } of members.records()) {
      const isIn = isMember(replica.config, nodeId)
      const isVoter = replica.config.voters.includes(nodeId)
      if (state === 'removed') {
        const isSafe = !isVoter || whyNotRemove(seen, masterId, true) === undefined
        if (isIn && isSafe) return { do: 'remove', nodeId }
      } else if (!isIn) {
        return { do: 'add-learner', nodeId }
      } else if (role === 'learner' && isVoter) {
        if (whyNotDemote(seen, masterId) === undefined) return { do: 'demote', nodeId }
      } else if (role === 'voter' && !isVoter) {
        if (this.#isCaughtUp(nodeId) && whyNotPromote(seen, masterId) === undefined) {
          return { do: 'promote', nodeId }
        }
      }
    }
    return undefined
  }

  /** Two rounds of all that there was at their beginning, or nearly all that there is now. */
  #isCaughtUp(nodeId: NodeId): boolean {
    const progress = this.#options.replica.memberProgress().find((one) => one.nodeId === nodeId)
    if (progress?.isReachable !== true) return false
    const catchUp = this.#catchUps.get(nodeId) ?? new CatchUp()
    this.#catchUps.set(nodeId, catchUp)
    return catchUp.isDone(progress)
  }

  async #step(what: Step, nodeId: NodeId): Promise<void> {
    const { replica, members, emit } = this.#options
    await replica.changeMembers({ do: what, nodeId })
    const masterId = members.ownerOf(nodeId) ?? `node ${nodeId}`
    if (what === 'add-learner') return
    this.#catchUps.delete(nodeId)
    emit({ type: eventOf[what], masterId, nodeId })
    if (what === 'remove') this.#sayFarewell(masterId)
  }

  /** So that its process ends, too. If it cannot be told now, it asks when it hears of nobody. */
  #sayFarewell(masterId: string): void {
    const { members, peers } = this.#options
    const at = members.get(masterId)?.listeners[peersListener]
    if (at !== undefined) peers.ask(at, masterId, { ask: 'farewell' }).catch(() => undefined)
  }

  /** The record first: from then on nobody listens to it, whatever becomes of the rest. */
  async #removed(masterId: string): Promise<void> {
    await this.#keepRemoved(masterId)
    const nodeId = this.#options.members.get(masterId)?.nodeId ?? none
    await this.#bringAbout(() => !isMember(this.#options.replica.config, nodeId))
  }

  async #keepRemoved(masterId: string): Promise<void> {
    // Its certificate is not renewed any more, either.
    const atMs = this.#options.clock.nowMs()
    await this.#want(masterId, { state: 'removed' }, () => this.#removal(masterId, atMs))
  }

  #removal(masterId: string, atMs: number): Beside {
    const record: RemovedRecord = { id: masterId, role: 'master', atMs }
    const { compare, success } = this.#machines.part(masterId)
    return {
      compare,
      success: [
        { do: 'put', key: removedKey('master', masterId), value: encodeRecord(record) },
        { do: 'delete', key: holderKey('master', masterId) },
        ...success,
      ],
    }
  }

  /** What its machine's agent is to constraints goes with it. */
  async #want(
    masterId: string,
    wanted: Partial<Pick<MemberRecord, 'role' | 'state' | 'isLeaving'>>,
    beside = (): Beside =>
      this.#machines.become(masterId, wanted.role === 'voter' ? 'manager' : 'worker'),
  ): Promise<void> {
    const change = (known: MemberRecord | undefined): MemberRecord => {
      if (known?.state === 'removed') throw new MembershipRefused(`${masterId} was removed`)
      // A founder that never led and never heard of a leader may not have said where it is yet.
      if (known === undefined)
        throw new Unavailable(`${masterId} has not shown itself yet; try again`)
      return { ...known, ...wanted }
    }
    await this.#options.members.change(masterId, change, beside)
  }

  /** Waits until it is so. @throws NotLeader, so that the caller asks the next leader; Unavailable */
  async #bringAbout(isSo: () => boolean): Promise<void> {
    // Down, on record as removed, and out: as many steps as there may be, without a second between them.
    for (let steps = 0; steps < 3; steps++) {
      await this.#approach()
      if (isSo()) return
    }
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({
        isSo,
        secondsLeft: patienceSeconds,
        done: (isDone) => {
          if (isDone) resolve()
          else if (this.#options.replica.role !== 'leader') reject(new NotLeader())
          else reject(new Unavailable('it is decided, but not done yet; look again in a while'))
        },
      })
      this.#checkWaiting()
    })
  }

  #checkWaiting(): void {
    const { replica } = this.#options
    // One that hands leadership on waits until it can say to whom.
    const isElsewhere =
      replica.role !== 'leader' &&
      replica.leader !== none &&
      replica.leader !== this.#options.nodeId
    const settled = this.#waiting.filter(({ isSo }) => isElsewhere || isSo())
    if (settled.length === 0) return
    this.#waiting = this.#waiting.filter((one) => !settled.includes(one))
    for (const { isSo, done } of settled) done(!isElsewhere && isSo())
  }

  /** @throws MembershipBusy */
  async #exclusively(act: () => Promise<void>): Promise<void> {
    if (this.#isChanging) throw new MembershipBusy()
    this.#isChanging = true
    try {
      await act()
    } finally {
      this.#isChanging = false
    }
  }

  /** Two that go at the same time would each count on the other to stay. */
  #inTurn<T>(decide: () => Promise<T>): Promise<T> {
    const done = this.#decided.then(decide)
    this.#decided = done.catch(() => undefined)
    return done
  }

  /** @throws NotLeader, Unavailable */
  async #lead(): Promise<void> {
    if (this.#options.replica.role !== 'leader') throw new NotLeader()
    await this.#options.replicated.refresh()
  }

  async #demand(caller: Caller, masterId: string, what: string): Promise<void> {
    const { access } = this.#options
    const path = `${memberKey(masterId)}/${what}`
    if (!access.may(caller, operatorResource, 'full')) {
      throw await access.denied(caller, 'administer', operatorResource, 'full', path)
    }
    await access.audit(caller, 'administer', path, 'allowed')
  }

  #refuse(why: string | undefined): void {
    if (why !== undefined) throw new MembershipRefused(why)
  }

  #isVoter(masterId: string): boolean {
    const nodeId = this.#options.members.get(masterId)?.nodeId ?? none
    return this.#options.replica.config.voters.includes(nodeId)
  }

  #seen(): readonly MemberSeen[] {
    return this.#views().map(({ masterId, role, isReachable }) => ({
      masterId,
      isVoter: role !== 'learner',
      isHealthy: isReachable,
    }))
  }

  /** The same to whoever decides on this one: others that are to go have no say any more. */
  #seenAs(masterId: string): readonly MemberSeen[] {
    const { members } = this.#options
    return this.#seen().map((one) =>
      one.masterId !== masterId && members.get(one.masterId)?.role === 'learner'
        ? { ...one, isVoter: false }
        : one,
    )
  }

  #view(masterId: string): MemberView {
    const view = this.#views().find((one) => one.masterId === masterId)
    if (view === undefined) throw new MembershipRefused(`node ${masterId} not found`)
    return view
  }

  /** Everybody in the configuration, as this leader sees them. */
  #views(): readonly MemberView[] {
    const { replica, members, masterId: self, nodeId: own } = this.#options
    const { config } = replica
    const progress = new Map(replica.memberProgress().map((one) => [one.nodeId, one]))
    return [...config.voters, ...config.learners]
      .toSorted((a, b) => a - b)
      .map((nodeId) => {
        const isSelf = nodeId === own
        const one = progress.get(nodeId)
        const known = members.byNode(nodeId)
        return {
          masterId: isSelf
            ? self
            : (known?.masterId ?? members.ownerOf(nodeId) ?? `node-${nodeId}`),
          nodeId,
          role: isSelf ? 'leader' : config.voters.includes(nodeId) ? 'voter' : 'learner',
          isReachable: isSelf || one?.isReachable === true,
          lag: isSelf ? 0 : one?.lag,
          listeners: known?.listeners ?? {},
          sinceMs: known && members.get(known.masterId)?.sinceMs,
          wanted: known && wantedOf(members.get(known.masterId)),
        }
      })
  }
}

/** @throws what is a fault of ours */
function notNow(error: unknown): PeerAnswer {
  if (!(error instanceof ConclaveError)) throw error
  if (error instanceof MembershipRefused) return { answer: 'refused', why: error.message }
  return { answer: 'later', why: error.message }
}

const wantedOf = (record: MemberRecord | undefined): MemberView['wanted'] =>
  record?.isLeaving === true ? 'gone' : record?.role

const eventOf = {
  promote: 'member.promoted',
  demote: 'member.demoted',
  remove: 'member.removed',
} as const

/** Ids are given once: neither a number nor a name that was removed comes back. */
function whyNotJoin(
  masterId: string,
  nodeId: NodeId,
  known: MemberRecord | undefined,
  owner: string | undefined,
): string | undefined {
  if (known?.state === 'removed') {
    return `${masterId} was removed from the cluster, and its id is never used again: join anew, with an empty directory`
  }
  if (known !== undefined && known.nodeId !== nodeId) {
    return `${masterId} is node ${known.nodeId} already, not ${nodeId}`
  }
  if (owner !== undefined && owner !== masterId) {
    return `node ${nodeId} is or was ${owner}: an id is never given twice`
  }
  return undefined
}

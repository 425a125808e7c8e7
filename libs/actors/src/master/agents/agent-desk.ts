import { authorityFingerprint } from '@conclave/crypto'
import { isLeaky, type AgentInfo, type FromAgent } from '@conclave/model'
import type { EventLog } from '../../event-log.ts'
import type { Access } from '../access.ts'
import { AgentCallers } from './agent-callers.ts'
import type { AgentChannel } from './agent-channel.ts'
import { AgentChannels, reportedEvent } from './agent-channels.ts'
import type { Trust } from '../authority/authority-state.ts'
import type { Address, IdentityApi } from '../master-api.ts'
import type { Members } from '../members.ts'
import type { ResolveService } from './resolve-service.ts'
import type { TaskSessions } from '../task-sessions.ts'
import type { Term } from '../term.ts'
import { ToldMasters } from './told-masters.ts'

export interface AgentDeskOptions {
  readonly identity: IdentityApi
  readonly access: Access
  readonly members: Members
  readonly resolver: ResolveService
  readonly sessions: TaskSessions
  readonly events: EventLog
  /** Whether the cluster was told to give values away as Mesos does. */
  readonly faithfulLeaks: boolean
  readonly isLeader: () => boolean
  /** This master's own, while it leads. */
  readonly term: () => Term | undefined
  /** Where the leader listens for agents, if it is another one and known. */
  readonly leaderAt: () => Address | undefined
  readonly trust: () => Trust | undefined
  readonly isRemoved: (agentName: string) => boolean
  readonly onProblem: (what: string, error: unknown) => void
}

/** Something that an agent said, and how long it was on the wire. */
interface Held {
  readonly connection: number
  readonly message: FromAgent
  readonly sizeBytes: number
}

/** Messages of one agent that wait until a new leader has its records. */
const heldMax = { count: 256, bytes: 16 * 1024 * 1024 }

const leaksRefused =
  'it gives values away as Mesos does, and the masters were not started with --faithful-leaks'

const removed =
  'it was removed from the cluster, and is taken in no more: join anew, with an empty directory'

/** What it runs ends there, and what that was given is forgotten. */
function dismiss(channel: AgentChannel): void {
  channel.send({ type: 'shutdown', why: removed })
  channel.close()
}

/**
 * The agents that are connected to this master. Only a leader hears them: to others it is said where that is,
 * and what comes before it has its records waits for them.
 */
export class AgentDesk {
  readonly #options: AgentDeskOptions
  readonly #callers: AgentCallers
  readonly #toldMasters: ToldMasters
  readonly #channels = new AgentChannels()
  #held: Held[] = []

  constructor(options: AgentDeskOptions) {
    this.#options = options
    this.#callers = new AgentCallers(options)
    this.#toldMasters = new ToldMasters(options.members)
  }

  channel(connection: number): AgentChannel | undefined {
    return this.#channels.get(connection)
  }

  connected(channel: AgentChannel): void {
    this.#channels.add(channel)
    if (this.#options.isRemoved(channel.agentName)) return dismiss(channel)
    if (!this.#options.isLeader()) return this.#sendAway(channel)
    this.#tellTrust(channel)
    this.#toldMasters.tell(channel)
  }

  /** @returns whether there was such a connection */
  disconnected(connection: number): boolean {
    if (this.#channels.remove(connection) === undefined) return false
    this.#held = this.#held.filter((held) => held.connection !== connection)
    return true
  }

  message(connection: number, message: FromAgent, sizeBytes: number): void {
    const channel = this.#channels.get(connection)
    if (channel === undefined) return
    if (!this.#options.isLeader()) return this.#sendAway(channel)
    const term = this.#options.term()
    if (term?.core === undefined) return this.#hold(channel, { connection, message, sizeBytes })
    const load = this.#channels.loadOf(connection)
    if (message.type === 'register' && this.#refusesLeaks(message.info)) {
      return channel.send({ type: 'shutdown', why: leaksRefused })
    }
    switch (message.type) {
      case 'register':
      case 'status-update':
      case 'executor-message':
      case 'executor-started':
      case 'executor-ended':
      case 'files-rotated':
        term.step({
          kind: 'agent-message',
          connection,
          agentName: channel.agentName,
          message,
        })
        void load?.carry(sizeBytes, term.settled())
        return
      case 'resolve':
        void load?.carry(sizeBytes, this.#resolve(term, channel, message))
        return
      case 'events':
        return this.#report(term, channel, message.events)
      case 'session-output':
      case 'session-taken':
      case 'session-end':
        return this.#options.sessions.receive(connection, message)
      case 'ask-caller':
        void load?.carry(sizeBytes, this.#answerCaller(term, channel, message))
    }
  }

  /** The leader has its records: what was said before is heard now. */
  ready(): void {
    const held = this.#held
    this.#held = []
    for (const { connection, message, sizeBytes } of held) {
      this.message(connection, message, sizeBytes)
    }
  }

  /** They look for the next leader, and say again there what was not heard here. */
  sendAllAway(): void {
    this.#held = []
    for (const channel of this.#channels.all()) this.#sendAway(channel)
  }

  /** What members must trust has changed. */
  trustChanged(): void {
    if (!this.#options.isLeader()) return
    for (const channel of this.#channels.all()) this.#tellTrust(channel)
  }

  /** The masters may be others, or elsewhere. */
  membersChanged(): void {
    if (!this.#options.isLeader() || !this.#toldMasters.isNews()) return
    for (const channel of this.#channels.all()) this.#toldMasters.tell(channel)
  }

  closeRemoved(): void {
    for (const channel of this.#channels.all()) {
      if (this.#options.isRemoved(channel.agentName)) dismiss(channel)
    }
  }

  #sendAway(channel: AgentChannel): void {
    const at = this.#options.leaderAt()
    channel.send({ type: 'not-leader', ...(at === undefined ? {} : { leader: at }) })
    channel.close()
  }

  /** Whether its certificate is still of the right root is for the agent to see. */
  #tellTrust(channel: AgentChannel): void {
    const trust = this.#options.trust()
    if (trust === undefined) return
    const { issuer, authorityPem } = trust
    channel.send({ type: 'authority', issuer, trust: authorityFingerprint(authorityPem) })
  }

  #hold(channel: AgentChannel, held: Held): void {
    const own = this.#held.filter(({ connection }) => connection === channel.id)
    const bytes = own.reduce((sum, { sizeBytes }) => sum + sizeBytes, held.sizeBytes)
    if (own.length < heldMax.count && bytes <= heldMax.bytes) this.#held.push(held)
    else channel.close()
  }

  /** One agent that was told to leak must not get what a cluster that was not told so has. */
  #refusesLeaks(info: AgentInfo): boolean {
    return isLeaky(info) && !this.#options.faithfulLeaks
  }

  async #resolve(
    term: Term,
    channel: AgentChannel,
    request: Extract<FromAgent, { type: 'resolve' }>,
  ): Promise<void> {
    const { requestId } = request
    try {
      const resolutions = await this.#options.resolver.resolve(term, channel.id, request)
      if (resolutions === undefined || term.isOver) return
      channel.send({ type: 'resolved', requestId, resolutions })
    } catch (error) {
      this.#options.onProblem('a question for secrets could not be answered', error)
      if (term.isOver) return
      const why = 'the master could not answer; try again'
      const resolutions = request.secrets.map(() => ({ outcome: 'unavailable' as const, why }))
      channel.send({ type: 'resolved', requestId, resolutions })
    }
  }

  async #answerCaller(
    term: Term,
    channel: AgentChannel,
    question: Extract<FromAgent, { type: 'ask-caller' }>,
  ): Promise<void> {
    const answer = await this.#callers.answer(channel.agentName, question)
    if (!term.isOver) channel.send(answer)
  }

  #report(term: Term, channel: AgentChannel, told: readonly unknown[]): void {
    const agentId = term.core?.agentOf(channel.id)?.agentId
    if (agentId === undefined) return
    for (const one of told) {
      const event = reportedEvent(one, agentId, channel.agentName, (frameworkId, taskId) =>
        term.core?.taskOf(frameworkId, taskId),
      )
      if (event === undefined) continue
      const { atMs, ...draft } = event
      this.#options.events.append(draft, { source: channel.agentName, atMs })
    }
  }
}

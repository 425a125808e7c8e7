import type { TLSSocket } from 'node:tls'

import type { Address } from '@conclave/actors'
import type { Random } from '@conclave/kernel'

import type { TlsIdentity } from './authority/identity.ts'
import { subjectOf } from './authority/subject.ts'
import { Backoff } from './backoff.ts'
import { JsonPipe, usualPipeLimits, type JsonPipeLimits } from './json-pipe.ts'
import { dial, LinkListener, LinkRefused } from './link-tls.ts'
import { silentLog, type Log } from './log.ts'
import { SystemRandom } from './random.ts'
import type { Slices } from './slices.ts'

/** A message says what it is. What else it holds is the model's business. */
export interface LinkMessage {
  readonly type: string
}

const ignore = (): void => undefined

/** One agent at the other end of one connection. Listeners are set within `onConnection`. */
export interface AgentConnection<Sent, Received> {
  /** Counts from 1 within this server. */
  readonly id: number
  /** The CN of its certificate: proven, where an id in a message is only claimed. */
  readonly agentName: string
  /** Bytes that the agent has not taken yet: who streams waits while these are many. */
  readonly waitingBytes: number
  send(message: Sent): void
  close(): void
  /** Nothing more is heard from this agent until `resume`, but for what has arrived already. */
  pause(): void
  resume(): void
  /** `sizeBytes` is how long the message was on the wire. */
  onMessage(listener: (message: Received, sizeBytes: number) => void): void
  /** Called once, whoever ended it. */
  onClose(listener: (why: string) => void): void
}

export interface AgentLinkServerOptions<Sent, Received> {
  readonly clusterId: string
  readonly identity: TlsIdentity
  readonly listen: Address
  /** The schema of what agents say. Whatever it throws ends the connection. */
  readonly parse: (value: unknown) => Received
  readonly onConnection: (connection: AgentConnection<Sent, Received>) => void
  readonly log?: Log
  readonly limits?: Partial<JsonPipeLimits>
  /** What agents say is heard in these, beside what else the master does in them. */
  readonly slices?: Slices
}

/** The master's end: accepts whoever has an agent's certificate. */
export class AgentLinkServer<Sent extends LinkMessage, Received extends LinkMessage> {
  readonly #options: AgentLinkServerOptions<Sent, Received>
  readonly #limits: JsonPipeLimits
  readonly #log: Log
  readonly #listener: LinkListener
  readonly #pipes = new Set<JsonPipe<Sent, Received>>()
  /** The one connection of each agent, by the name in its certificate. */
  readonly #newest = new Map<string, JsonPipe<Sent, Received>>()
  #lastId = 0

  constructor(options: AgentLinkServerOptions<Sent, Received>) {
    this.#options = options
    this.#limits = { ...usualPipeLimits, ...options.limits }
    this.#log = options.log ?? silentLog
    this.#listener = new LinkListener({
      identity: options.identity,
      expected: { role: 'conclave-agent', clusterId: options.clusterId },
      onSocket: (socket) => this.#accept(socket),
      onRefused: (why) => this.#log.warn({ why }, 'refused a caller at the agent port'),
    })
  }

  get refusals(): number {
    return this.#listener.refusals
  }

  /** @throws LinkListenFailed */
  start(): Promise<{ port: number }> {
    return this.#listener.listen(this.#options.listen)
  }

  /** For a certificate about to expire. Connections that stand go on. */
  setIdentity(identity: TlsIdentity): void {
    this.#listener.renew(identity)
  }

  async close(): Promise<void> {
    for (const pipe of this.#pipes) pipe.close('this master is stopping')
    const patience = setTimeout(() => this.destroy(), 1000)
    await this.#listener.close()
    clearTimeout(patience)
  }

  destroy(): void {
    this.#listener.destroy()
  }

  #accept(socket: TLSSocket): void {
    const id = ++this.#lastId
    const agentName = subjectOf(socket.getPeerCertificate())?.id ?? ''
    let messageListener: (message: Received, sizeBytes: number) => void = ignore
    let closeListener: (why: string) => void = ignore
    const pipe = new JsonPipe<Sent, Received>(socket, {
      limits: this.#limits,
      parse: this.#options.parse,
      slices: this.#options.slices,
      onMessage: (message, sizeBytes) => messageListener(message, sizeBytes),
      onClose: (why) => {
        this.#pipes.delete(pipe)
        if (this.#newest.get(agentName) === pipe) this.#newest.delete(agentName)
        this.#log.info({ agent: agentName, connection: id, why }, 'an agent is disconnected')
        closeListener(why)
      },
    })
    this.#pipes.add(pipe)
    this.#log.info({ agent: agentName, connection: id }, 'an agent is connected')
    // An agent has one connection: what it had before is dead, or somebody would have many.
    this.#newest.get(agentName)?.destroy('the agent has connected anew')
    this.#newest.set(agentName, pipe)
    this.#options.onConnection({
      id,
      agentName,
      get waitingBytes() {
        return pipe.waitingBytes
      },
      send: (message) => pipe.send(message),
      close: () => pipe.close('this master hung up'),
      pause: () => pipe.pause(),
      resume: () => pipe.resume(),
      onMessage: (listener) => {
        messageListener = listener
      },
      onClose: (listener) => {
        closeListener = listener
      },
    })
  }
}

export interface AgentLinkClientOptions<Received> {
  readonly clusterId: string
  readonly identity: TlsIdentity
  /** Tried in turn until one of them is the leader, or knows it. */
  readonly masters: readonly Address[]
  /** The schema of what masters say. Whatever it throws ends the connection. */
  readonly parse: (value: unknown) => Received
  /** A master answers: the agent registers now. It may still turn out not to lead. */
  readonly onConnected: (masterName: string) => void
  /** Called once after each `onConnected`. */
  readonly onDisconnected: (why: string) => void
  /** Everything but `not-leader`, which the link itself follows. */
  readonly onMessage: (message: Received) => void
  readonly log?: Log
  readonly random?: Random
  readonly limits?: Partial<AgentLinkClientLimits>
}

export interface AgentLinkClientLimits extends JsonPipeLimits {
  readonly retryFirstMs: number
  readonly retryMaxMs: number
}

const usualClientLimits = { ...usualPipeLimits, retryFirstMs: 50, retryMaxMs: 3000 }

/** So many masters may send us on in a row before we take a breath: old leaders name each other. */
const redirectsMax = 3

/** The agent's end: keeps one connection to the leader, for as long as it is open. */
export class AgentLinkClient<Sent extends LinkMessage, Received extends LinkMessage> {
  readonly #options: AgentLinkClientOptions<Received>
  readonly #limits: AgentLinkClientLimits
  readonly #log: Log
  readonly #backoff: Backoff
  #identity: TlsIdentity
  #masters: readonly Address[]
  #turn = 0
  #leader: Address | undefined
  #redirects = 0
  #socket: TLSSocket | undefined
  #pipe: JsonPipe<Sent, Received> | undefined
  #retry: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: AgentLinkClientOptions<Received>) {
    this.#options = options
    this.#limits = { ...usualClientLimits, ...options.limits }
    this.#log = options.log ?? silentLog
    this.#identity = options.identity
    this.#masters = options.masters
    this.#backoff = new Backoff(
      options.random ?? new SystemRandom(),
      this.#limits.retryFirstMs,
      this.#limits.retryMaxMs,
    )
  }

  get isConnected(): boolean {
    return this.#pipe !== undefined
  }

  /** Bytes that the master has not taken yet: who streams waits while these are many. */
  get waitingBytes(): number {
    return this.#pipe?.waitingBytes ?? 0
  }

  start(): void {
    if (this.#socket === undefined && this.#retry === undefined && !this.#isClosed) this.#connect()
  }

  /** Whether it was handed to a connection. What a lost connection had is not sent again. */
  send(message: Sent): boolean {
    this.#pipe?.send(message)
    return this.#pipe !== undefined
  }

  setMasters(masters: readonly Address[]): void {
    this.#masters = masters
  }

  /** For a certificate about to expire. The connection that stands goes on. */
  setIdentity(identity: TlsIdentity): void {
    this.#identity = identity
  }

  /** Sends what is queued, hangs up, and resolves when the connection has ended. */
  async close(): Promise<void> {
    const socket = this.#socket
    this.#stop()
    if (socket === undefined || socket.destroyed) return
    const ended = new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
    })
    if (this.#pipe === undefined) socket.destroy()
    else this.#pipe.close('this agent hung up')
    const patience = setTimeout(() => socket.destroy(), 1000)
    await ended
    clearTimeout(patience)
  }

  /** As a crash would leave it. */
  destroy(): void {
    this.#stop()
    this.#socket?.destroy()
  }

  #stop(): void {
    this.#isClosed = true
    if (this.#retry !== undefined) clearTimeout(this.#retry)
    if (this.#deadline !== undefined) clearTimeout(this.#deadline)
  }

  #connect(): void {
    this.#retry = undefined
    const target = this.#leader ?? this.#masters[this.#turn++ % this.#masters.length]
    this.#leader = undefined
    if (target === undefined) {
      this.#connectLater()
      return
    }
    const socket = dial(target, this.#identity, {
      role: 'conclave-master',
      clusterId: this.#options.clusterId,
    })
    let why = 'closed'
    this.#socket = socket
    this.#deadline = setTimeout(() => socket.destroy(), this.#limits.silenceMs)
    socket.on('error', (error) => {
      why =
        error instanceof LinkRefused ? error.message : ((error as { code?: string }).code ?? why)
      socket.destroy()
    })
    socket.once('secureConnect', () => this.#open(socket))
    socket.on('close', () => {
      clearTimeout(this.#deadline)
      this.#socket = undefined
      this.#log.debug({ ...target, why }, 'no connection to a master')
      this.#connectLater()
    })
  }

  #open(socket: TLSSocket): void {
    clearTimeout(this.#deadline)
    const masterName = subjectOf(socket.getPeerCertificate())?.id ?? ''
    this.#pipe = new JsonPipe<Sent, Received>(socket, {
      limits: this.#limits,
      parse: this.#options.parse,
      onMessage: (message) => this.#receive(message),
      onClose: (why) => {
        this.#pipe = undefined
        if (!this.#isClosed) this.#options.onDisconnected(why)
      },
    })
    this.#log.info({ master: masterName }, 'connected to a master')
    this.#options.onConnected(masterName)
  }

  #receive(message: Received): void {
    if (this.#isClosed) return
    if (message.type === 'not-leader') {
      this.#leader = leaderOf(message)
      this.#pipe?.destroy('it is not the leader')
      return
    }
    this.#backoff.reset()
    this.#redirects = 0
    this.#options.onMessage(message)
  }

  #connectLater(): void {
    if (this.#isClosed) return
    const isSentOn = this.#leader !== undefined && this.#redirects++ < redirectsMax
    if (!isSentOn) {
      this.#redirects = 0
      this.#leader = undefined
    }
    this.#retry = setTimeout(() => this.#connect(), isSentOn ? 0 : this.#backoff.nextMs())
  }
}

function leaderOf(message: LinkMessage): Address | undefined {
  const { leader } = message as { leader?: Partial<Address> }
  if (typeof leader?.host !== 'string' || typeof leader.port !== 'number') return undefined
  return { host: leader.host, port: leader.port }
}

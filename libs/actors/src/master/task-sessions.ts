import { uuid, type Random } from '@conclave/kernel'
import type { FromAgent, TerminalSize, ToAgent } from '@conclave/model'
import { Signal } from '../signal.ts'
import type { AgentChannel } from './agents/agent-channel.ts'
import type { SessionOutput, TaskSession } from './master-api.ts'

/** What one reader may leave unread before its session is ended: containers print faster than people read. */
const unreadBytesMax = 16 * 1024 * 1024
/** Input waits here, not in the agent's connection, which statuses and secrets have to pass too. */
const linkBytesMax = 1024 * 1024
/** Input on its way to a program that has not read it. */
const untakenBytesMax = 256 * 1024
/** Above this the agent holds the output back, below that it goes on. */
const holdAtBytes = 1024 * 1024
const goAtBytes = 256 * 1024
const inputBytesMax = 16 * 1024 * 1024
const chunkBytes = 48 * 1024

export type OpenSession = (
  sessionId: string,
) => Extract<ToAgent, { type: 'open-logs' | 'open-exec' | 'open-usage' }>
type SessionMessage = Extract<
  FromAgent,
  { type: 'session-output' | 'session-taken' | 'session-end' }
>

/** Streams between clients of this master and containers, through the connections of their agents. */
export class TaskSessions {
  readonly #random: Random
  readonly #sessions = new Map<string, Session>()

  constructor(random: Random) {
    this.#random = random
  }

  /** @param isAllowed whether the client may still have it */
  open(channel: AgentChannel, isAllowed: () => boolean, open: OpenSession): TaskSession {
    const sessionId = uuid(this.#random)
    const onOver = (): boolean => this.#sessions.delete(sessionId)
    const session = new Session({ id: sessionId, channel, isAllowed, onOver })
    this.#sessions.set(sessionId, session)
    channel.send(open(sessionId))
    return session
  }

  /** Only the agent that a session was opened at is heard. */
  receive(connection: number, message: SessionMessage): void {
    const session = this.#sessions.get(message.sessionId)
    if (session?.connection !== connection) return
    if (message.type === 'session-end') session.end(message.exitCode, message.error)
    else if (message.type === 'session-taken') session.taken(message.sizeBytes)
    else session.received(message.stream, Buffer.from(message.data, 'base64'), message.atMs)
  }

  /** Lets input go on that waited for a slow connection. */
  tick(): void {
    for (const session of this.#sessions.values()) session.pass()
  }

  /** Rights have changed: who may no longer be in a container leaves it. */
  endForbidden(): void {
    for (const session of this.#sessions.values()) session.endUnlessAllowed()
  }

  /** The connection is gone, and so are the sessions through it; of all connections, without one. */
  endAll(why: string, connection?: number): void {
    for (const session of this.#sessions.values()) {
      if (connection === undefined || session.connection === connection) session.end(undefined, why)
    }
  }
}

class Session implements TaskSession {
  readonly #id: string
  readonly #channel: AgentChannel
  readonly #isAllowed: () => boolean
  readonly #onOver: () => void
  readonly #changed = new Signal()
  readonly #abandoned = new AbortController()
  #unread: SessionOutput[] = []
  #unreadBytes = 0
  #input: ToAgent[] = []
  #inputBytes = 0
  /** Sent to the agent, and not yet read by the program. */
  #untakenBytes = 0
  readonly #moved = new Signal()
  #isHeld = false
  #isOver = false

  constructor(o: {
    readonly id: string
    readonly channel: AgentChannel
    readonly isAllowed: () => boolean
    readonly onOver: () => void
  }) {
    this.#id = o.id
    this.#channel = o.channel
    this.#isAllowed = o.isAllowed
    this.#onOver = o.onOver
  }

  get connection(): number {
    return this.#channel.id
  }

  // ── the agent's side ──────────────────────────────────────────────────────────────────────────

  received(stream: 'stdout' | 'stderr', bytes: Uint8Array, atMs: number | undefined): void {
    if (this.#isOver) return
    this.#unread.push({ kind: 'data', stream, bytes, atMs })
    this.#unreadBytes += bytes.length
    this.#changed.raise()
    if (this.#unreadBytes > holdAtBytes) this.#hold(true)
    if (this.#unreadBytes <= unreadBytesMax) return
    this.#send({ type: 'session-close', sessionId: this.#id })
    this.end(undefined, `more than ${unreadBytesMax} bytes were left unread`)
  }

  end(exitCode: number | undefined, error: string | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#input = []
    this.#unread.push({ kind: 'end', exitCode, error })
    this.#changed.raise()
    this.#moved.raise()
    this.#onOver()
  }

  taken(sizeBytes: number): void {
    this.#untakenBytes = Math.max(0, this.#untakenBytes - sizeBytes)
    this.pass()
  }

  endUnlessAllowed(): void {
    if (this.#isOver || this.#isAllowed()) return
    this.#channel.send({ type: 'session-close', sessionId: this.#id })
    this.end(undefined, 'this is no longer allowed')
  }

  pass(): void {
    while (
      this.#input.length > 0 &&
      this.#channel.waitingBytes < linkBytesMax &&
      this.#untakenBytes < untakenBytesMax
    ) {
      const message = this.#input.shift()
      if (message === undefined) break
      if (message.type === 'session-input') {
        const sizeBytes = Buffer.byteLength(message.data, 'base64')
        this.#inputBytes -= sizeBytes
        this.#untakenBytes += sizeBytes
      }
      this.#channel.send(message)
    }
    this.#moved.raise()
  }

  // ── the client's side ─────────────────────────────────────────────────────────────────────────

  async *output(): AsyncGenerator<SessionOutput> {
    try {
      while (!this.#abandoned.signal.aborted) {
        const next = this.#unread.shift()
        if (next === undefined) {
          await this.#changed.wait(this.#abandoned.signal)
          continue
        }
        if (next.kind === 'data') this.#unreadBytes -= next.bytes.length
        if (this.#unreadBytes < goAtBytes) this.#hold(false)
        yield next
        if (next.kind === 'end') return
      }
    } finally {
      this.close()
    }
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      const data = Buffer.from(bytes.subarray(at, at + chunkBytes)).toString('base64')
      this.#inputBytes += Buffer.byteLength(data, 'base64')
      this.#send({ type: 'session-input', sessionId: this.#id, data })
    }
    if (this.#inputBytes > inputBytesMax) {
      this.end(undefined, `more than ${inputBytesMax} bytes of input wait for the container`)
    }
  }

  async room(): Promise<void> {
    while (!this.#isOver && this.#inputBytes + this.#untakenBytes >= untakenBytesMax) {
      await this.#moved.wait(this.#abandoned.signal)
    }
  }

  endInput(): void {
    this.#send({ type: 'session-input-end', sessionId: this.#id })
  }

  /** Past the input that waits: that may be what shall be ended. */
  signal(name: string): void {
    if (this.#isOver) return
    this.#channel.send({ type: 'session-signal', sessionId: this.#id, signal: name })
  }

  resize(size: TerminalSize): void {
    if (this.#isOver) return
    this.#channel.send({ type: 'session-resize', sessionId: this.#id, ...size })
  }

  close(): void {
    if (!this.#abandoned.signal.aborted) this.#abandoned.abort()
    if (this.#isOver) return
    this.#isOver = true
    this.#input = []
    this.#moved.raise()
    this.#channel.send({ type: 'session-close', sessionId: this.#id })
    this.#onOver()
  }

  #hold(isHeld: boolean): void {
    if (this.#isOver || this.#isHeld === isHeld) return
    this.#isHeld = isHeld
    const type = isHeld ? 'session-hold' : 'session-go'
    this.#channel.send({ type, sessionId: this.#id })
  }

  #send(message: ToAgent): void {
    if (this.#isOver) return
    this.#input.push(message)
    this.pass()
  }
}

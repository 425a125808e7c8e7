import type { TerminalSize } from '@conclave/model'
import { Signal } from '../signal.ts'
import type { SessionOutput, TaskSession } from './master-api.ts'
import type { FromSession, PeerLine, ToSession } from './peer-sessions.ts'

/** Input that the leader has not said is taken: as much as it would let wait itself. */
const untakenBytesMax = 256 * 1024
const chunkBytes = 48 * 1024

/** A session that the leader has opened, and that a client of this master is in. */
export class LedSession implements TaskSession {
  readonly #line: PeerLine<ToSession, FromSession>
  readonly #heard: AsyncIterator<FromSession>
  readonly #moved = new Signal()
  readonly #closed = new AbortController()
  #untakenBytes = 0
  #isOver = false

  /** @param heard what follows after `opened` */
  constructor(line: PeerLine<ToSession, FromSession>, heard: AsyncIterator<FromSession>) {
    this.#line = line
    this.#heard = heard
  }

  async *output(): AsyncGenerator<SessionOutput> {
    try {
      for (;;) {
        const { value, done } = await this.#heard.next()
        if (done === true) {
          // Where a client itself has hung up, nobody reads this.
          yield { kind: 'end', exitCode: undefined, error: 'the master that leads was lost' }
          return
        }
        const output = this.#take(value)
        if (output === undefined) continue
        yield output
        if (output.kind === 'end') return
      }
    } finally {
      this.close()
    }
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.#isOver; at += chunkBytes) {
      const chunk = bytes.subarray(at, at + chunkBytes)
      this.#untakenBytes += chunk.length
      this.#line.say({ say: 'input', data: Buffer.from(chunk).toString('base64') })
    }
  }

  async room(): Promise<void> {
    while (!this.#isOver && this.#untakenBytes >= untakenBytesMax) {
      await this.#moved.wait(this.#closed.signal)
    }
  }

  endInput(): void {
    this.#say({ say: 'input-end' })
  }

  signal(signal: string): void {
    this.#say({ say: 'signal', signal })
  }

  resize(size: TerminalSize): void {
    this.#say({ say: 'resize', size })
  }

  close(): void {
    if (!this.#isOver) this.#line.hangUp()
    this.#isOver = true
    this.#moved.raise()
    this.#closed.abort()
  }

  #say(message: ToSession): void {
    if (!this.#isOver) this.#line.say(message)
  }

  #take(message: FromSession): SessionOutput | undefined {
    switch (message.say) {
      case 'output': {
        const { stream, data, atMs } = message
        return { kind: 'data', stream, bytes: Buffer.from(data, 'base64'), atMs }
      }
      case 'taken':
        this.#untakenBytes = Math.max(0, this.#untakenBytes - message.sizeBytes)
        this.#moved.raise()
        return undefined
      case 'end':
        return { kind: 'end', exitCode: message.exitCode, error: message.error }
      case 'opened':
      case 'refused':
      default:
        return undefined
    }
  }
}

/** A session of this leader for a client of another master, until it has ended or they have hung up. */
export async function serveSession(
  session: TaskSession,
  line: PeerLine<FromSession, ToSession>,
): Promise<void> {
  line.say({ say: 'opened' })
  await Promise.all([passInput(session, line), passOutput(session, line)])
}

async function passOutput(
  session: TaskSession,
  line: PeerLine<FromSession, ToSession>,
): Promise<void> {
  for await (const output of session.output()) {
    if (output.kind === 'end') {
      const { exitCode, error } = output
      line.say({ say: 'end', exitCode, error })
      line.hangUp()
      return
    }
    const { stream, bytes, atMs } = output
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      const data = Buffer.from(bytes.subarray(at, at + chunkBytes)).toString('base64')
      line.say({ say: 'output', stream, data, atMs })
      await line.room()
    }
  }
}

async function passInput(
  session: TaskSession,
  line: PeerLine<FromSession, ToSession>,
): Promise<void> {
  let untoldBytes = 0
  let isTelling = false
  /** Beside what is heard: a signal has to come through while the program reads nothing. */
  const tell = async (): Promise<void> => {
    if (isTelling) return
    isTelling = true
    while (untoldBytes > 0) {
      await session.room()
      line.say({ say: 'taken', sizeBytes: untoldBytes })
      untoldBytes = 0
    }
    isTelling = false
  }
  for await (const message of line.heard()) {
    switch (message.say) {
      case 'input': {
        const bytes = Buffer.from(message.data, 'base64')
        untoldBytes += bytes.length
        session.write(bytes)
        void tell()
        break
      }
      case 'input-end':
        session.endInput()
        break
      case 'signal':
        session.signal(message.signal)
        break
      case 'resize':
      default:
        session.resize(message.size)
    }
  }
  // They have hung up, or are lost; harmless once it has ended.
  session.close()
}

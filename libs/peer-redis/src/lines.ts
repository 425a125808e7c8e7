import { ConclaveError } from '@conclave/kernel'
import { askBytesMax, LinkRefused, type Conversation, type Log } from '@conclave/runtime'

import type { LineFrame } from './frame.ts'
import { Line } from './line.ts'

/** Conversations with one peer, whoever has opened them. */
const linesMax = 512
/** What of all of them may be on its way to Redis: nothing else should wait behind it for long. */
const flyingBytesMax = 1024 * 1024
/** Signs of life are said each second. Without any, a conversation is over. */
const silentSecondsMax = 10
const overheadBytes = 64

export interface LinesOptions {
  /** Resolves once it has left this process. */
  readonly say: (frame: LineFrame) => Promise<unknown>
  readonly onAsk: ((question: Uint8Array) => Promise<Uint8Array>) | undefined
  readonly onOpen: ((opening: Uint8Array, line: Conversation) => void) | undefined
  readonly turnsPerSecond: number
  readonly log: Log
}

/** Questions and conversations with one peer, beside the messages: they share what leaves, each in its turn. */
export class Lines {
  readonly #options: LinesOptions
  /** In the order in which they may say something: whoever has, is last. */
  readonly #lines = new Map<string, Line>()
  #nextId = 1
  #flyingBytes = 0
  #turns = 0

  constructor(options: LinesOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#lines.size
  }

  /** Where the peer says nothing within `timeoutMs`, nothing is heard. */
  open(opening: Uint8Array, timeoutMs: number): Conversation {
    return this.#begin('open', opening, timeoutMs)
  }

  /** @throws LinkRefused when there is no answer in time */
  async ask(question: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (question.length > askBytesMax) throw new LinkRefused('the question is too long')
    const line = this.#begin('ask', question, timeoutMs)
    try {
      for await (const answer of line.heard()) return answer
    } finally {
      line.hangUp()
    }
    throw new LinkRefused('there was no answer')
  }

  received(frame: LineFrame): void {
    if (frame.verb === 'open' || frame.verb === 'ask') return this.#take(frame)
    const line = this.#lines.get(nameOf(frame.line, !frame.isOpener))
    if (line === undefined) {
      if (frame.verb !== 'over') this.#say(overOf(frame))
      return
    }
    if (!line.hear(frame)) {
      this.#options.log.debug({ line: line.id }, 'something of a conversation was lost')
      this.#say(line.over())
    }
    this.#forget(line)
  }

  /** A turn of the link's clock, while the peer is up. */
  turn(): void {
    if (++this.#turns % this.#options.turnsPerSecond !== 0) return
    for (const line of this.#lines.values()) {
      // What was said before this end hung up waits for its reader: who is there may be slow.
      if (++line.silentTurns > silentSecondsMax) this.#say(line.over())
      else for (const frame of line.sign()) this.#say(frame)
      this.#forget(line)
    }
  }

  /** The peer is lost, and all that was said with it. */
  lose(): void {
    for (const line of this.#lines.values()) line.lose()
    this.#lines.clear()
  }

  #begin(verb: 'open' | 'ask', bytes: Uint8Array, timeoutMs: number): Line {
    const line = this.#add(this.#nextId++, true)
    this.#say({ kind: 'line', line: line.id, isOpener: true, verb, number: 0, bytes })
    const patience = setTimeout(() => {
      if (line.hasHeard || line.isDone) return
      this.#say(line.over())
      this.#forget(line)
    }, timeoutMs)
    patience.unref()
    return line
  }

  #take({ line: id, isOpener, verb, bytes }: LineFrame): void {
    const { onAsk, onOpen, log } = this.#options
    if (!isOpener || this.#lines.has(nameOf(id, false))) return
    const line = this.#add(id, false)
    try {
      if (this.#lines.size > linesMax) throw new LinkRefused('there are too many conversations')
      if (verb === 'ask') {
        if (onAsk === undefined) throw new LinkRefused('no questions are answered here')
        if (bytes.length > askBytesMax) throw new LinkRefused('its question is too long')
        void this.#answer(line, onAsk(Uint8Array.from(bytes)))
      } else {
        if (onOpen === undefined) throw new LinkRefused('nobody talks here')
        onOpen(Uint8Array.from(bytes), line)
      }
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
      log.warn({ why: error.message }, 'refused a peer')
      line.hangUp()
    }
  }

  async #answer(line: Line, answer: Promise<Uint8Array>): Promise<void> {
    try {
      line.say(await answer)
    } catch (error) {
      const why = error instanceof ConclaveError ? error.message : 'a fault of ours'
      this.#options.log.warn({ why }, 'refused a peer')
    }
    line.hangUp()
  }

  #add(id: number, isOpener: boolean): Line {
    const line = new Line(id, isOpener, () => this.#pump())
    this.#lines.set(nameOf(id, isOpener), line)
    return line
  }

  #forget(line: Line): void {
    if (line.isDone) this.#lines.delete(nameOf(line.id, line.isOpener))
  }

  /** One message of each, whoever has just spoken last: going through them ends where nobody has anything to say. */
  #pump(): void {
    for (const [name, line] of this.#lines) {
      if (this.#flyingBytes >= flyingBytesMax) return
      const frame = line.next()
      if (frame === undefined) continue
      this.#say(frame)
      this.#lines.delete(name)
      if (!line.isDone) this.#lines.set(name, line)
    }
  }

  #say(frame: LineFrame): void {
    const size = frame.bytes.length + overheadBytes
    this.#flyingBytes += size
    void this.#options.say(frame).finally(() => {
      this.#flyingBytes -= size
      this.#pump()
    })
  }
}

const nameOf = (id: number, isOpener: boolean): string => `${isOpener ? 'own' : 'theirs'}/${id}`

/** To who speaks of a conversation that nobody knows here, or any more. */
const overOf = ({ line, isOpener }: LineFrame): LineFrame => ({
  kind: 'line',
  line,
  isOpener: !isOpener,
  verb: 'over',
  number: 0,
  bytes: new Uint8Array(0),
})

import type { PeerLine } from '../master/peer-sessions.ts'
import { Signal } from '../signal.ts'

/** Both ends of a conversation in one process. What is said passes as text, so that nothing else of it does. */
export function memoryLine<Said, Heard>(
  parseSaid: (json: unknown) => Said,
  parseHeard: (json: unknown) => Heard,
): readonly [PeerLine<Said, Heard>, PeerLine<Heard, Said>] {
  const there = new Way(parseSaid)
  const back = new Way(parseHeard)
  const hangUp = (): void => {
    there.end()
    back.end()
  }
  return [endOf(there, back, hangUp), endOf(back, there, hangUp)]
}

const endOf = <Said, Heard>(
  out: Way<Said>,
  into: Way<Heard>,
  hangUp: () => void,
): PeerLine<Said, Heard> => ({
  say: (message) => out.put(message),
  room: () => out.room(),
  heard: () => into.heard(),
  hangUp,
})

const unreadMax = 8

class Way<T> {
  readonly #parse: (json: unknown) => T
  readonly #moved = new Signal()
  readonly #never = new AbortController()
  #unread: string[] = []
  #isOver = false

  constructor(parse: (json: unknown) => T) {
    this.#parse = parse
  }

  put(message: T): void {
    if (this.#isOver) return
    this.#unread.push(JSON.stringify(message))
    this.#moved.raise()
  }

  end(): void {
    this.#isOver = true
    this.#moved.raise()
  }

  async room(): Promise<void> {
    while (!this.#isOver && this.#unread.length > unreadMax) {
      await this.#moved.wait(this.#never.signal)
    }
  }

  async *heard(): AsyncGenerator<T> {
    for (;;) {
      const next = this.#unread.shift()
      if (next !== undefined) {
        this.#moved.raise()
        yield this.#parse(JSON.parse(next))
      } else if (this.#isOver) return
      else await this.#moved.wait(this.#never.signal)
    }
  }
}

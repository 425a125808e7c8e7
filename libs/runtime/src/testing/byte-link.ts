import { Duplex } from 'node:stream'

/** A socket whose kernel takes nothing until it is told to: for tests of back-pressure. */
export class StuckSocket extends Duplex {
  readonly taken: Buffer[] = []
  writes = 0
  isStuck = true
  #waiting: (() => void)[] = []

  /** Takes what waits, and everything from now on. */
  release(): void {
    this.isStuck = false
    const waiting = this.#waiting
    this.#waiting = []
    for (const done of waiting) done()
  }

  override _read(): void {
    // Nothing ever comes from the other side.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#take([chunk], done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  #take(chunks: Buffer[], done: () => void): void {
    this.writes++
    this.taken.push(...chunks)
    if (this.isStuck) this.#waiting.push(done)
    else setImmediate(done)
  }
}

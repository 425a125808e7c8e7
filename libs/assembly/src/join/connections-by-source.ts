import type { Socket } from 'node:net'
import { sourceOf } from '@conclave/actors'

/** Bounds how many connections one source holds at a time, so that a stranger cannot hold all that there are. */
export class ConnectionsBySource {
  readonly #max: number
  readonly #counts = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** One that is too many is cut at once. */
  admit(socket: Socket): void {
    const source = sourceOf(socket.remoteAddress ?? '')
    const count = this.#counts.get(source) ?? 0
    if (count >= this.#max) {
      socket.destroy()
      return
    }
    this.#counts.set(source, count + 1)
    socket.once('close', () => this.#left(source))
  }

  #left(source: string): void {
    const count = (this.#counts.get(source) ?? 1) - 1
    if (count > 0) this.#counts.set(source, count)
    else this.#counts.delete(source)
  }
}

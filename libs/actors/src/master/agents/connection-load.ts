import type { AgentChannel } from './agent-channel.ts'

/** Of one connection: an honest agent that launches all it has at once stays below it. */
const busyMax = { count: 256, bytes: 16 * 1024 * 1024 }

/**
 * What is under way for one agent. While it is too much, nothing more is read from its connection, so
 * whoever asks faster than a master can answer waits, and costs a bounded amount of memory.
 */
export class ConnectionLoad {
  readonly #channel: Pick<AgentChannel, 'pause' | 'resume'>
  #count = 0
  #bytes = 0
  #isPaused = false

  constructor(channel: Pick<AgentChannel, 'pause' | 'resume'>) {
    this.#channel = channel
  }

  /** Counts a message of `sizeBytes` until `work`, which does not reject, is done. */
  async carry(sizeBytes: number, work: Promise<unknown>): Promise<void> {
    this.#add(1, sizeBytes)
    await work
    this.#add(-1, -sizeBytes)
  }

  #add(count: number, bytes: number): void {
    this.#count += count
    this.#bytes += bytes
    if (!this.#isPaused && this.#exceeds(1)) {
      this.#isPaused = true
      this.#channel.pause()
    } else if (this.#isPaused && !this.#exceeds(0.5)) {
      this.#isPaused = false
      this.#channel.resume()
    }
  }

  #exceeds(share: number): boolean {
    return this.#count >= busyMax.count * share || this.#bytes >= busyMax.bytes * share
  }
}

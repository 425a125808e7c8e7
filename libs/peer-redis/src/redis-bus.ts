import type { createClient as CreateClient } from '@redis/client'

import type { Random } from '@conclave/kernel'
import { Backoff, type Log } from '@conclave/runtime'

import type { RedisAddress } from './redis-address.ts'

export interface RedisBusOptions {
  readonly address: RedisAddress
  /** The one channel that is listened to. */
  readonly channel: string
  readonly onBytes: (bytes: Uint8Array) => void
  /** Both connections stand, and the channel is heard. Again after each interruption. */
  readonly onUp: () => void
  readonly onDown: () => void
  /** Redis cannot be reached: once for each reason. */
  readonly onTrouble: (why: string) => void
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  readonly random: Random
  readonly log: Log
}

type Client = ReturnType<typeof newClient>

/**
 * Two connections to a Redis: one that hears and one that says. Both come back by themselves, for as
 * long as they are open. What is asked for while they are away fails at once instead of waiting.
 */
export class RedisBus {
  readonly #options: RedisBusOptions
  #ears: Client | undefined
  #mouth: Client | undefined
  #isUp = false
  #isClosed = false
  #complained = ''

  constructor(options: RedisBusOptions) {
    this.#options = options
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Begins to connect, and to connect again. Never fails: a Redis that is away may come back. */
  start(): void {
    void this.#begin()
  }

  /** How many hear it. Rejects when it is not known to have been said. */
  async publish(channel: string, bytes: Buffer): Promise<number> {
    return this.#speaking().publish(channel, bytes)
  }

  async set(key: string, text: string, expireMs: number): Promise<void> {
    await this.#speaking().set(key, text, { expiration: { type: 'PX', value: expireMs } })
  }

  async get(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return keys.length === 0 ? [] : this.#speaking().mGet([...keys])
  }

  async forget(key: string): Promise<void> {
    await this.#speaking().del(key)
  }

  destroy(): void {
    this.#isClosed = true
    this.#isUp = false
    for (const client of [this.#ears, this.#mouth]) {
      if (client?.isOpen === true) client.destroy()
    }
  }

  #speaking(): Client {
    if (this.#mouth === undefined) throw new Error('there is no connection to Redis yet')
    return this.#mouth
  }

  /** The client is loaded here: every master has this file, and few have a Redis between them. */
  async #begin(): Promise<void> {
    const { createClient } = await import('@redis/client')
    if (this.#isClosed) return
    const ears = newClient(createClient, this.#options)
    const mouth = newClient(createClient, this.#options)
    for (const client of [ears, mouth]) {
      client.on('error', (error: Error) => this.#failed(error))
      client.on('reconnecting', () => this.#look())
      client.on('ready', () => this.#look())
    }
    this.#ears = ears
    this.#mouth = mouth
    mouth.connect().catch(ignore)
    await this.#listen(ears)
  }

  async #listen(ears: Client): Promise<void> {
    const { channel, onBytes } = this.#options
    const hear = (bytes: Buffer): void => {
      if (!this.#isClosed) onBytes(bytes)
    }
    try {
      await ears.connect()
      await ears.subscribe(channel, hear, true)
      this.#hears = true
      this.#look()
    } catch (error) {
      // Cut between connecting and subscribing: the client would connect again, and hear nothing.
      if (!this.#isClosed) this.#again(ears, error)
    }
  }

  #hears = false

  #again(ears: Client, error: unknown): void {
    this.#failed(error)
    if (ears.isOpen) ears.destroy()
    setTimeout(() => {
      if (!this.#isClosed) void this.#listen(ears)
    }, this.#options.retryMaxMs)
  }

  #look(): void {
    if (this.#isClosed) return
    const isUp = this.#hears && this.#ears?.isReady === true && this.#mouth?.isReady === true
    if (isUp === this.#isUp) return
    this.#isUp = isUp
    this.#complained = ''
    if (isUp) this.#options.onUp()
    else this.#options.onDown()
  }

  /** Once for each reason, or a Redis that is away would fill the log. */
  #failed(error: unknown): void {
    this.#look()
    const why = codeOf(error)
    if (this.#isClosed || why === this.#complained) return
    this.#complained = why
    this.#options.log.warn({ why }, 'Redis cannot be reached')
    this.#options.onTrouble(why)
  }
}

function newClient(
  createClient: typeof CreateClient,
  { address, random, retryFirstMs, retryMaxMs }: RedisBusOptions,
) {
  const backoff = new Backoff(random, retryFirstMs, retryMaxMs)
  return createClient({
    RESP: 2,
    disableOfflineQueue: true,
    // A Redis that hangs is noticed by what it does not answer.
    pingInterval: 1000,
    socket: {
      ...address.socket,
      connectTimeout: 2000,
      socketTimeout: 5000,
      reconnectStrategy: (retries: number) => {
        if (retries === 0) backoff.reset()
        return backoff.nextMs()
      },
    } as NonNullable<NonNullable<Parameters<typeof CreateClient>[0]>['socket']>,
    ...(address.username !== undefined && { username: address.username }),
    ...(address.password !== undefined && { password: address.password }),
    ...(address.database !== undefined && { database: address.database }),
  })
}

/** Redis begins its errors with a code, such as NOAUTH, and Node has one of its own. */
function codeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown }
  if (typeof code === 'string') return code
  return /^[A-Z]+(?= )/.exec(String(message))?.[0] ?? (error as Error).constructor.name
}

const ignore = (): void => undefined

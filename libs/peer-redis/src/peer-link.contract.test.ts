import { RedisServer, missingServer } from '@conclave/testkit'
import { describePeerLink, type LinkParts, type Medium } from '@conclave/runtime/testing'

import { certificateCredentials } from './credentials.ts'
import { parseRedisAddress } from './redis-address.ts'
import { RedisPeerLink } from './redis-peer-link.ts'

/** A real Redis, and somebody in it who sees everything. */
class RedisMedium implements Medium {
  readonly #server: RedisServer
  readonly #watch: Awaited<ReturnType<RedisServer['watch']>>

  private constructor(server: RedisServer, watch: Awaited<ReturnType<RedisServer['watch']>>) {
    this.#server = server
    this.#watch = watch
  }

  static async start(): Promise<RedisMedium> {
    const server = await RedisServer.start()
    return new RedisMedium(server, await server.watch())
  }

  async start({ clusterId, identity, queueBytesMax, ...rest }: LinkParts) {
    const link = new RedisPeerLink({
      ...rest,
      clusterId,
      credentials: certificateCredentials(clusterId, identity),
      redis: parseRedisAddress(this.#server.unixUrl),
      limits: { retryFirstMs: 2, retryMaxMs: 20, pingMs: 20, silenceMs: 60_000, queueBytesMax },
    })
    await link.start()
    return { link, address: { id: `master-${rest.nodeId}`, host: '', port: 0 } }
  }

  async seen(): Promise<Buffer> {
    return this.#watch.said()
  }

  async hold(): Promise<void> {
    await this.#server.freeze(true)
  }

  async restart(): Promise<void> {
    await this.#server.restart()
  }

  async stop(): Promise<void> {
    this.#watch.end()
    await this.#server.stop()
  }
}

describePeerLink('Redis', () => RedisMedium.start(), missingServer('redis-server'))

import { randomUUID } from 'node:crypto'
import type { FrameworkConnection } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import { encodeRecord } from '@conclave/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** What a slow framework may leave unread before its stream is cut; it then subscribes anew. */
const unreadBytesMax = 16 * 1024 * 1024

/**
 * One open SUBSCRIBE stream. Whoever subscribes may be told things before the subscription is
 * answered at all; these records are held back, in order, until {@link open}.
 */
export class SubscribeStream implements FrameworkConnection {
  readonly streamId = randomUUID()
  readonly #reply: FastifyReply
  readonly #log: FastifyRequest['log']
  #held: string[] | undefined = []
  #isClosed = false

  constructor(reply: FastifyReply, log: FastifyRequest['log']) {
    this.#reply = reply
    this.#log = log
  }

  /** Answers 200, and then what was held back. @param onGone called once, when the client is gone */
  open(onGone: () => void): void {
    this.#reply.hijack()
    const { raw } = this.#reply
    if (raw.destroyed) {
      onGone()
      return
    }
    raw.once('close', onGone)
    raw.writeHead(200, {
      'content-type': 'application/json',
      'mesos-stream-id': this.streamId,
      'cache-control': 'no-store',
    })
    raw.flushHeaders()
    const held = this.#held ?? []
    this.#held = undefined
    for (const record of held) this.send(record)
    if (this.#isClosed) raw.end()
  }

  send(record: string): void {
    if (this.#held !== undefined) {
      this.#held.push(record)
      return
    }
    const { raw } = this.#reply
    if (raw.destroyed || raw.writableEnded) return
    if (raw.writableLength > unreadBytesMax) {
      this.#log.warn({ streamId: this.streamId }, 'a framework does not read its events')
      raw.destroy()
      return
    }
    // One write is one chunk is one record: what real clients rely on (mesos.md §23).
    raw.write(encodeRecord(utf8(record)))
  }

  close(): void {
    this.#isClosed = true
    if (this.#held === undefined) this.#reply.raw.end()
  }
}

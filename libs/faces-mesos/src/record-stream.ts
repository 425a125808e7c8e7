import { randomUUID } from 'node:crypto'
import { encodeRecord } from '@conclave/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** What a slow reader may leave unread before its stream is cut; it then subscribes anew. */
const unreadBytesMax = 16 * 1024 * 1024

export interface RecordStreamOptions {
  readonly contentType: string
  /** Beside the usual ones, such as `mesos-stream-id`. */
  readonly headers: Readonly<Record<string, string>>
  /** Who reads it, for the log. */
  readonly reader: string
}

/**
 * One open answer of records, as a subscription has it. Whoever subscribes may be told things before
 * the subscription is answered at all; these records are held back, in order, until {@link open}.
 */
export class RecordStream {
  readonly streamId = randomUUID()
  readonly #reply: FastifyReply
  readonly #log: FastifyRequest['log']
  readonly #options: RecordStreamOptions
  #held: Uint8Array[] | undefined = []
  #isClosed = false

  constructor(reply: FastifyReply, log: FastifyRequest['log'], options: RecordStreamOptions) {
    this.#reply = reply
    this.#log = log
    this.#options = options
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
      'content-type': this.#options.contentType,
      'cache-control': 'no-store',
      ...this.#options.headers,
    })
    raw.flushHeaders()
    const held = this.#held ?? []
    this.#held = undefined
    for (const record of held) this.write(record)
    if (this.#isClosed) raw.end()
  }

  write(record: Uint8Array): void {
    if (this.#held !== undefined) {
      this.#held.push(record)
      return
    }
    const { raw } = this.#reply
    if (raw.destroyed || raw.writableEnded) return
    if (raw.writableLength > unreadBytesMax) {
      const { streamId } = this
      this.#log.warn({ streamId }, `${this.#options.reader} does not read its events`)
      raw.destroy()
      return
    }
    // One write is one chunk is one record: what real clients rely on (mesos.md §23).
    raw.write(encodeRecord(record))
  }

  close(): void {
    this.#isClosed = true
    if (this.#held === undefined) this.#reply.raw.end()
  }
}

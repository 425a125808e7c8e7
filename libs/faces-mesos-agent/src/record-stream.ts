import { utf8 } from '@conclave/kernel'
import { encodeRecord } from '@conclave/runtime'
import type { FastifyReply } from 'fastify'

/** What a client may leave unread before its stream is cut. */
const unreadBytesMax = 16 * 1024 * 1024

/** One open answer of records, each in a chunk of its own. What is sent before it is open waits. */
export class RecordStream {
  readonly #reply: FastifyReply
  #held: (string | Uint8Array)[] | undefined = []
  #isClosed = false

  constructor(reply: FastifyReply) {
    this.#reply = reply
  }

  get waitingBytes(): number {
    return this.#reply.raw.writableLength
  }

  /** Answers 200, and then what was held back. @param onGone called once, when the client is gone */
  open(headers: Readonly<Record<string, string>>, onGone: () => void): void {
    this.#reply.hijack()
    const { raw } = this.#reply
    if (raw.destroyed) return onGone()
    raw.once('close', onGone)
    raw.writeHead(200, { ...headers, 'cache-control': 'no-store' })
    raw.flushHeaders()
    const held = this.#held ?? []
    this.#held = undefined
    for (const record of held) this.send(record)
    if (this.#isClosed) raw.end()
  }

  send(record: string | Uint8Array): void {
    if (this.#held !== undefined) {
      this.#held.push(record)
      return
    }
    const { raw } = this.#reply
    if (raw.destroyed || raw.writableEnded) return
    if (raw.writableLength > unreadBytesMax) {
      raw.destroy()
      return
    }
    raw.write(encodeRecord(typeof record === 'string' ? utf8(record) : record))
  }

  close(): void {
    this.#isClosed = true
    if (this.#held === undefined) this.#reply.raw.end()
  }
}

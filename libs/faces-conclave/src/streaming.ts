import { once } from 'node:events'
import { encodeSse } from '@conclave/runtime'
import type { FastifyReply } from 'fastify'

/** Often enough that no proxy or client on the way takes a quiet stream for a dead one. */
const heartbeatMs = 5_000

/** For routes that stream: a HEAD request would be answered at once, and its stream never read. */
export const noHead = { exposeHeadRoute: false } as const

/** An abort signal that fires when the client goes away, or has gone already. */
export function untilClosed({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  if (raw.destroyed) controller.abort()
  else raw.once('close', () => controller.abort())
  return controller.signal
}

interface Form<T> {
  readonly contentType: string
  readonly encode: (item: T) => string
  /** Said while there is nothing to say. */
  readonly heartbeat?: string
}

/**
 * Sends each item as one chunk, waits for slow readers, and ends with the source or the client. A
 * source that fails at once is a refusal with a status of its own; one that fails later cuts the
 * connection, so that nobody takes what came for the whole.
 */
async function pour<T>(
  reply: FastifyReply,
  items: AsyncIterable<T>,
  signal: AbortSignal,
  { contentType, encode, heartbeat }: Form<T>,
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]()
  const first = iterator.next()
  await failedAtOnce(first)
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' })
  raw.flushHeaders()
  const timer =
    heartbeat === undefined
      ? undefined
      : setInterval(() => {
          if (!raw.writableNeedDrain) raw.write(heartbeat)
        }, heartbeatMs)
  try {
    for (let next = await first; next.done !== true; next = await iterator.next()) {
      if (signal.aborted) break
      if (!raw.write(encode(next.value))) {
        await once(raw, 'drain', { signal }).catch(() => undefined)
      }
    }
    raw.end()
  } catch (error) {
    reply.log.warn({ err: error }, 'a stream broke off')
    raw.destroy()
  } finally {
    clearInterval(timer)
    // The source has said all that it will: a failure to stop is nobody's any more.
    void iterator.return?.().catch(() => undefined)
  }
}

/** Gives `first` until the next turn of the loop to fail. @throws what it failed with */
async function failedAtOnce(first: Promise<unknown>): Promise<void> {
  await Promise.race([first, new Promise((resolve) => setImmediate(resolve))])
}

/** Server-sent events. `id` makes a stream resumable through `Last-Event-ID`. Source: WHATWG HTML §9.2. */
export const sendEvents = <T>(
  reply: FastifyReply,
  items: AsyncIterable<T>,
  signal: AbortSignal,
  describe: (item: T) => { readonly id?: string; readonly event?: string; readonly data: unknown },
): Promise<void> =>
  pourEvents(reply, items, signal, (item) => {
    const { data, ...head } = describe(item)
    return encodeSse({ ...head, data: JSON.stringify(data) })
  })

/** As {@link sendEvents}, of objects that many follow and nobody changes: each is made into text once for all. */
export function sharedEvents<T extends object>(
  describe: (item: T) => { readonly id: string; readonly event: string },
): (reply: FastifyReply, items: AsyncIterable<T>, signal: AbortSignal) => Promise<void> {
  // Gone with the event.
  const texts = new WeakMap<T, string>()
  const encode = (item: T): string => {
    const known = texts.get(item)
    if (known !== undefined) return known
    const text = encodeSse({ ...describe(item), data: JSON.stringify(item) })
    texts.set(item, text)
    return text
  }
  return (reply, items, signal) => pourEvents(reply, items, signal, encode)
}

const pourEvents = <T>(
  reply: FastifyReply,
  items: AsyncIterable<T>,
  signal: AbortSignal,
  encode: (item: T) => string,
): Promise<void> =>
  pour(reply, items, signal, {
    contentType: 'text/event-stream',
    encode,
    heartbeat: ': still here\n\n',
  })

/** One JSON document a line. */
export const sendLines = (
  reply: FastifyReply,
  items: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> =>
  pour(reply, items, signal, {
    contentType: 'application/x-ndjson',
    encode: (item) => `${JSON.stringify(item)}\n`,
  })

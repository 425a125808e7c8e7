import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { principalOf, type Authenticated, type Caller, type IdentityApi } from '@conclave/actors'
import { ConclaveError } from '@conclave/kernel'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/*
 * What every face does with a request before its own dialect begins. How a refusal is worded is the
 * face's.
 */

/** More than a face takes, so it is not even read to its end. */
export class BodyTooLarge extends ConclaveError {
  readonly code = 'body.too-large'

  /** Its limit is what a login may have, whatever the face takes of others. */
  readonly isOfStranger: boolean

  constructor(sizeBytesMax: number, { isOfStranger = false } = {}) {
    const who = isOfStranger
      ? ', the most that is read of a login or of whoever has not logged in'
      : ''
    super(`the body has more than ${sizeBytesMax} bytes${who}`)
    this.isOfStranger = isOfStranger
  }
}

/** Its client went away in the middle. Nobody is left to hear that, so it is no failure of ours, either. */
export class BodyBrokeOff extends ConclaveError {
  readonly code = 'body.broke-off'

  constructor(cause?: unknown) {
    super('the body broke off', { cause })
  }
}

/** Who is not known may log in, and nothing else: a password or a service's token. */
const strangerBytesMax = 64 * 1024
/** How long a stranger who has been answered may take to end the body that nobody reads. */
const strangerPatienceMs = 5000

/*
 * What is known of a request is kept at the request itself: a weak map of all requests would be gone
 * through at each collection.
 */
const isKnown = Symbol('is known')
const callerOf = Symbol('caller')

interface Admitted {
  /** It comes from somebody we know. */
  [isKnown]?: true
  [callerOf]?: Caller
}

const isAdmitted = (request: FastifyRequest & Admitted): boolean => request[isKnown] === true

/**
 * Bodies stay bytes, whatever the client calls them: a value must never become a string. The pieces
 * a body came in are wiped once they are copied, and the copy when the request has been answered.
 * A stranger's costs little memory and no connection for long.
 */
export function takeBodiesAsBytes(
  app: FastifyInstance,
  sizeBytesMax: number,
  patienceMs = strangerPatienceMs,
): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable, done) => {
    const isOfStranger = !isAdmitted(request) && strangerBytesMax < sizeBytesMax
    const allowed = isOfStranger ? strangerBytesMax : sizeBytesMax
    const tooLarge = (): Error => new BodyTooLarge(allowed, { isOfStranger })
    if (Number(request.headers['content-length'] ?? 0) > allowed) {
      letPass(payload, patienceMs, () => done(tooLarge()))
    } else gather(payload, allowed, done, tooLarge)
  })
  app.addHook('onResponse', (request, _reply, done) => {
    if (Buffer.isBuffer(request.body)) request.body.fill(0)
    if (!isAdmitted(request)) endInTime(request.raw, patienceMs)
    done()
  })
}

/** Forgets what comes, for a while: who is hung up on in the middle of sending never hears why. */
function letPass(payload: Readable, patienceMs: number, done: () => void): void {
  payload.on('data', (piece: Buffer) => piece.fill(0))
  const end = (): void => {
    clearTimeout(patience)
    payload.off('close', end)
    payload.off('end', end)
    done()
  }
  const patience = setTimeout(end, patienceMs)
  payload.once('close', end)
  payload.once('end', end)
}

function endInTime(request: IncomingMessage, patienceMs: number): void {
  if (request.complete) return
  const patience = setTimeout(() => request.destroy(), patienceMs)
  request.once('close', () => clearTimeout(patience))
}

/** The whole of a body. Its pieces are wiped, whether it arrives whole or not. @throws BodyTooLarge, BodyBrokeOff */
export const gatherBody = (payload: Readable, sizeBytesMax: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    gather(payload, sizeBytesMax, (error, body) => {
      if (body === undefined) reject(error)
      else resolve(body)
    })
  })

/** With events: to iterate over a stream, or to wait for a promise, costs more than the rest of a small request. */
function gather(
  payload: Readable,
  sizeBytesMax: number,
  done: (error: Error | null, body?: Buffer) => void,
  tooLarge = (): Error => new BodyTooLarge(sizeBytesMax),
): void {
  let pieces: Buffer[] = []
  let sizeBytes = 0
  let isOver = false
  const fail = (why: () => Error): void => {
    for (const piece of pieces) piece.fill(0)
    pieces = []
    // Every stream closes at last, and an error costs more than a small body.
    if (isOver) return
    isOver = true
    done(why())
  }
  payload.on('data', (piece: Buffer) => {
    sizeBytes += piece.length
    pieces.push(piece)
    // What else comes is let pass, so that the answer can still be sent.
    if (sizeBytes > sizeBytesMax) fail(tooLarge)
  })
  payload.on('end', () => {
    if (isOver) return
    isOver = true
    const whole = pieces
    // What comes behind the end must not wipe what was handed on.
    pieces = []
    done(null, joined(whole))
  })
  payload.on('error', (error: Error) => fail(() => new BodyBrokeOff(error)))
  payload.on('close', () => fail(brokeOff))
}

const brokeOff = (): Error => new BodyBrokeOff()

/** A single piece is the body; of more, one copy is made and they are wiped. */
function joined(pieces: readonly Buffer[]): Buffer {
  const [first] = pieces
  if (first !== undefined && pieces.length === 1) return first
  const body = Buffer.concat(pieces)
  for (const piece of pieces) piece.fill(0)
  return body
}

/** Wipes `body` when its answer has ended, however it ends: also if it has already, since nobody waited for it. */
export function wipeAtTheEnd(response: ServerResponse, body: Buffer): void {
  if (response.destroyed) body.fill(0)
  else response.on('close', () => body.fill(0))
}

/** `ambiguous`: with more than one `Authorization`. */
export type Admission = 'known' | 'stranger' | 'ambiguous'

async function settle(
  admission: Promise<Admission>,
  go: (admission: Admission) => void,
  fail: (error: Error) => void,
): Promise<void> {
  try {
    go(await admission)
  } catch (error) {
    fail(error as Error)
  }
}

function admitted(request: FastifyRequest & Admitted, who: Authenticated | undefined): Admission {
  if (who === undefined) return 'stranger'
  request[isKnown] = true
  request[callerOf] = { principal: who, requestId: request.id, expiresAtMs: who.expiresAtMs }
  return 'known'
}

/** Who called with each request that is under way. Asked before any body is read, so a stranger's costs nothing. */
export class Callers {
  readonly #identity: IdentityApi

  constructor(identity: IdentityApi) {
    this.#identity = identity
  }

  /**
   * Whether the request comes from somebody we know; if it does, {@link of} says from whom.
   * @throws LoginThrottled
   */
  admit(request: FastifyRequest & Admitted): Admission | Promise<Admission> {
    // Node keeps the first Authorization header and drops the others (threats.md AU-14).
    if (countOf(request, 'authorization') > 1) return 'ambiguous'
    const who = principalOf(this.#identity, request.headers.authorization, request.ip)
    return who instanceof Promise
      ? who.then((found) => admitted(request, found))
      : admitted(request, who)
  }

  /** The hook of a guarded route. Who is not known is answered by `refuse`. */
  guard(refuse: (reply: FastifyReply, why: Exclude<Admission, 'known'>) => void) {
    return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
      const go = (admission: Admission): void => {
        if (admission === 'known') done()
        else refuse(reply, admission)
      }
      // Without a promise where none is needed: every request comes by here.
      const admission = this.admit(request)
      if (typeof admission === 'string') go(admission)
      else void settle(admission, go, done)
    }
  }

  of(request: FastifyRequest & Admitted): Caller {
    const caller = request[callerOf]
    if (caller === undefined) throw new Error('a guarded route ran without its guard')
    return caller
  }
}

/**
 * For a face that knows its callers by the door they came through, as one behind a socket that only its
 * owner may open: their bodies are read like those of anybody we know.
 */
export function letIn(request: FastifyRequest & Admitted): void {
  request[isKnown] = true
}

/** How often a header was sent. Names and values alternate. */
function countOf({ raw: { rawHeaders } }: FastifyRequest, name: string): number {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const sent = rawHeaders[at]
    if (sent?.length === name.length && sent.toLowerCase() === name) count++
  }
  return count
}

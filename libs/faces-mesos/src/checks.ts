import type { IncomingHttpHeaders } from 'node:http'
import type { Member, PlainAnswer } from '@conclave/actors'
import { CallMalformed, fromProtobuf, parse, type Message } from '@conclave/model'
import { jsonFault } from '@conclave/runtime'
import type { FastifyRequest } from 'fastify'
import { plain } from './answers.ts'
import { json, protobuf } from './media-type.ts'

/*
 * What every endpoint checks of a request beside the call itself. The words are Mesos' (mesos.md §4);
 * each function answers with a refusal, or with what it read.
 */

/** `Content-Type` is compared exactly, case and parameters included. */
export function contentTypeRefusal(headers: IncomingHttpHeaders): PlainAnswer | undefined {
  const type = headers['content-type']
  if (type === undefined) return plain(400, "Expecting 'Content-Type' to be present")
  if (type === json.name || type === protobuf.name) return undefined
  return plain(415, "Expecting 'Content-Type' of application/json or application/x-protobuf")
}

/** How a call is read: from JSON, or from protobuf by the name that it has there. */
export interface CallReading<Call> {
  readonly kind: Message<Call>
  readonly type: string
}

/** The call in a body, which is wiped. @returns the refusal when it cannot be read */
export function readCall<Call>(
  { body, headers }: Pick<FastifyRequest, 'body' | 'headers'>,
  { kind, type }: CallReading<Call>,
): { readonly call: Call } | { readonly refusal: PlainAnswer } {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  const isJson = headers['content-type'] === json.name
  try {
    if (!isJson) return { call: fromProtobuf(kind, type, bytes) }
    return { call: parse(kind, parsed(bytes)) }
  } catch (error) {
    if (error instanceof NotJson) {
      return { refusal: plain(400, `Failed to parse body into JSON: ${error.message}`) }
    }
    if (!(error instanceof CallMalformed)) throw error
    const why = isJson ? 'Failed to convert JSON into' : 'Failed to parse body into'
    return { refusal: plain(400, `${why} Call protobuf: ${error.message}`) }
  } finally {
    bytes.fill(0)
  }
}

class NotJson extends Error {}

/** A call may launch thousands of tasks. */
const limits = { depthMax: 100, valuesMax: 200_000 }

/** The parser's own words would quote the body, and a body may hold a secret. */
function parsed(bytes: Buffer): unknown {
  const fault = jsonFault(bytes, limits)
  if (fault !== undefined) throw new NotJson(`it ${fault}`)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new NotJson('syntax error')
  }
}

/**
 * Where a follower sends its clients: scheme-relative, as Mesos redirects, with whatever path and
 * query were asked for. Undefined while nobody is known to lead. Source: mesos.md §10.
 */
export function locationAt(leader: Member | undefined, url: string): string | undefined {
  const at = leader?.listeners['mesos']
  if (at === undefined) return undefined
  const host = at.host.includes(':') ? `[${at.host}]` : at.host
  // A request line may also carry a whole URL, which behind a port would be nonsense.
  return `//${host}:${at.port}${url.startsWith('/') ? url : ''}`
}

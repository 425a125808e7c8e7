import type { IncomingHttpHeaders } from 'node:http'
import type { Member, PlainAnswer } from '@conclave/actors'
import { CallMalformed } from '@conclave/model'
import { plain } from './answers.ts'

/*
 * What every endpoint checks of a request beside the call itself. The words are Mesos' (mesos.md §4);
 * each function answers with a refusal, or with what it read.
 */

/** `Content-Type` is compared exactly, case and parameters included. */
export function contentTypeRefusal(headers: IncomingHttpHeaders): PlainAnswer | undefined {
  const type = headers['content-type']
  if (type === undefined) return plain(400, "Expecting 'Content-Type' to be present")
  if (type === 'application/json') return undefined
  if (type === 'application/x-protobuf') {
    return plain(415, 'This master speaks JSON only; expecting a Content-Type of application/json')
  }
  return plain(415, "Expecting 'Content-Type' of application/json or application/x-protobuf")
}

/** The call in a body, which is wiped. @returns the refusal when it cannot be read */
export function readCall<Call>(
  body: unknown,
  parse: (json: unknown) => Call,
): { readonly call: Call } | { readonly refusal: PlainAnswer } {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    // The parser's own words would quote the body, and a body may hold a secret.
    return { refusal: plain(400, 'Failed to parse body into JSON: syntax error') }
  } finally {
    bytes.fill(0)
  }
  try {
    return { call: parse(json) }
  } catch (error) {
    if (!(error instanceof CallMalformed)) throw error
    return { refusal: plain(400, `Failed to convert JSON into Call protobuf: ${error.message}`) }
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

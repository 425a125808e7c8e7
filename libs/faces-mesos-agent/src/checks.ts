import type { IncomingHttpHeaders } from 'node:http'
import type { PlainAnswer } from '@conclave/actors'
import { CallMalformed, ExecutorCall, fromProtobuf } from '@conclave/model'
import { plain } from './answers.ts'

/*
 * What both endpoints check of a request beside the call itself. The words are Mesos' (mesos.md §4, §7).
 */

export function methodRefusal(method: string): PlainAnswer | undefined {
  if (method === 'POST') return undefined
  const body = `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${method}'.`
  return plain(405, body)
}

export const protobufName = 'application/x-protobuf'

/** `Content-Type` is compared exactly, case and parameters included. */
export function contentTypeRefusal(
  headers: IncomingHttpHeaders,
  { isStreaming, hasProtobuf }: { readonly isStreaming: boolean; readonly hasProtobuf: boolean },
): PlainAnswer | undefined {
  const type = headers['content-type']
  if (type === undefined) return plain(400, "Expecting 'Content-Type' to be present")
  if (type === 'application/json') return undefined
  if (type === 'application/recordio' && isStreaming) return messageTypeRefusal(headers)
  if (type === protobufName) {
    if (hasProtobuf) return undefined
    const why =
      'This API of an agent speaks JSON only; expecting a Content-Type of application/json'
    return plain(415, why)
  }
  return plain(
    415,
    isStreaming
      ? "Expecting 'Content-Type' of application/json or application/x-protobuf or application/recordio"
      : "Expecting 'Content-Type' of application/json or application/x-protobuf",
  )
}

function messageTypeRefusal(headers: IncomingHttpHeaders): PlainAnswer | undefined {
  const type = headers['message-content-type']
  if (type === undefined) {
    return plain(400, "Expecting 'Message-Content-Type' to be set for streaming requests")
  }
  if (type === 'application/json') return undefined
  return plain(415, "Expecting 'Message-Content-Type' of application/json")
}

const covers = (accept: string, type: string): boolean =>
  accept
    .split(',')
    .map((range) => range.split(';')[0]?.trim())
    .some((range) => range === '*/*' || range === 'application/*' || range === type)

/** A missing `Accept` is JSON, and so is any range that covers it. */
export function acceptRefusal({ accept }: IncomingHttpHeaders): PlainAnswer | undefined {
  if (accept === undefined || covers(accept, 'application/json')) return undefined
  return plain(406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'")
}

/** Of the executor API's stream, JSON first. @returns the refusal, or the form of its events */
export function eventMedia({
  accept,
}: IncomingHttpHeaders): PlainAnswer | 'application/json' | typeof protobufName {
  const refusal = acceptRefusal({ accept })
  if (refusal === undefined) return 'application/json'
  return accept !== undefined && covers(accept, protobufName) ? protobufName : refusal
}

/** Of a call whose answer is a stream. @returns the refusal, or how the stream is announced */
export function streamAnswer(
  headers: IncomingHttpHeaders,
): { readonly refusal: PlainAnswer } | { readonly headers: Readonly<Record<string, string>> } {
  const { accept = '*/*' } = headers
  const messageAccept = headers['message-accept']
  const wanted = Array.isArray(messageAccept) ? messageAccept.join(', ') : messageAccept
  if (covers(accept, 'application/recordio')) {
    if (wanted === undefined || covers(wanted, 'application/json')) {
      return {
        headers: {
          'content-type': 'application/recordio',
          'message-content-type': 'application/json',
        },
      }
    }
    return { refusal: plain(406, "Expecting 'Message-Accept' to allow 'application/json'") }
  }
  if (covers(accept, 'application/json')) return { headers: { 'content-type': 'application/json' } }
  return { refusal: plain(406, "Expecting 'Accept' to allow 'application/recordio'") }
}

/** Headers that only streams have. */
export function streamingHeadersRefusal(
  headers: IncomingHttpHeaders,
  isStreamedAnswer: boolean,
): PlainAnswer | undefined {
  if (headers['message-content-type'] !== undefined) {
    const why = "Expecting 'Message-Content-Type' to be not set for non-streaming requests"
    return plain(415, why)
  }
  if (headers['message-accept'] !== undefined && !isStreamedAnswer) {
    return plain(406, "Expecting 'Message-Accept' to be not set for non-streaming responses")
  }
  return undefined
}

/** The JSON in `bytes`, which are wiped. @returns undefined when there is none */
export function jsonIn(bytes: Uint8Array): { readonly json: unknown } | undefined {
  try {
    return {
      json: JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()),
    }
  } catch {
    // The parser's own words would quote the body, and a body may hold a secret.
    return undefined
  } finally {
    bytes.fill(0)
  }
}

/** The executor's call in a protobuf body, which is wiped. */
export function readProtobufCall(
  body: unknown,
): { readonly call: ExecutorCall } | { readonly refusal: PlainAnswer } {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  try {
    return { call: fromProtobuf(ExecutorCall, 'executor.Call', bytes) }
  } catch (error) {
    if (!(error instanceof CallMalformed)) throw error
    return { refusal: plain(400, `Failed to parse body into Call protobuf: ${error.message}`) }
  } finally {
    bytes.fill(0)
  }
}

/**
 * The call in a body, which is wiped.
 *
 * @param prefix before the reason why JSON is no call: the executor's endpoint has one
 */
export function readCall<Call>(
  body: unknown,
  parse: (json: unknown) => Call,
  prefix: string,
): { readonly call: Call } | { readonly refusal: PlainAnswer } {
  const read = jsonIn(Buffer.isBuffer(body) ? body : Buffer.alloc(0))
  if (read === undefined) {
    return { refusal: plain(400, 'Failed to parse body into JSON: syntax error') }
  }
  try {
    return { call: parse(read.json) }
  } catch (error) {
    if (!(error instanceof CallMalformed)) throw error
    return { refusal: plain(400, `${prefix}${error.message}`) }
  }
}

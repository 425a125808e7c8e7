import type { IncomingHttpHeaders } from 'node:http'
import type { PlainAnswer } from '@conclave/actors'
import { AgentCall, CallMalformed, fromProtobuf, parse, type Message } from '@conclave/model'
import { jsonFault } from '@conclave/runtime'
import { plain } from './answers.ts'
import { jsonName, protobufName, recordioName, type MediaName } from './media.ts'

/*
 * What both endpoints check of a request beside the call itself. The words are Mesos' (mesos.md §4, §7).
 */

export function methodRefusal(method: string): PlainAnswer | undefined {
  if (method === 'POST') return undefined
  const body = `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${method}'.`
  return plain(405, body)
}

/** `Content-Type` is compared exactly, case and parameters included. */
export function contentTypeRefusal(
  headers: IncomingHttpHeaders,
  { isStreaming }: { readonly isStreaming: boolean },
): PlainAnswer | undefined {
  const type = headers['content-type']
  if (type === undefined) return plain(400, "Expecting 'Content-Type' to be present")
  if (type === jsonName || type === protobufName) return undefined
  if (type === recordioName && isStreaming) return messageTypeRefusal(headers)
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
  if (type === jsonName || type === protobufName) return undefined
  const why = "Expecting 'Message-Content-Type' of application/json or application/x-protobuf"
  return plain(415, why)
}

const covers = (accept: string, type: string): boolean =>
  accept
    .split(',')
    .map((range) => range.split(';')[0]?.trim())
    .some((range) => range === '*/*' || range === 'application/*' || range === type)

/** JSON first, which is also what a header that is not there allows. Undefined: nothing that we have. */
const preferred = (accept: string | undefined): MediaName | undefined =>
  ([jsonName, protobufName] as const).find((name) => accept === undefined || covers(accept, name))

/** Of the executor API's stream. @returns the refusal, or the form of its events */
export const eventMedia = ({ accept }: IncomingHttpHeaders): PlainAnswer | MediaName =>
  preferred(accept) ??
  plain(406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'")

/** How an answer is written: the records of a stream may be of another form than the stream itself. */
export interface AnswerMedia {
  readonly message: MediaName
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Of a call of the operator API. @param isStreamed whether its answer is a stream
 *
 * @returns the refusal in the words of Mesos, or how it is answered
 */
export function answerMedia(
  { accept, ...headers }: IncomingHttpHeaders,
  type: string,
  isStreamed: boolean,
): AnswerMedia | PlainAnswer {
  const messageAccept = headers['message-accept']
  const content = preferred(accept)
  if (content !== undefined) {
    if (messageAccept === undefined)
      return { message: content, headers: { 'content-type': content } }
    return plain(406, "Expecting 'Message-Accept' to be not set for non-streaming responses")
  }
  if (accept === undefined || !covers(accept, recordioName)) {
    const any = 'application/json or application/x-protobuf or application/recordio'
    return plain(406, `Expecting 'Accept' to allow ${any}`)
  }
  const message = preferred(Array.isArray(messageAccept) ? messageAccept.join(', ') : messageAccept)
  if (message === undefined) {
    const either = 'application/json or application/x-protobuf'
    return plain(406, `Expecting 'Message-Accept' to allow ${either}`)
  }
  if (!isStreamed) return plain(406, `Streaming response is not supported for ${type} call`)
  return { message, headers: { 'content-type': recordioName, 'message-content-type': message } }
}

/** Headers that only streams have. */
export function streamingHeadersRefusal(headers: IncomingHttpHeaders): PlainAnswer | undefined {
  if (headers['message-content-type'] === undefined) return undefined
  const why = "Expecting 'Message-Content-Type' to be not set for non-streaming requests"
  return plain(415, why)
}

/** As masters' own. */
const limits = { depthMax: 100, valuesMax: 200_000 }

/** The JSON in `bytes`, which are wiped. @returns what is wrong when there is none */
function jsonIn(bytes: Uint8Array): { readonly json: unknown } | { readonly fault: string } {
  try {
    const fault = jsonFault(bytes, limits)
    if (fault !== undefined) return { fault: `it ${fault}` }
    return {
      json: JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()),
    }
  } catch {
    // The parser's own words would quote the body, and a body may hold a secret.
    return { fault: 'syntax error' }
  } finally {
    bytes.fill(0)
  }
}

/** How a call is read, and what stands before the reason when it cannot be. */
export interface CallReading<Call> {
  readonly kind: Message<Call>
  /** Its name in protobuf. */
  readonly type: string
  readonly prefix: Readonly<Record<MediaName, string>>
}

/** Of the operator API, which has no words before the reason why JSON is no call. */
export const callReading: CallReading<AgentCall> = {
  kind: AgentCall,
  type: 'agent.Call',
  prefix: {
    'application/json': '',
    'application/x-protobuf': 'Failed to parse body into a protobuf object: ',
  },
}

/** The call in a body, which is wiped. */
export function readCall<Call>(
  body: unknown,
  media: MediaName,
  { kind, type, prefix }: CallReading<Call>,
): { readonly call: Call } | { readonly refusal: PlainAnswer } {
  const bytes = body instanceof Uint8Array ? body : new Uint8Array(0)
  try {
    if (media === protobufName) return { call: fromProtobuf(kind, type, bytes) }
    const read = jsonIn(bytes)
    if ('json' in read) return { call: parse(kind, read.json) }
    return { refusal: plain(400, `Failed to parse body into JSON: ${read.fault}`) }
  } catch (error) {
    if (!(error instanceof CallMalformed)) throw error
    return { refusal: plain(400, `${prefix[media]}${error.message}`) }
  } finally {
    bytes.fill(0)
  }
}

/** The form that a body is in, once its `Content-Type` was found to be one that is taken. */
export const bodyMedia = (contentType: string | undefined): MediaName =>
  contentType === protobufName ? protobufName : jsonName

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { http } from './node-http.ts'

/** What a face says of HTTP that cannot be read. Nothing in it comes from the request. */
export interface BrokenHttp {
  readonly status: number
  readonly message: string
}

/** A refusal in the form of a face. */
export interface WordedRefusal {
  readonly type: 'application/json' | 'text/plain; charset=utf-8'
  readonly body: string
}

/** How long the bytes that are still coming are let pass: who is hung up on in the middle of sending never hears why. */
const patienceMs = 1000

const oneLength =
  'the length of the body is told twice: send one Content-Length, or "Transfer-Encoding: chunked"'
const badLineEnd = 'a line of the request does not end as it has to: end it with CR LF'
const badVersion = 'the first line does not end with a version of HTTP: write HTTP/1.1'

/** By the code of Node's parser, what is wrong and the mend. */
const reasons: Readonly<Record<string, string>> = {
  HPE_INVALID_METHOD:
    'the first line does not begin with a method of HTTP: write it in capitals, such as GET, and TLS only to a port that speaks it',
  HPE_INVALID_VERSION: badVersion,
  HPE_INVALID_CONSTANT: badVersion,
  HPE_INVALID_URL:
    'the address in the first line has a character that may not stand there: write it percent-encoded',
  HPE_INVALID_HEADER_TOKEN:
    'a header has a character that may not stand there: use letters, digits and "-" in a name, and no control characters in a value',
  HPE_INVALID_CONTENT_LENGTH:
    'the Content-Length is no number: write the number of bytes in the body',
  HPE_UNEXPECTED_CONTENT_LENGTH: oneLength,
  HPE_UNEXPECTED_TRANSFER_ENCODING: oneLength,
  HPE_INVALID_TRANSFER_ENCODING:
    'the Transfer-Encoding does not end with chunked, or stands beside a Content-Length: send one of the two',
  HPE_INVALID_CHUNK_SIZE:
    'a piece of the body has no length: write it in hexadecimal on a line before the piece, or send a Content-Length',
  HPE_CR_EXPECTED: badLineEnd,
  HPE_LF_EXPECTED: badLineEnd,
  HPE_STRICT: badLineEnd,
  HPE_INVALID_EOF_STATE: 'the request broke off: send the whole of it',
  HPE_CLOSED_CONNECTION:
    'more came after a request that said "Connection: close": send it on a connection of its own',
}

const unknown =
  'this is no request of HTTP/1.1: write method, address and version, then the headers, an empty line and the body'

/** Undefined: a connection that broke, where nobody is left to hear anything. */
function brokenHttpOf(code: string): BrokenHttp | undefined {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const message =
      'the request took too long to arrive: send all of it at once, on a new connection'
    return { status: 408, message }
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    const message = `the first line and the headers have more than ${http.maxHeaderSize} bytes: send fewer or shorter ones`
    return { status: 431, message }
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    const message = 'the lengths of the pieces of the body carry too much else: send them alone'
    return { status: 413, message }
  }
  if (!code.startsWith('HPE_')) return undefined
  return { status: 400, message: reasons[code] ?? unknown }
}

/**
 * Answers what no request could be made of, in the form of a face, and ends the connection. It is no failure of
 * ours, so no log hears of it; the error holds bytes of the request.
 */
export const answerBrokenHttp =
  (worded: (broken: BrokenHttp) => WordedRefusal) =>
  ({ code = '' }: NodeJS.ErrnoException, socket: Socket): void => {
    // Each further piece of what cannot be read is told of again.
    if (socket.writableEnded) return
    const broken = brokenHttpOf(code)
    if (broken === undefined || !socket.writable || isOfAnother(socket)) {
      socket.destroy()
      return
    }
    const { status } = broken
    const { type, body } = worded(broken)
    const head = [
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? 'Error'}`,
      `Content-Type: ${type}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
    ]
    const patience = setTimeout(() => socket.destroy(), patienceMs)
    socket.once('close', () => clearTimeout(patience))
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  }

/**
 * Whether an answer would be taken for that of the request before, which came whole and is being done, or would
 * stand in the middle of one that has begun. Node keeps the answer that is under way at its socket.
 */
function isOfAnother(socket: Socket & { readonly _httpMessage?: ServerResponse | null }): boolean {
  const { _httpMessage: answer } = socket
  return answer != null && (answer.headersSent || answer.req.complete)
}

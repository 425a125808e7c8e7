import { ConclaveError } from '@conclave/kernel'

/*
 * Server-sent events. Source: the HTML standard, §9.2.6 "Interpreting an event stream".
 */

export interface SseEvent {
  /** `message` when the stream does not say. */
  readonly event: string
  readonly data: string
  /** The latest id the stream has given, for `Last-Event-ID`. */
  readonly id: string
}

/** A line or an event longer than any of ours: it would be kept in memory until it ends. */
export class SseTooLarge extends ConclaveError {
  readonly code = 'sse.too-large'

  constructor(sizeMax: number) {
    super(`an event of more than ${sizeMax} characters`)
  }
}

/** Cuts a stream into its events, however it was cut into chunks on its way. */
export class SseDecoder {
  readonly #sizeMax: number
  // Drops a byte order mark at the beginning, and puts U+FFFD for what is no UTF-8: both as specified.
  readonly #text = new TextDecoder('utf-8')
  #line: string[] = []
  #lineLength = 0
  #isAfterReturn = false
  #event = ''
  #data: string[] = []
  #dataLength = 0
  #id = ''
  #retryMs: number | undefined

  constructor(sizeMax = 16 * 1024 * 1024) {
    this.#sizeMax = sizeMax
  }

  get lastId(): string {
    return this.#id
  }

  /** How long the stream wants its reader to wait before connecting again. */
  get retryMs(): number | undefined {
    return this.#retryMs
  }

  /** The events that `chunk` completes. @throws SseTooLarge */
  push(chunk: Uint8Array): SseEvent[] {
    const events: SseEvent[] = []
    const text = this.#text.decode(chunk, { stream: true })
    let from = 0
    for (let at = 0; at < text.length; at++) {
      const char = text[at]
      if (char !== '\n' && char !== '\r') {
        this.#isAfterReturn = false
        continue
      }
      // A newline right after a return ends the same line, even when a chunk ended between them.
      if (char === '\n' && this.#isAfterReturn) {
        this.#isAfterReturn = false
        from = at + 1
        continue
      }
      this.#isAfterReturn = char === '\r'
      this.#keep(text.slice(from, at))
      from = at + 1
      const event = this.#endLine()
      if (event !== undefined) events.push(event)
    }
    this.#keep(text.slice(from))
    return events
  }

  #keep(piece: string): void {
    if (piece === '') return
    this.#lineLength += piece.length
    if (this.#lineLength > this.#sizeMax) throw new SseTooLarge(this.#sizeMax)
    this.#line.push(piece)
  }

  #endLine(): SseEvent | undefined {
    const line = this.#line.join('')
    this.#line = []
    this.#lineLength = 0
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    if (colon === 0) return undefined
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))
    this.#field(field, value)
    return undefined
  }

  #field(field: string, value: string): void {
    if (field === 'data') {
      this.#dataLength += value.length + 1
      if (this.#dataLength > this.#sizeMax) throw new SseTooLarge(this.#sizeMax)
      this.#data.push(value)
    } else if (field === 'event') {
      this.#event = value
    } else if (field === 'id' && !value.includes('\0')) {
      this.#id = value
    } else if (field === 'retry' && /^\d+$/.test(value)) {
      this.#retryMs = Number(value)
    }
  }

  #dispatch(): SseEvent | undefined {
    const data = this.#data
    const event = this.#event === '' ? 'message' : this.#event
    this.#data = []
    this.#dataLength = 0
    this.#event = ''
    return data.length === 0 ? undefined : { event, data: data.join('\n'), id: this.#id }
  }
}

/** The events of a stream as its chunks come. @throws SseTooLarge */
export async function* eventsOf(
  chunks: AsyncIterable<Uint8Array>,
  decoder = new SseDecoder(),
): AsyncGenerator<SseEvent> {
  for await (const chunk of chunks) yield* decoder.push(chunk)
}

/** One event as it is written into a stream. `id` and `event` hold no line breaks. */
export function encodeSse({ id, event, data }: Partial<SseEvent> & { data: string }): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`)
  const head = [
    ...(id === undefined ? [] : [`id: ${oneLine(id)}\n`]),
    ...(event === undefined ? [] : [`event: ${oneLine(event)}\n`]),
  ]
  return `${[...head, ...lines].join('')}\n`
}

const oneLine = (text: string): string => text.replace(/[\r\n\0]/g, ' ')

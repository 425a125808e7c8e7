import type { ByteString } from '../../byte-string.ts'
import type { Description } from '../../description.ts'
import { LineReader, type Invocation } from '../../invocation.ts'
import { ScriptFault } from '../../language/script-fault.ts'
import type { Task } from '../../wait-set.ts'

/** Reads records: lines, pieces between another byte, or paragraphs when the separator is empty. */
export class RecordReader {
  readonly #invocation: Invocation
  readonly #input: Description
  #lines: LineReader | undefined
  #separator = '\n'

  constructor(invocation: Invocation, input: Description) {
    this.#invocation = invocation
    this.#input = input
  }

  *next(separator: ByteString): Task<ByteString | undefined> {
    if (separator.length > 1) {
      throw new ScriptFault('RS of more than one character is not supported', 2)
    }
    const cutAt = separator === '' ? '\n' : separator
    if (this.#lines !== undefined && cutAt !== this.#separator) {
      throw new ScriptFault('changing RS in the middle of a file is not supported', 2)
    }
    this.#separator = cutAt
    this.#lines ??= new LineReader(this.#invocation, this.#input, cutAt)
    return separator === '' ? yield* this.#paragraph(this.#lines) : yield* this.#line(this.#lines)
  }

  close(): void {
    this.#input.release()
  }

  *#line(lines: LineReader): Task<ByteString | undefined> {
    const line = lines.take() ?? (yield* lines.more())
    // The newline at the end of a file ends its last record, whatever separates records.
    const isLast = line !== undefined && this.#separator !== '\n' && !lines.endedWithNewline
    if (!isLast) return line
    const text = line.replace(/\n$/, '')
    return text === '' ? undefined : text
  }

  *#paragraph(lines: LineReader): Task<ByteString | undefined> {
    let text: ByteString | undefined
    for (;;) {
      const line = lines.take() ?? (yield* lines.more())
      if (line === undefined) return text
      if (line === '' && text !== undefined) return text
      if (line !== '') text = text === undefined ? line : `${text}\n${line}`
      if (text !== undefined && text.length > this.#invocation.stringBytesMax) {
        throw new ScriptFault('record too long', 2)
      }
    }
  }
}

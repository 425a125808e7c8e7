import type { ByteString } from '../../byte-string.ts'
import type { Regex } from '../../regex/regex.ts'
import type { Task } from '../../wait-set.ts'
import { inputValue, type Value } from './value.ts'

const blanks = /[ \t\n]+/

/** Cuts a text at separators: blanks for `' '`, one byte, or whatever a regular expression matches. */
export function* splitFields(
  text: ByteString,
  separator: ByteString,
  compile: (source: ByteString) => Regex,
  isParagraph = false,
): Task<ByteString[]> {
  if (separator === ' ') {
    const fields = text.split(blanks)
    if (fields[0] === '') fields.shift()
    if (fields.at(-1) === '') fields.pop()
    return fields
  }
  if (text === '') return []
  if (separator === '') return Array.from(text)
  if (separator.length === 1 && separator !== '\\' && !isParagraph) return text.split(separator)
  const source = separator.length === 1 ? `[${separator}]` : separator
  const regex = compile(isParagraph ? `(${source})|\n` : source)
  const fields: ByteString[] = []
  let from = 0
  let searchFrom = 0
  for (;;) {
    const match = yield* regex.search(text, searchFrom)
    if (match === undefined) break
    if (match.end === match.start) {
      searchFrom = match.end + 1
      if (searchFrom > text.length) break
      continue
    }
    fields.push(text.slice(from, match.start))
    from = match.end
    searchFrom = match.end
  }
  fields.push(text.slice(from))
  return fields
}

/** `$0` and its fields: the fields are cut when somebody asks, `$0` is put together when one changed. */
export class AwkRecord {
  #text = ''
  #fields: Value[] | undefined = []
  #isTextStale = false

  set(text: ByteString): void {
    this.#text = text
    this.#fields = undefined
    this.#isTextStale = false
  }

  text(separator: ByteString, show: (value: Value) => ByteString): ByteString {
    if (this.#isTextStale) {
      this.#text = (this.#fields ?? []).map(show).join(separator)
      this.#isTextStale = false
    }
    return this.#text
  }

  /** Whether {@link fields} has to be called with the fields first. */
  get isUncut(): boolean {
    return this.#fields === undefined
  }

  get rawText(): ByteString {
    return this.#text
  }

  cut(fields: readonly ByteString[]): void {
    this.#fields = fields.map(inputValue)
  }

  get count(): number {
    return this.#fields?.length ?? 0
  }

  field(index: number): Value {
    return this.#fields?.[index - 1]
  }

  setField(index: number, value: Value): void {
    const fields = (this.#fields ??= [])
    while (fields.length < index) fields.push('')
    fields[index - 1] = value
    this.#isTextStale = true
  }

  setCount(count: number): void {
    const fields = (this.#fields ??= [])
    while (fields.length < count) fields.push('')
    fields.length = count
    this.#isTextStale = true
  }
}

/** A set of bytes: what a bracket expression, `.` or `\w` stands for. */
export class ByteSet {
  readonly #members = new Uint8Array(256)

  has(code: number): boolean {
    return this.#members[code] === 1
  }

  add(from: number, to = from): this {
    this.#members.fill(1, from, to + 1)
    return this
  }

  addAll(other: ByteSet): this {
    for (let code = 0; code < 256; code++) if (other.has(code)) this.#members[code] = 1
    return this
  }

  inverted(): ByteSet {
    const result = new ByteSet()
    for (let code = 0; code < 256; code++) if (!this.has(code)) result.add(code)
    return result
  }

  /** With the other case of every ASCII letter in it. */
  withBothCases(): ByteSet {
    const result = new ByteSet().addAll(this)
    for (let lower = 0x61; lower <= 0x7a; lower++) {
      if (this.has(lower) || this.has(lower - 32)) result.add(lower).add(lower - 32)
    }
    return result
  }
}

/** The named classes of POSIX in the C locale. */
export const classes: ReadonlyMap<string, ByteSet> = new Map([
  ['alpha', new ByteSet().add(0x41, 0x5a).add(0x61, 0x7a)],
  ['digit', new ByteSet().add(0x30, 0x39)],
  ['alnum', new ByteSet().add(0x30, 0x39).add(0x41, 0x5a).add(0x61, 0x7a)],
  ['upper', new ByteSet().add(0x41, 0x5a)],
  ['lower', new ByteSet().add(0x61, 0x7a)],
  ['space', new ByteSet().add(0x09, 0x0d).add(0x20)],
  ['blank', new ByteSet().add(0x09).add(0x20)],
  ['punct', new ByteSet().add(0x21, 0x2f).add(0x3a, 0x40).add(0x5b, 0x60).add(0x7b, 0x7e)],
  ['print', new ByteSet().add(0x20, 0x7e)],
  ['graph', new ByteSet().add(0x21, 0x7e)],
  ['cntrl', new ByteSet().add(0x00, 0x1f).add(0x7f)],
  ['xdigit', new ByteSet().add(0x30, 0x39).add(0x41, 0x46).add(0x61, 0x66)],
])

/** `\w` of GNU tools. */
export const wordBytes = new ByteSet().add(0x30, 0x39).add(0x41, 0x5a).add(0x5f).add(0x61, 0x7a)

/**
 * Reads a bracket expression, of which `at` is the byte behind the `[`. Nothing when it never ends,
 * and the bracket is an ordinary byte.
 *
 * @param negation the bytes that negate it in front: `^`, and in globs `!` too
 * @param escapes whether a backslash takes the meaning of what follows, as in globs
 */
export function parseBracket(
  text: string,
  at: number,
  negation: string,
  escapes: boolean,
): { readonly set: ByteSet; readonly end: number } | undefined {
  const set = new ByteSet()
  let position = at
  const isNegated = position < text.length && negation.includes(text[position] ?? '')
  if (isNegated) position++
  const first = position
  while (position < text.length) {
    const character = text[position] ?? ''
    if (character === ']' && position > first) {
      return { set: isNegated ? set.inverted() : set, end: position + 1 }
    }
    if (character === '[' && text[position + 1] === ':') {
      const close = text.indexOf(':]', position + 2)
      const named = close < 0 ? undefined : classes.get(text.slice(position + 2, close))
      if (named !== undefined) {
        set.addAll(named)
        position = close + 2
        continue
      }
    }
    const low = member(text, position, escapes)
    position = low.end
    if (text[position] !== '-' || text[position + 1] === ']' || position + 1 >= text.length) {
      set.add(low.code)
      continue
    }
    const high = member(text, position + 1, escapes)
    position = high.end
    if (low.code <= high.code) set.add(low.code, high.code)
  }
  return undefined
}

function member(
  text: string,
  at: number,
  escapes: boolean,
): { readonly code: number; readonly end: number } {
  const opener = text.slice(at, at + 2)
  if (opener === '[.' || opener === '[=') {
    const close = text.indexOf(`${opener[1] ?? ''}]`, at + 2)
    if (close === at + 3) return { code: text.charCodeAt(at + 2), end: close + 2 }
  }
  const isEscaped = escapes && text[at] === '\\' && at + 1 < text.length
  const position = isEscaped ? at + 1 : at
  return { code: text.charCodeAt(position) & 0xff, end: position + 1 }
}

import { shownName, TemplateInvalid } from './template-invalid.ts'

/*
 * What stands between `{{` and `}}`, in pieces. Bytes, since a template may be a secret: text literals stay
 * bytes, and only names become strings.
 */

/** Where it begins, in the template. */
export type Token = { readonly at: number } & Kind

type Kind =
  /** `.Service.Name` is `['Service', 'Name']`; a dot alone is the whole context. */
  | { readonly is: 'field'; readonly names: readonly string[] }
  | { readonly is: 'name'; readonly name: string }
  | { readonly is: 'text'; readonly bytes: Uint8Array }
  /** `$`, which is the context of the whole template, or `$name`; with fields of it. */
  | { readonly is: 'variable'; readonly name: string; readonly names: readonly string[] }
  | { readonly is: 'number'; readonly value: number }
  | { readonly is: '(' | ')' | '|' | ',' | '=' | ':=' }

const code = (letter: string): number => letter.charCodeAt(0)
const quote = code('"')
const backquote = code('`')
const backslash = code('\\')
const newline = code('\n')
const dot = code('.')
const dollar = code('$')

export const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d

const isLetter = (byte: number | undefined): boolean =>
  byte !== undefined &&
  ((byte >= code('a') && byte <= code('z')) ||
    (byte >= code('A') && byte <= code('Z')) ||
    (byte >= code('0') && byte <= code('9')) ||
    byte === code('_'))

const isDigit = (byte: number | undefined): boolean =>
  byte !== undefined && byte >= code('0') && byte <= code('9')

const isSign = (byte: number | undefined): boolean => byte === code('-') || byte === code('+')

/** Whole numbers in tens, as far as they are exact here. */
function numberIn(bytes: Uint8Array, line: number): number {
  const text = asciiOf(bytes)
  const value = Number(text)
  if (/^[-+]?(?:0|[1-9]\d*)$/.test(text) && Number.isSafeInteger(value)) return value
  throw new TemplateInvalid(line, `bad number syntax: "${shownName(text)}"`)
}

/** @throws TemplateInvalid */
export function tokensOf(action: Uint8Array, line: number, offset: number): readonly Token[] {
  const tokens: Token[] = []
  const push = (from: number, kind: Kind): unknown => tokens.push({ at: offset + from, ...kind })
  for (let at = 0; at < action.length;) {
    const byte = action[at]
    const before = action[at - 1]
    if (isSpace(byte)) at++
    else if (byte === code('(') || byte === code(')') || byte === code('|')) {
      push(at, { is: String.fromCharCode(byte) as '(' | ')' | '|' })
      at++
    } else if (byte === code(',') || byte === code('=')) {
      push(at, { is: byte === code(',') ? ',' : '=' })
      at++
    } else if (byte === code(':') && action[at + 1] === code('=')) {
      push(at, { is: ':=' })
      at += 2
    } else if (isDigit(byte) || (isSign(byte) && isDigit(action[at + 1]))) {
      const end = endOfName(action, at + 1)
      push(at, { is: 'number', value: numberIn(action.subarray(at, end), line) })
      at = end
    } else if (byte === dollar) {
      const end = endOfName(action, at + 1)
      const name = asciiOf(action.subarray(at, end))
      if (action[end] !== dot) {
        push(at, { is: 'variable', name, names: [] })
        at = end
        continue
      }
      const field = fieldAt(action, end, line)
      if (field.names.length === 0) throw new TemplateInvalid(line, 'unexpected <.>')
      push(at, { is: 'variable', name, names: field.names })
      at = field.end
    } else if (byte === quote || byte === backquote) {
      const { bytes, end } = literalAt(action, at, line)
      push(at, { is: 'text', bytes })
      at = end
    } else if (byte === dot) {
      if (
        before !== undefined &&
        !isSpace(before) &&
        before !== code('(') &&
        before !== code('|') &&
        before !== code('=') &&
        before !== code(',')
      ) {
        throw new TemplateInvalid(line, 'a field of anything but the context is not supported')
      }
      const { names, end } = fieldAt(action, at, line)
      push(at, { is: 'field', names })
      at = end
    } else if (isLetter(byte)) {
      const end = endOfName(action, at)
      push(at, { is: 'name', name: asciiOf(action.subarray(at, end)) })
      at = end
    } else throw new TemplateInvalid(line, 'unexpected character in an action')
  }
  return tokens
}

function fieldAt(
  action: Uint8Array,
  from: number,
  line: number,
): { readonly names: readonly string[]; readonly end: number } {
  const names: string[] = []
  let at = from
  while (action[at] === dot) {
    const end = endOfName(action, at + 1)
    if (end === at + 1) {
      if (names.length > 0 || action[end] === dot) throw new TemplateInvalid(line, 'unexpected <.>')
      return { names, end }
    }
    names.push(asciiOf(action.subarray(at + 1, end)))
    at = end
  }
  return { names, end: at }
}

function endOfName(action: Uint8Array, from: number): number {
  let end = from
  while (isLetter(action[end])) end++
  return end
}

const asciiOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, 1024))

/** What may follow a backslash, and what it stands for. */
const escapes: ReadonlyMap<number, number> = new Map([
  [quote, quote],
  [backslash, backslash],
  [code('n'), newline],
  [code('t'), 0x09],
  [code('r'), 0x0d],
])

function literalAt(
  action: Uint8Array,
  from: number,
  line: number,
): { readonly bytes: Uint8Array; readonly end: number } {
  const mark = action[from]
  const bytes: number[] = []
  for (let at = from + 1; at < action.length; at++) {
    let byte = action[at] ?? 0
    if (byte === mark) return { bytes: Uint8Array.from(bytes), end: at + 1 }
    if (mark === quote && byte === newline) break
    if (mark === quote && byte === backslash) {
      const meant = escapes.get(action[++at] ?? 0)
      if (meant === undefined) throw new TemplateInvalid(line, 'invalid syntax in a quoted string')
      byte = meant
    }
    bytes.push(byte)
  }
  throw new TemplateInvalid(
    line,
    mark === quote ? 'unterminated quoted string' : 'unterminated raw quoted string',
  )
}

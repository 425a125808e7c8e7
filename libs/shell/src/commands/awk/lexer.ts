import type { ByteString } from '../../byte-string.ts'
import { ScriptFault } from '../../language/script-fault.ts'

export type Token =
  | { readonly type: 'number'; readonly value: number; readonly line: number }
  | { readonly type: 'string' | 'regex'; readonly text: ByteString; readonly line: number }
  /** A name; `call` when a parenthesis follows at once, as calls of own functions need it. */
  | { readonly type: 'name' | 'call'; readonly text: string; readonly line: number }
  | {
      readonly type: 'builtin' | 'keyword' | 'symbol'
      readonly text: string
      readonly line: number
    }
  | { readonly type: 'newline' | 'end'; readonly line: number }

const keywords: ReadonlySet<string> = new Set([
  'BEGIN',
  'END',
  'break',
  'continue',
  'delete',
  'do',
  'else',
  'exit',
  'for',
  'func',
  'function',
  'getline',
  'if',
  'in',
  'next',
  'nextfile',
  'print',
  'printf',
  'return',
  'while',
])

export const builtinNames: ReadonlySet<string> = new Set([
  'atan2',
  'close',
  'cos',
  'exp',
  'fflush',
  'gsub',
  'index',
  'int',
  'length',
  'log',
  'match',
  'rand',
  'sin',
  'split',
  'sprintf',
  'sqrt',
  'srand',
  'strftime',
  'sub',
  'substr',
  'system',
  'systime',
  'tolower',
  'toupper',
])

// Longest first: the first that fits is the token.
const symbols =
  '**= && || ++ -- += -= *= /= %= ^= == <= >= != !~ >> ** { } ( ) [ ] ; , + - * / % ^ ! > < | ? : ~ $ ='.split(
    ' ',
  )

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  f: '\f',
  v: '\v',
  a: '\u0007',
  b: '\b',
  '\\': '\\',
  '"': '"',
  '/': '/',
}

/** Text behind the escapes of a string of awk; unknown ones keep their backslash, as regexes need. */
export function unescapeString(source: ByteString): ByteString {
  return source.replace(/\\([0-7]{1,3}|[^])/g, (whole, escaped: string) => {
    if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8) & 0xff)
    if (escaped === '\n') return ''
    return (Object.hasOwn(escapes, escaped) ? escapes[escaped] : undefined) ?? whole
  })
}

/** Behind one of these a slash divides; behind anything else it opens a regular expression. */
function endsOperand(token: Token | undefined): boolean {
  if (token === undefined) return false
  if (token.type === 'symbol') return [')', ']', '$', '++', '--'].includes(token.text)
  return ['number', 'string', 'name', 'builtin', 'regex'].includes(token.type)
}

/** Where the slash is that ends a regular expression: behind no backslash and in no bracket. */
function regexEnd(source: ByteString, start: number): number | undefined {
  let bracketAt = -1
  for (let at = start; at < source.length && source[at] !== '\n'; at++) {
    const character = source[at]
    if (character === '\\') at++
    else if (bracketAt < 0) {
      if (character === '/') return at
      if (character !== '[') continue
      if (source[at + 1] === '^') at++
      bracketAt = at
    } else if (character === ']' && at > bracketAt + 1) bracketAt = -1
    else if (character === '[' && source[at + 1] === ':') {
      const close = source.slice(at, at + 12).indexOf(':]')
      if (close > 0) at += close + 1
    }
  }
  return undefined
}

export function tokens(source: ByteString): readonly Token[] {
  const found: Token[] = []
  let line = 1
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(source)
    if (match !== null) at += match[0].length
    return match
  }
  while (at < source.length) {
    if (take(/[ \t\r]+/y) !== null || take(/#[^\n]*/y) !== null) continue
    if (take(/\\\r?\n/y) !== null) {
      line++
      continue
    }
    if (take(/\n/y) !== null) {
      found.push({ type: 'newline', line })
      line++
      continue
    }
    const number = take(/0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y)
    if (number !== null) {
      found.push({ type: 'number', value: Number(number[0]), line })
      continue
    }
    const name = take(/[A-Za-z_]\w*/y)
    if (name !== null) {
      const [text] = name
      const type = keywords.has(text)
        ? 'keyword'
        : builtinNames.has(text)
          ? 'builtin'
          : source[at] === '('
            ? 'call'
            : 'name'
      found.push({ type, text, line })
      continue
    }
    if (source[at] === '"') {
      const string = take(/"((?:[^"\\\n]|\\[^])*)"/y)
      if (string === null) throw fault(line, 'unterminated string')
      found.push({ type: 'string', text: unescapeString(string[1] ?? ''), line })
      continue
    }
    if (source[at] === '/' && !endsOperand(found.at(-1))) {
      const end = regexEnd(source, at + 1)
      if (end === undefined) throw fault(line, 'unterminated regular expression')
      const text = source.slice(at + 1, end).replaceAll(String.raw`\/`, '/')
      found.push({ type: 'regex', text, line })
      at = end + 1
      continue
    }
    const symbol = symbols.find((one) => source.startsWith(one, at))
    if (symbol === undefined) throw fault(line, `unexpected character '${source[at] ?? ''}'`)
    at += symbol.length
    const text = symbol === '**' ? '^' : symbol === '**=' ? '^=' : symbol
    found.push({ type: 'symbol', text, line })
  }
  found.push({ type: 'end', line })
  return found
}

export const fault = (line: number, message: string): ScriptFault =>
  new ScriptFault(`line ${line}: ${message}`, 2)

import type { ByteString } from '../../byte-string.ts'

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v' }

/**
 * A regular expression of awk as POSIX reads it. They differ inside of brackets, where a backslash is
 * an escape to awk and an ordinary byte to POSIX.
 */
export function posixSource(source: ByteString): ByteString {
  if (!source.includes('[') || !source.includes('\\')) return source
  let result = ''
  for (let at = 0; at < source.length; at++) {
    const character = source[at] ?? ''
    if (character === '\\') {
      result += character + (source[++at] ?? '')
      continue
    }
    if (character !== '[') {
      result += character
      continue
    }
    const bracket = readBracket(source, at)
    result += bracket.text
    at = bracket.end - 1
  }
  return result
}

function readBracket(source: ByteString, start: number): { text: ByteString; end: number } {
  let at = start + 1
  const negation = source[at] === '^' ? '^' : ''
  at += negation.length
  let body = ''
  let closing = ''
  let dash = ''
  let isFirst = true
  for (; at < source.length; at++, isFirst = false) {
    const character = source[at] ?? ''
    if (character === ']' && !isFirst) {
      return { text: `[${negation}${closing}${body}${dash}]`, end: at + 1 }
    }
    const named = character === '[' ? /^\[:[a-z]+:\]/.exec(source.slice(at, at + 12)) : null
    if (named !== null) {
      body += named[0]
      at += named[0].length - 1
    } else if (character === ']') closing = ']'
    else if (character === '\\' && at + 1 < source.length) {
      const escaped = source[++at] ?? ''
      // These have to stand where POSIX takes them for themselves.
      if (escaped === ']') closing = ']'
      else if (escaped === '-') dash = '-'
      else body += escapes[escaped] ?? escaped
    } else body += character
  }
  return { text: source.slice(start), end: source.length }
}

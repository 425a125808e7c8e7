import type { ByteString } from '../../byte-string.ts'

/** Positions from 1 on, rounded, and cut where they leave the text, as POSIX says. */
export function substring(text: ByteString, from: number, length: number): ByteString {
  const start = Math.round(from)
  const end = length === Infinity ? Infinity : start + Math.round(length)
  if (Number.isNaN(start) || Number.isNaN(end)) return ''
  return text.slice(Math.max(start, 1) - 1, Math.max(0, Math.min(end, text.length + 1) - 1))
}

/** Texts, with nothing where the match itself belongs. */
export function replacementPieces(source: ByteString): readonly (ByteString | undefined)[] {
  const pieces: (ByteString | undefined)[] = []
  let text = ''
  for (let at = 0; at < source.length; at++) {
    const character = source[at] ?? ''
    const next = source[at + 1]
    if (character === '\\' && (next === '&' || next === '\\')) {
      text += next
      at++
    } else if (character === '&') {
      pieces.push(text, undefined)
      text = ''
    } else text += character
  }
  pieces.push(text)
  return pieces
}

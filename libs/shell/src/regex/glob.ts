import type { ByteString } from '../byte-string.ts'
import type { Task } from '../wait-set.ts'
import { parseBracket, type ByteSet } from './byte-set.ts'
import { Regex, type Pattern } from './regex.ts'

type Token =
  | { readonly type: 'any' | 'star' }
  | { readonly type: 'set'; readonly set: ByteSet }
  | number

/** How much matching is one tick of work. */
const workPerTick = 20_000

/**
 * A pattern as `case`, `${x#...}` and pathnames use it, with a backslash in front of what was quoted.
 * Matching takes time proportional to text times pattern and never more.
 */
export class Glob {
  readonly #tokens: readonly Token[]
  /** The text it stands for, when nothing in it is special. */
  readonly #literal: ByteString | undefined

  constructor(pattern: ByteString) {
    this.#tokens = parse(pattern)
    this.#literal = this.#tokens.every((token) => typeof token === 'number')
      ? String.fromCharCode(...this.#tokens.slice(0, 4096))
      : undefined
    if (this.#tokens.length > 4096) this.#literal = undefined
  }

  *matches(text: ByteString): Task<boolean> {
    if (this.#literal !== undefined) return this.#literal === text
    const { longest } = yield* this.#scan(text, false)
    return longest === text.length
  }

  /** As {@link matches}, at once: for names, which are short. */
  matchesName(name: ByteString): boolean {
    if (this.#literal !== undefined) return this.#literal === name
    const scan = this.matches(name)
    let result = scan.next()
    while (result.done !== true) result = scan.next()
    return result.value
  }

  /** The length of the shortest or longest prefix (or suffix) it matches, or -1. */
  *measure(text: ByteString, side: 'prefix' | 'suffix', isLongest: boolean): Task<number> {
    const literal = this.#literal
    if (literal !== undefined) {
      const isThere = side === 'prefix' ? text.startsWith(literal) : text.endsWith(literal)
      return isThere ? literal.length : -1
    }
    const { shortest, longest } = yield* this.#scan(text, side === 'suffix')
    return isLongest ? longest : shortest
  }

  /** The same as a regular expression, which finds it anywhere in a text. */
  regex(): Regex {
    const nodes = this.#tokens.map((token): Pattern => {
      if (typeof token === 'number') return { type: 'byte', code: token }
      if (token.type === 'set') return { type: 'set', set: token.set }
      const any: Pattern = { type: 'any' }
      return token.type === 'any' ? any : { type: 'repeat', node: any, min: 0, max: Infinity }
    })
    return new Regex({ type: 'sequence', nodes }, 0, false)
  }

  /** Walks the text once with all positions in the pattern that may have been reached. */
  *#scan(text: ByteString, isBackward: boolean): Task<{ shortest: number; longest: number }> {
    const tokens = isBackward ? this.#tokens.toReversed() : this.#tokens
    const end = tokens.length
    let active = new Uint8Array(end + 1)
    let next = new Uint8Array(end + 1)
    reach(tokens, active, 0)
    let shortest = active[end] === 1 ? 0 : -1
    let longest = shortest
    let work = 0
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(isBackward ? text.length - 1 - at : at)
      let isAlive = false
      for (let index = 0; index < end; index++) {
        if (active[index] !== 1) continue
        const token = tokens[index]
        if (token === undefined) continue
        if (typeof token !== 'number' && token.type === 'star') {
          reach(tokens, next, index)
          isAlive = true
        } else if (accepts(token, code)) {
          reach(tokens, next, index + 1)
          isAlive = true
        }
      }
      const spent = active
      active = next
      next = spent
      next.fill(0)
      if (!isAlive) break
      if (active[end] === 1) {
        longest = at + 1
        if (shortest < 0) shortest = at + 1
      }
      work += end
      if (work > workPerTick) {
        work = 0
        yield
      }
    }
    return { shortest, longest }
  }
}

function accepts(token: Token, code: number): boolean {
  if (typeof token === 'number') return token === code
  return token.type === 'set' ? token.set.has(code) : true
}

/** Marks a position, and those behind stars that may match nothing. */
function reach(tokens: readonly Token[], active: Uint8Array, from: number): void {
  let index = from
  while (active[index] !== 1) {
    active[index] = 1
    const token = tokens[index]
    if (token === undefined || typeof token === 'number' || token.type !== 'star') return
    index++
  }
}

function parse(pattern: ByteString): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]
    if (character === '\\' && at + 1 < pattern.length) {
      at++
      tokens.push(pattern.charCodeAt(at))
    } else if (character === '*') {
      const last = tokens.at(-1)
      if (typeof last !== 'object' || last.type !== 'star') tokens.push({ type: 'star' })
    } else if (character === '?') {
      tokens.push({ type: 'any' })
    } else if (character === '[') {
      const bracket = parseBracket(pattern, at + 1, '!^', true)
      if (bracket === undefined) tokens.push(pattern.charCodeAt(at))
      else {
        tokens.push({ type: 'set', set: bracket.set })
        at = bracket.end - 1
      }
    } else {
      tokens.push(pattern.charCodeAt(at))
    }
  }
  return tokens
}

const special = /[*?[\]\\]/g

/** Text as a pattern that matches nothing but itself. */
export const escapeGlob = (text: ByteString): ByteString =>
  special.test(text) ? text.replace(special, String.raw`\$&`) : text

/** The text behind a pattern's backslashes. */
export const unescapeGlob = (pattern: ByteString): ByteString => pattern.replace(/\\(.)/gs, '$1')

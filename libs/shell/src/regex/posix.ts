import type { ByteString } from '../byte-string.ts'
import { ByteSet, classes, parseBracket, wordBytes } from './byte-set.ts'
import { Regex, RegexTooBig, type Assertion, type Pattern } from './regex.ts'

/** A pattern that is no regular expression, or one that no linear matcher can run. */
export class RegexMalformed extends Error {}

export type RegexSyntax = 'basic' | 'extended' | 'fixed'

const depthMax = 100

/**
 * Compiles a POSIX basic or extended regular expression with the usual GNU additions (`\+ \? \| \w \s
 * \b \< \>`). Back-references are refused: they are what makes matching take for ever.
 *
 * @throws RegexMalformed
 */
export function compileRegex(
  source: ByteString,
  syntax: RegexSyntax,
  options: { readonly ignoresCase?: boolean; readonly needsGroups?: boolean } = {},
): Regex {
  const parser = new Parser(source, syntax)
  const pattern = syntax === 'fixed' ? literal(source) : parser.whole()
  try {
    const { ignoresCase = false, needsGroups = false } = options
    return new Regex(pattern, parser.groupCount, ignoresCase, needsGroups)
  } catch (refusal) {
    if (refusal instanceof RegexTooBig) throw new RegexMalformed('Regular expression too big')
    throw refusal
  }
}

/** One regular expression that matches what any of them matches; `isWhole` and `isWord` as in grep. */
export function compileAny(
  sources: readonly ByteString[],
  syntax: RegexSyntax,
  options: {
    readonly ignoresCase: boolean
    readonly isWholeLine: boolean
    readonly isWord: boolean
  },
): Regex {
  const nodes = sources.map((source) =>
    syntax === 'fixed' ? literal(source) : new Parser(source, syntax).whole(),
  )
  let pattern: Pattern = nodes.length === 1 && nodes[0] ? nodes[0] : { type: 'choice', nodes }
  const between = (before: Assertion, behind: Assertion): Pattern => ({
    type: 'sequence',
    nodes: [{ type: 'assert', kind: before }, pattern, { type: 'assert', kind: behind }],
  })
  if (options.isWord) pattern = between('word-start', 'word-end')
  if (options.isWholeLine) pattern = between('start', 'end')
  try {
    return new Regex(pattern, 0, options.ignoresCase)
  } catch (refusal) {
    if (refusal instanceof RegexTooBig) throw new RegexMalformed('Regular expression too big')
    throw refusal
  }
}

const literal = (source: ByteString): Pattern => ({
  type: 'sequence',
  nodes: Array.from(source, (character) => ({ type: 'byte', code: character.charCodeAt(0) })),
})

const escapedBytes: Readonly<Record<string, number>> = { n: 10, t: 9, f: 12, v: 11, r: 13, a: 7 }

const escapedSets: Readonly<Record<string, ByteSet>> = {
  w: wordBytes,
  W: wordBytes.inverted(),
  s: classes.get('space') ?? new ByteSet(),
  S: (classes.get('space') ?? new ByteSet()).inverted(),
}

const escapedAssertions: Readonly<Record<string, Assertion>> = {
  b: 'word-edge',
  B: 'not-word-edge',
  '<': 'word-start',
  '>': 'word-end',
  '`': 'start',
  "'": 'end',
}

class Parser {
  groupCount = 0
  readonly #source: string
  readonly #isExtended: boolean
  #at = 0
  #depth = 0

  constructor(source: string, syntax: RegexSyntax) {
    this.#source = source
    this.#isExtended = syntax === 'extended'
  }

  whole(): Pattern {
    const pattern = this.#choice()
    if (this.#at < this.#source.length) throw new RegexMalformed('Unmatched ) or \\)')
    return pattern
  }

  #choice(): Pattern {
    if (++this.#depth > depthMax) throw new RegexMalformed('Regular expression too deep')
    const nodes = [this.#sequence()]
    while (this.#take('|')) nodes.push(this.#sequence())
    this.#depth--
    return nodes.length === 1 && nodes[0] ? nodes[0] : { type: 'choice', nodes }
  }

  /** Takes an operator that is bare in extended syntax and behind a backslash in basic syntax. */
  #take(operator: string): boolean {
    const text = this.#isExtended ? operator : `\\${operator}`
    if (!this.#source.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  #isAtEnd(): boolean {
    if (this.#at >= this.#source.length) return true
    const operators = this.#isExtended ? ['|', ')'] : ['\\|', '\\)']
    return operators.some(
      (text) => this.#source.startsWith(text, this.#at) && (!text.endsWith(')') || this.#depth > 1),
    )
  }

  #sequence(): Pattern {
    const nodes: Pattern[] = []
    while (!this.#isAtEnd()) {
      const atom = this.#atom(nodes.every(({ type }) => type === 'assert'))
      nodes.push(atom.type === 'assert' ? atom : this.#repeated(atom))
    }
    return { type: 'sequence', nodes }
  }

  #repeated(node: Pattern): Pattern {
    let result = node
    for (;;) {
      if (this.#source[this.#at] === '*') {
        this.#at++
        result = repeat(result, 0, Infinity)
      } else if (this.#take('+')) result = repeat(result, 1, Infinity)
      else if (this.#take('?')) result = repeat(result, 0, 1)
      else {
        const bounds = this.#bounds()
        if (bounds === undefined) return result
        result = repeat(result, ...bounds)
      }
    }
  }

  #bounds(): [min: number, max: number] | undefined {
    const pattern = this.#isExtended ? /\{(\d*)(,?)(\d*)\}/y : /\\\{(\d*)(,?)(\d*)\\\}/y
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#source)
    const [, low = '', comma, high = ''] = match ?? []
    if (match === null || (low === '' && comma === '')) return undefined
    this.#at = pattern.lastIndex
    const min = Number(low)
    const max = comma === '' ? min : high === '' ? Infinity : Number(high)
    if (min > 255 || max < min || (max > 255 && max !== Infinity)) {
      throw new RegexMalformed('Invalid content of \\{\\}')
    }
    return [min, max]
  }

  #atom(isFirst: boolean): Pattern {
    const source = this.#source
    const character = source[this.#at] ?? ''
    if (this.#take('(')) return this.#group()
    this.#at++
    switch (character) {
      case '.':
        return { type: 'any' }
      case '[': {
        const bracket = parseBracket(source, this.#at, '^', false)
        if (bracket === undefined) throw new RegexMalformed('Unmatched [, [^, [:, [., or [=')
        this.#at = bracket.end
        return { type: 'set', set: bracket.set }
      }
      case '^':
        if (this.#isExtended || isFirst) return { type: 'assert', kind: 'start' }
        return byte(character)
      case '$':
        if (this.#isExtended || this.#isAtEnd()) return { type: 'assert', kind: 'end' }
        return byte(character)
      case '*':
        if (isFirst) return byte(character)
        throw new RegexMalformed('Invalid preceding regular expression')
      case '+':
      case '?':
        if (this.#isExtended && !isFirst) {
          throw new RegexMalformed('Invalid preceding regular expression')
        }
        return byte(character)
      case '\\':
        return this.#escape()
      default:
        return byte(character)
    }
  }

  #group(): Pattern {
    const index = ++this.groupCount
    const node = this.#choice()
    if (!this.#take(')')) throw new RegexMalformed('Unmatched ( or \\(')
    return { type: 'group', index, node }
  }

  #escape(): Pattern {
    const character = this.#source[this.#at++]
    if (character === undefined) throw new RegexMalformed('Trailing backslash')
    if (/[1-9]/.test(character)) throw new RegexMalformed('Back-references are not supported')
    const set = escapedSets[character]
    if (set !== undefined) return { type: 'set', set }
    const assertion = escapedAssertions[character]
    if (assertion !== undefined) return { type: 'assert', kind: assertion }
    const code = escapedBytes[character]
    return code === undefined ? byte(character) : { type: 'byte', code }
  }
}

const byte = (character: string): Pattern => ({ type: 'byte', code: character.charCodeAt(0) })

const repeat = (node: Pattern, min: number, max: number): Pattern => ({
  type: 'repeat',
  node,
  min,
  max,
})

/** A stretch of source text that is no code: `[start, end)`. */
interface Span {
  readonly kind: 'comment' | 'text'
  readonly start: number
  readonly end: number
}

const regexMayFollow =
  /(?:^|[([{}=:;,!&|?+\-*%<>~^]|\b(?:return|typeof|case|in|of|void|delete|throw|new|else|do|yield|await))$/

/**
 * Finds comments, and the insides of strings, templates and regular expressions (their delimiters
 * stay code). It knows just enough TypeScript for that: what is inside `${…}` is code again.
 */
function spansOf(source: string): readonly Span[] {
  const spans: Span[] = []
  // For each template we are inside of, how many braces its current `${` has open.
  const templates: number[] = []
  let before = ''
  let at = 0

  const skip = (kind: Span['kind'], start: number, end: number): void => {
    if (end > start) spans.push({ kind, start, end })
  }
  const quoted = (): void => {
    const end = endOfQuoted(source, at)
    skip('text', at + 1, end)
    at = end + 1
    before = '"'
  }
  const template = (): void => {
    const { end, isOpen } = endOfTemplatePart(source, at)
    skip('text', at, end)
    at = end + (isOpen ? 2 : 1)
    before = isOpen ? '{' : '"'
    if (isOpen) templates.push(0)
  }

  while (at < source.length) {
    const two = source.slice(at, at + 2)
    const one = two.charAt(0)
    const braces = templates.at(-1)
    if (two === '//' || (two === '#!' && at === 0)) {
      const end = indexOr(source, '\n', at)
      skip('comment', at, end)
      at = end
    } else if (two === '/*') {
      const end = indexOr(source, '*/', at + 2, 2)
      skip('comment', at, end)
      at = end
    } else if (one === '"' || one === "'") {
      quoted()
    } else if (one === '`') {
      at++
      template()
    } else if (one === '}' && braces === 0) {
      templates.pop()
      at++
      template()
    } else if (
      one === '/' &&
      regexMayFollow.test(before.trimEnd()) &&
      endOfRegex(source, at) !== undefined
    ) {
      const end = endOfRegex(source, at) ?? at
      skip('text', at + 1, end)
      at = end + 1
      before = '"'
    } else {
      if (braces !== undefined && one === '{') templates[templates.length - 1] = braces + 1
      if (braces !== undefined && one === '}') templates[templates.length - 1] = braces - 1
      // The last few characters are enough to tell a keyword, and blanks do not count.
      if (one.trim() === '') before = /\w$/.test(before) ? `${before} `.trimStart() : before
      else before = (/\s$/.test(before) && /\w/.test(one) ? one : before.trimEnd() + one).slice(-12)
      at++
    }
    if (/\s$/.test(before)) before = keepWord(before)
  }
  return spans
}

const keepWord = (text: string): string => `${text.trimEnd()} `

function indexOr(source: string, wanted: string, from: number, after = 0): number {
  const found = source.indexOf(wanted, from)
  return found < 0 ? source.length : found + after
}

/** Where the string that begins at `from` ends: its closing quote, or the end of its line. */
function endOfQuoted(source: string, from: number): number {
  const quote = source.charAt(from)
  for (let at = from + 1; at < source.length; at++) {
    const one = source.charAt(at)
    if (one === '\\') at++
    else if (one === quote || one === '\n') return at
  }
  return source.length
}

/** Where the text of a template ends that begins at `from`: at a backtick, or at `${`. */
function endOfTemplatePart(source: string, from: number): { end: number; isOpen: boolean } {
  for (let at = from; at < source.length; at++) {
    const one = source.charAt(at)
    if (one === '\\') at++
    else if (one === '`') return { end: at, isOpen: false }
    else if (one === '$' && source.charAt(at + 1) === '{') return { end: at, isOpen: true }
  }
  return { end: source.length, isOpen: false }
}

/** The closing slash of the regular expression that begins at `from`; undefined if it is a division. */
function endOfRegex(source: string, from: number): number | undefined {
  let isInClass = false
  for (let at = from + 1; at < source.length; at++) {
    const one = source.charAt(at)
    if (one === '\n') return undefined
    if (one === '\\') at++
    else if (one === '[') isInClass = true
    else if (one === ']') isInClass = false
    else if (one === '/' && !isInClass) return at
  }
  return undefined
}

function blanked(source: string, spans: readonly Span[]): string {
  let text = ''
  let at = 0
  for (const { start, end } of spans) {
    text += source.slice(at, start) + source.slice(start, end).replace(/[^\n]/g, ' ')
    at = end
  }
  return text + source.slice(at)
}

/** `source` with every comment turned into blanks; offsets and lines stay. */
export const withoutComments = (source: string): string =>
  blanked(
    source,
    spansOf(source).filter(({ kind }) => kind === 'comment'),
  )

/** `source` with comments, and what stands in strings and regular expressions, turned into blanks. */
export const codeOnly = (source: string): string => blanked(source, spansOf(source))

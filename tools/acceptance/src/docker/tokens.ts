/*
 * What differs from one swarm to the next: ids, times, digests, tokens, addresses. In a recorded text each is
 * a token; another swarm's text agrees when it is the same around the tokens and has the same kinds of them.
 */

interface Kind {
  readonly name: string
  readonly pattern: string
  /** Whether the same recorded token must always stand for the same one of ours. */
  readonly isIdentity: boolean
}

/** In the order in which they are looked for: the more telling first. */
const kinds: readonly Kind[] = [
  {
    name: 'PEM',
    pattern: '-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----',
    isIdentity: true,
  },
  { name: 'DER', pattern: '^M[A-Z][A-Za-z0-9+/]{20,}={0,2}$', isIdentity: true },
  { name: 'join token', pattern: 'SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}', isIdentity: true },
  { name: 'unlock key', pattern: 'SWMKEY-1-[A-Za-z0-9+/]{43}', isIdentity: true },
  { name: 'zero time', pattern: '0001-01-01T00:00:00Z', isIdentity: false },
  {
    name: 'time',
    pattern: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?Z',
    isIdentity: false,
  },
  {
    name: 'version of the API',
    pattern: '(?<=Maximum supported API version is )1\\.\\d\\d',
    isIdentity: false,
  },
  {
    name: 'time since',
    pattern: '\\bUp (?:Less than a second|About an? \\w+|\\d+ \\w+)',
    isIdentity: false,
  },
  { name: 'digest', pattern: 'sha256:[0-9a-f]{64}', isIdentity: false },
  { name: 'container id', pattern: '\\b[0-9a-f]{64}\\b', isIdentity: true },
  { name: 'object id', pattern: '\\b(?=[a-z]*[0-9])[0-9a-z]{25}\\b', isIdentity: true },
  { name: 'short container id', pattern: '\\b(?=[a-f]*[0-9])[0-9a-f]{12}\\b', isIdentity: true },
  { name: 'address', pattern: '\\b\\d{1,3}(?:\\.\\d{1,3}){3}(?::\\d{1,5})?\\b', isIdentity: false },
  { name: 'date of ls', pattern: '\\b[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d\\b', isIdentity: false },
]

const any = new RegExp(kinds.map(({ pattern }) => `(${pattern})`).join('|'), 'g')

export interface Token {
  readonly kind: string
  readonly isIdentity: boolean
  readonly text: string
}

/** `text` as what is fixed and the tokens between: there is always one more of the fixed parts. */
export function tokensIn(text: string): {
  readonly fixed: readonly string[]
  readonly tokens: readonly Token[]
} {
  const fixed: string[] = []
  const tokens: Token[] = []
  let from = 0
  for (const match of text.matchAll(any)) {
    const kind = kinds[match.slice(1).findIndex((group) => group !== undefined)]
    if (kind === undefined) continue
    fixed.push(text.slice(from, match.index))
    tokens.push({ kind: kind.name, isIdentity: kind.isIdentity, text: match[0] })
    from = match.index + match[0].length
  }
  fixed.push(text.slice(from))
  return { fixed, tokens }
}

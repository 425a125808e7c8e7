import type { ByteString } from '../byte-string.ts'

const needsNoQuotes = /^[\w@%+=:,./\u0080-\u00ff[\]!-]+$/

/** A field as one may type it again; in quotes only where it needs them. */
export const quoted = (text: ByteString): ByteString =>
  needsNoQuotes.test(text) ? text : quotedAlways(text)

/** A value as `set`, `export -p` and `trap` print it: always in quotes, its own single ones in double ones. */
export const quotedAlways = (text: ByteString): ByteString =>
  text === '' || text.startsWith("'") ? `''${quotedRuns(text)}` : quotedRuns(text)

const quotedRuns = (text: ByteString): ByteString =>
  text.replace(/'+|[^']+/g, (run) => (run.startsWith("'") ? `"${run}"` : `'${run}'`))

import type { ByteString } from '../byte-string.ts'
import type { Program } from '../invocation.ts'

interface Counts {
  lines: number
  words: number
  characters: number
  bytes: number
}

const none = (): Counts => ({ lines: 0, words: 0, characters: 0, bytes: 0 })

export const wc: Program = function* (invocation) {
  const { flags, operands } = invocation.options('clmwL', {
    bytes: 'c',
    lines: 'l',
    chars: 'm',
    words: 'w',
    'max-line-length': 'L',
  })
  const shown = (['l', 'w', 'm', 'c'] as const).filter((letter) =>
    flags.size === 0 ? letter !== 'm' : flags.has(letter),
  )
  const longest = flags.has('L')
  const rows: { readonly values: readonly number[]; readonly path: ByteString | undefined }[] = []
  const total = none()
  let longestOfAll = 0
  const status = yield* invocation.eachInput(operands, function* (input, path) {
    const counts = none()
    let isInWord = false
    let column = 0
    let longestLine = 0
    for (;;) {
      const bytes = yield* invocation.read(input)
      if (bytes.length === 0) break
      counts.bytes += bytes.length
      for (const byte of bytes) {
        if (byte === 10) {
          counts.lines++
          longestLine = Math.max(longestLine, column)
          column = 0
        } else if (byte === 9) column += 8 - (column % 8)
        else if (byte >= 32 && byte !== 127) column++
        // Continuation bytes of UTF-8 begin with the bits 10.
        if ((byte & 0xc0) !== 0x80) counts.characters++
        const isSpace = byte === 32 || (byte >= 9 && byte <= 13)
        if (!isSpace && !isInWord) counts.words++
        isInWord = !isSpace
      }
      yield
    }
    longestLine = Math.max(longestLine, column)
    longestOfAll = Math.max(longestOfAll, longestLine)
    total.lines += counts.lines
    total.words += counts.words
    total.characters += counts.characters
    total.bytes += counts.bytes
    const values = row(counts, shown)
    if (longest) values.push(longestLine)
    rows.push({ values, path: operands.length === 0 ? undefined : path })
  })
  if (operands.length > 1) {
    const values = row(total, shown)
    if (longest) values.push(longestOfAll)
    rows.push({ values, path: 'total' })
  }
  const isSingle = operands.length <= 1 && shown.length + Number(longest) === 1
  // As wide as the total of bytes; a pipe, whose size nobody knows, gets seven columns.
  const isFiles = operands.length > 0 && !operands.includes('-')
  const width = isSingle ? 1 : isFiles ? String(total.bytes).length : 7
  for (const { values, path } of rows) {
    const columns = values.map((value) => String(value).padStart(width)).join(' ')
    invocation.put(`${columns}${path === undefined ? '' : ` ${path}`}\n`)
  }
  return status
}

const row = (counts: Counts, shown: readonly ('l' | 'w' | 'm' | 'c')[]): number[] =>
  shown.map((letter) => {
    if (letter === 'l') return counts.lines
    if (letter === 'w') return counts.words
    return letter === 'm' ? counts.characters : counts.bytes
  })

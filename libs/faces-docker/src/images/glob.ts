/**
 * Whether `text` is what `pattern` says: `*` is any run of characters and `?` any one, neither of them a
 * slash; all others stand for themselves. Takes at most the product of both lengths, whatever is asked.
 * Source: Go's `path.Match`, without its character classes.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  const patterns = pattern.split('/')
  const texts = text.split('/')
  return (
    patterns.length === texts.length &&
    patterns.every((one, index) => matchesSegment(one, texts[index] ?? ''))
  )
}

function matchesSegment(pattern: string, text: string): boolean {
  let at = 0
  let of = 0
  // Where to go on after the last star, if what follows it does not fit: it takes one more character.
  let afterStar = -1
  let starAt = 0
  while (at < text.length) {
    if (pattern[of] === '*') {
      afterStar = ++of
      starAt = at
    } else if (of < pattern.length && (pattern[of] === '?' || pattern[of] === text[at])) {
      of++
      at++
    } else if (afterStar >= 0) {
      of = afterStar
      at = ++starAt
    } else {
      return false
    }
  }
  while (pattern[of] === '*') of++
  return of === pattern.length
}

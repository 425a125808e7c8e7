/*
 * What patterns such as `/\/+$/` do, in one pass: they look at every run of slashes anew from each of its
 * characters, so that a megabyte of them in the middle of a text would take hours.
 */

/** `text` without any `characters` at its end. */
export function trimEndOf(text: string, characters: string): string {
  let end = text.length
  while (end > 0 && characters.includes(text.charAt(end - 1))) end--
  return text.slice(0, end)
}

/** `text` without any `characters` at its beginning and its end. */
export function trimOf(text: string, characters: string): string {
  let start = 0
  while (start < text.length && characters.includes(text.charAt(start))) start++
  return trimEndOf(text.slice(start), characters)
}

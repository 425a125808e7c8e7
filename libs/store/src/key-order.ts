/**
 * The order of the UTF-8 bytes of two keys, without making the bytes. JavaScript compares UTF-16
 * code units, which differs in one place: surrogates (0xd800 to 0xdfff) stand for code points above
 * 0xffff, yet sort below 0xe000 to 0xffff.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return byteRank(left) - byteRank(right)
  }
  return a.length - b.length
}

function byteRank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

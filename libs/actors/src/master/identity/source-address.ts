/**
 * Where a request comes from, as something to count by: an IPv4 address, or the network of an IPv6 one,
 * since whoever has one address of a network has all 2⁶⁴ of it. What is no address is one source, too.
 */
export function sourceOf(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase()
  const ipv4 = /^(?:::ffff:)?(\d{1,3}(?:\.\d{1,3}){3})$/.exec(plain)?.[1]
  if (ipv4 !== undefined) return ipv4
  const groups = groupsOf(plain)
  return groups === undefined ? 'unknown' : `${groups.slice(0, 4).join(':')}::/64`
}

/** The eight groups of an IPv6 address, without leading zeroes. */
function groupsOf(address: string): readonly string[] | undefined {
  const [before = '', after, ...more] = address.split('::')
  if (more.length > 0) return undefined
  const [head, tail] = [splitGroups(before), splitGroups(after ?? '')]
  const missing = 8 - head.length - tail.length
  if (after === undefined ? missing !== 0 : missing < 1) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail]
  if (!groups.every((group) => /^[\da-f]{1,4}$/.test(group))) return undefined
  return groups.map((group) => group.replace(/^0+(?=.)/, ''))
}

const splitGroups = (text: string): readonly string[] => (text === '' ? [] : text.split(':'))

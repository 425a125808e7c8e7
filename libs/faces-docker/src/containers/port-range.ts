import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'

const portMax = 65_535

/**
 * `80`, `80/udp` or `8000-8010/tcp` as a filter has it, each port as `80/tcp`. Source: moby, `portOp` of `daemon/list.go`.
 *
 * @throws Refusal
 */
export function portsIn(key: 'publish' | 'expose', value: string): readonly string[] {
  const shown = printable(value)
  if (value.includes(':')) {
    throw new Refusal(400, `filter for '${key}' should not contain ':': ${shown}`)
  }
  const [range = '', protocol] = value.split('/')
  const refuse = (why: string): Refusal =>
    new Refusal(400, `error while looking up for ${key} ${shown}: ${why}`)
  if (range === '') throw refuse('empty string specified for ports')
  const [first = '', last = first] = range.split('-')
  const start = portIn(first, refuse)
  const end = portIn(last, refuse)
  if (end < start) throw refuse(`invalid range specified for port: ${printable(range)}`)
  const count = end - start + 1
  return Array.from({ length: count }, (_none, at) => `${start + at}/${protocol || 'tcp'}`)
}

function portIn(text: string, refuse: (why: string) => Refusal): number {
  const shown = printable(text)
  if (!/^\d+$/.test(text)) throw refuse(`strconv.ParseUint: parsing "${shown}": invalid syntax`)
  if (Number(text) <= portMax) return Number(text)
  throw refuse(`strconv.ParseUint: parsing "${shown}": value out of range`)
}

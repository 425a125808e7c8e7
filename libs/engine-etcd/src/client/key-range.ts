import type { EtcdRange } from '../wire/messages.ts'

/** All keys that begin with `prefix`. */
export const prefixRange = (prefix: Uint8Array): EtcdRange => ({
  key: prefix,
  rangeEnd: prefixEnd(prefix),
})

/** The first key behind all that begin with `prefix`: its last byte that can grow, grown. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let length = prefix.length; length > 0; length--) {
    const last = prefix[length - 1] ?? 0xff
    if (last === 0xff) continue
    const end = prefix.slice(0, length)
    end[length - 1] = last + 1
    return end
  }
  // Nothing is behind them: etcd's word for "to the end".
  return Uint8Array.of(0)
}

/** Time as the code under it may see it: the wall clock live, a virtual one in the simulation. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. May jump; durations are counted in ticks instead. */
  nowMs(): number
}

/** Dice. Live they are the operating system's, in the simulation they come from the seed. */
export interface Random {
  /** `length` fresh bytes that the caller owns. */
  bytes(length: number): Uint8Array
  /** An integer in `[0, bound)`. */
  below(bound: number): number
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** A random (version 4) UUID in its usual text form. Source: RFC 9562 §5.4. */
export function uuid(random: Random): string {
  const text = hex(uuidBytes(random))
  return [
    text.slice(0, 8),
    text.slice(8, 12),
    text.slice(12, 16),
    text.slice(16, 20),
    text.slice(20),
  ].join('-')
}

/** The 16 bytes of a random (version 4) UUID. */
export function uuidBytes(random: Random): Uint8Array {
  const bytes = random.bytes(16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes
}

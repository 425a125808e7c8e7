const form = /^[0-9a-z]{25}$/

export const isId = (text: string): boolean => form.test(text)

/** So many random bytes make an id. */
export const idRandomBytes = 17

/**
 * An id of 25 characters of `[0-9a-z]`, as SwarmKit makes them: 129 random bits below a set one, in base 36,
 * without the first character. Source: docker-swarm.md A4.
 */
export function idOf(random: Uint8Array): string {
  let number = 0n
  for (const [index, byte] of random.entries()) {
    number = number * 256n + BigInt(index === 0 ? byte | 0x80 : byte)
  }
  return number.toString(36).slice(1, 26)
}

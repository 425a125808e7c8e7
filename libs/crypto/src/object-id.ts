import { hash } from 'node:crypto'

const sizeBytes = 17
const digits = 25

/**
 * A name for an object of a cluster that nobody has to think of: 25 characters of `[0-9a-z]`, about 129
 * bits, as SwarmKit writes ids (17 bytes, the top bit set, in base 36, without the first digit).
 * Source: reference docker-swarm.md A4.
 */
export function objectIdOf(bytes: Uint8Array): string {
  if (bytes.length !== sizeBytes) throw new RangeError(`an id is made of ${sizeBytes} bytes`)
  return idIn((at) => bytes[at] ?? 0)
}

/** What Docker's clients call an agent. */
export const agentNodeId = (clusterId: string, agentId: string): string =>
  derivedObjectId(clusterId, 'node', 'agent', agentId)

/** The id that follows from what `parts` say, the same for everybody who knows them. */
export function derivedObjectId(...parts: readonly string[]): string {
  // The lengths make `a`, `bc` another thing than `ab`, `c`.
  const text = parts.map((part) => `${part.length}:${part}`).join('')
  const digest = hash('sha256', text, 'binary')
  return idIn((at) => digest.charCodeAt(at))
}

/** The number that is divided, as digits of 32 bits, highest first. */
const limbs = new Float64Array(5)
const pairs = Array.from({ length: 36 ** 2 }, (_, number) => number.toString(36).padStart(2, '0'))

/**
 * By division of what a double holds exactly, four digits of base 36 at a time: one is made for each secret that
 * is written, and big integers would be most of what that leaves to the collector.
 */
function idIn(byteAt: (at: number) => number): string {
  limbs[0] = byteAt(0) | 0x80
  for (let limb = 1; limb < limbs.length; limb++) {
    const at = 4 * limb - 3
    limbs[limb] =
      ((byteAt(at) * 256 + byteAt(at + 1)) * 256 + byteAt(at + 2)) * 256 + byteAt(at + 3)
  }
  let text = ''
  for (let count = 0; count < 7; count++) {
    let rest = 0
    for (let limb = 0; limb < limbs.length; limb++) {
      const number = rest * 2 ** 32 + (limbs[limb] ?? 0)
      const quotient = Math.floor(number / 36 ** 4)
      limbs[limb] = quotient
      rest = number - quotient * 36 ** 4
    }
    const high = Math.floor(rest / 36 ** 2)
    text = `${pairs[high]}${pairs[rest - high * 36 ** 2]}${text}`
  }
  // Of 28 digits the first is a zero, and the second is SwarmKit's to drop.
  return text.slice(2, 2 + digits)
}

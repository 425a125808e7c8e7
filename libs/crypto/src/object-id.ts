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
  let number = 0n
  for (const [at, byte] of bytes.entries()) {
    number = (number << 8n) | BigInt(at === 0 ? byte | 0x80 : byte)
  }
  return number.toString(36).slice(1, 1 + digits)
}

/** What Docker's clients call an agent. */
export const agentNodeId = (clusterId: string, agentId: string): string =>
  derivedObjectId(clusterId, 'node', 'agent', agentId)

/** The id that follows from what `parts` say, the same for everybody who knows them. */
export function derivedObjectId(...parts: readonly string[]): string {
  // The lengths make `a`, `bc` another thing than `ab`, `c`.
  const text = parts.map((part) => `${part.length}:${part}`).join('')
  return objectIdOf(hash('sha256', text, 'buffer').subarray(0, sizeBytes))
}

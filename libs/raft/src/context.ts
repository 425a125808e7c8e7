/** Numbers that travel in the context of a message: 8 little-endian bytes each. */
export function packContext(...numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [at, number] of numbers.entries()) view.setBigUint64(at * 8, BigInt(number), true)
  return bytes
}

/** Undefined for whatever {@link packContext} does not write: contexts of others are no business of ours. */
export function unpackContext(context: Uint8Array, count: number): number[] | undefined {
  if (context.length !== count * 8) return undefined
  const view = new DataView(context.buffer, context.byteOffset, context.length)
  const numbers = Array.from({ length: count }, (_, at) => Number(view.getBigUint64(at * 8, true)))
  return numbers.every(Number.isSafeInteger) ? numbers : undefined
}

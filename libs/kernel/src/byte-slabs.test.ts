import { expect, test } from 'vitest'
import { ByteSlabs } from './byte-slabs.ts'

test('keeps a copy of each, whatever becomes of the original and of the others', () => {
  const slabs = new ByteSlabs()
  const sizes = [0, 1, 300, 8_192, 8_193, 70_000, 5, 64_000, 300]
  const originals = sizes.map((size, at) => new Uint8Array(size).fill(at + 1))

  const kept = originals.map((bytes) => slabs.keep(bytes))
  for (const bytes of originals) bytes.fill(0)

  expect(kept.map(({ length }) => length)).toEqual(sizes)
  for (const [at, bytes] of kept.entries()) {
    expect(bytes.every((byte) => byte === at + 1)).toBe(true)
  }
})

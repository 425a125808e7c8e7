import { expect, test } from 'vitest'
import { uuid, uuidBytes, type Random } from './ports.ts'

const all = (byte: number): Random => ({
  bytes: (length) => new Uint8Array(length).fill(byte),
  below: () => 0,
})

test('a UUID of version 4 carries its version and variant, whatever the dice say', () => {
  expect(uuid(all(0xff))).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff')
  expect(uuid(all(0x00))).toBe('00000000-0000-4000-8000-000000000000')
  expect(uuidBytes(all(0xff))).toHaveLength(16)
})

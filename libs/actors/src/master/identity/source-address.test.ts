import { expect, test } from 'vitest'
import { sourceOf } from './source-address.ts'

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.0.0.7', '10.0.0.7'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:0DB8:0:0:ffff:1:2:3', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['', 'unknown'],
  ['1::2::3', 'unknown'],
  ['1:2:3:4:5:6:7', 'unknown'],
  ['1:2:3:4:5:6:7:8:9', 'unknown'],
  ['no address', 'unknown'],
])('MA18: %j is counted as %s', (address, source) => {
  expect(sourceOf(address)).toBe(source)
})

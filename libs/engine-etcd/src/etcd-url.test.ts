import { expect, test } from 'vitest'
import { EtcdUrlInvalid } from './errors.ts'
import { parseEtcdUrl } from './etcd-url.ts'

test.each([
  ['etcd://a:1,b:2/x/y', ['a:1', 'b:2'], '/x/y'],
  ['etcd://a', ['a:2379'], '/conclave'],
  ['etcd://a/', ['a:2379'], '/conclave'],
  ['etcd://[::1]:2379/x/', ['[::1]:2379'], '/x'],
])('%s is %j below %s', (text, endpoints, prefix) => {
  expect(parseEtcdUrl(text)).toEqual({ endpoints, prefix })
})

test.each(['http://a', 'etcd://', 'etcd://a,,b', 'etcd://a:0', 'etcd://a:70000', 'etcd://a/x?y=1'])(
  '%s is refused',
  (text) => {
    expect(() => parseEtcdUrl(text)).toThrow(EtcdUrlInvalid)
  },
)

test('a password that somebody put into it is refused, and not repeated', () => {
  let words = ''
  try {
    parseEtcdUrl('etcd://root:hunter2@a:1/x')
  } catch (error) {
    words = error instanceof EtcdUrlInvalid ? error.message : ''
  }

  expect(words).toContain('users and passwords do not belong')
  expect(words).not.toContain('hunter2')
})

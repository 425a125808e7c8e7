import { describe, expect, test } from 'vitest'

import { parseRedisAddress, RedisAddressInvalid } from './redis-address.ts'

describe('PR9: the address of a Redis', () => {
  test.each([
    ['redis://localhost', { socket: { host: 'localhost', port: 6379, tls: false } }],
    ['redis://[::1]:7000/2', { socket: { host: '::1', port: 7000, tls: false }, database: 2 }],
    [
      'rediss://conclave:p%40ss@redis.example:6380',
      {
        socket: { host: 'redis.example', port: 6380, tls: true },
        username: 'conclave',
        password: 'p@ss',
      },
    ],
    ['unix:///run/redis/redis.sock', { socket: { path: '/run/redis/redis.sock' } }],
  ])('%s is understood', (text, expected) => {
    expect(parseRedisAddress(text)).toEqual(expected)
  })

  test.each(['', 'localhost:6379', 'http://localhost', 'redis://', 'redis://host/name', 'unix://'])(
    '%j is none, and the mend is said',
    (text) => {
      expect(() => parseRedisAddress(text)).toThrow(RedisAddressInvalid)
      expect(() => parseRedisAddress(text)).toThrow('redis://host:6379')
    },
  )

  test('is not repeated when it is wrong: it may hold a password', () => {
    expect(() => parseRedisAddress('http://user:hunter2@host')).toThrow(/^(?!.*hunter2)/)
  })
})

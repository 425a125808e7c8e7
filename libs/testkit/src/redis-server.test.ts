import { existsSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'

import { missingServer } from './missing-server.ts'
import { RedisServer } from './redis-server.ts'

const why = missingServer('redis-server')
const nobody = 'a-server-that-nobody-has'

describe.skipIf(why !== undefined)(`TK7: a real Redis ${why ?? ''}`, () => {
  let server: RedisServer
  afterEach(() => server.stop())

  test('is empty at first, and again after it was killed; its directory goes with it', async () => {
    server = await RedisServer.start()
    await server.ask('SET', 'name', 'value')
    expect(await server.ask('GET', 'name')).toBe('$5\r\nvalue\r\n')

    await server.kill()
    await expect(server.ask('PING')).rejects.toThrow()
    await server.restart()

    expect(await server.ask('GET', 'name')).toBe('$-1\r\n')
    const socket = new URL(server.unixUrl).pathname
    await server.stop()
    expect(existsSync(socket)).toBe(false)
  })

  test('tells whoever watches everything that is said to it', async () => {
    server = await RedisServer.start()
    const watch = await server.watch()

    await server.ask('PUBLISH', 'channel', 'words')

    while (!watch.said().includes('words')) await server.ask('PING')
    expect(watch.said().toString()).toContain('"PUBLISH" "channel" "words"')
    watch.end()
  })
})

describe('TK7: a server that is missing', () => {
  const required = process.env['CONCLAVE_REQUIRE_PEERS']
  afterEach(() => {
    if (required === undefined) delete process.env['CONCLAVE_REQUIRE_PEERS']
    else process.env['CONCLAVE_REQUIRE_PEERS'] = required
  })

  test('is said to be, and must not be where servers are required', () => {
    delete process.env['CONCLAVE_REQUIRE_PEERS']
    expect(missingServer(nobody)).toContain(nobody)

    process.env['CONCLAVE_REQUIRE_PEERS'] = '1'
    expect(() => missingServer(nobody)).toThrow(nobody)
  })
})

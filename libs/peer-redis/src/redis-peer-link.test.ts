import { connect } from 'node:net'

import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import type { Conversation, TlsIdentity } from '@conclave/runtime'
import { authorityOf, clusterId, identityOf } from '@conclave/runtime/testing'
import { canary, eventually, findCanary, missingServer, RedisServer } from '@conclave/testkit'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { certificateCredentials, sharedKeyCredentials } from './credentials.ts'
import { parseRedisAddress } from './redis-address.ts'
import { RedisPeerLink, type RedisPeerLinkOptions } from './redis-peer-link.ts'

const why = missingServer('redis-server')
const quick = { retryFirstMs: 2, retryMaxMs: 20, pingMs: 20, silenceMs: 60_000 }
const peers = new Map([1, 2].map((nodeId) => [nodeId, { id: `master-${nodeId}` }]))

interface Node {
  readonly nodeId: number
  readonly link: RedisPeerLink
  readonly received: string[]
  readonly said: string[]
}

const channel = (nodeId: number): string => `conclave:${clusterId}:raft:${nodeId}`
const presence = (nodeId: number): string => `conclave:${clusterId}:peer:${nodeId}`

async function insist(from: Node, to: Node, text: string): Promise<void> {
  await eventually(() => {
    from.link.send(to.nodeId, utf8(text))
    return to.received.includes(text)
  })
}

/** What somebody says to be answered, and who listens. */
const spoken = (): {
  readonly asked: string[]
  readonly opened: Conversation[]
  readonly more: Partial<RedisPeerLinkOptions>
} => {
  const asked: string[] = []
  const opened: Conversation[] = []
  const onAsk = async (from: string, question: Uint8Array): Promise<Uint8Array> => {
    asked.push(`${from}: ${utf8Text(question)}`)
    return utf8(`yes, ${from}`)
  }
  return { asked, opened, more: { onAsk, onOpen: (_from, _about, line) => opened.push(line) } }
}

async function all(line: Conversation): Promise<string[]> {
  const heard: string[] = []
  for await (const bytes of line.heard()) heard.push(utf8Text(bytes))
  return heard
}

describe.skipIf(why !== undefined)(`over a Redis that is no friend ${why ?? ''}`, () => {
  let identities: readonly TlsIdentity[]
  let server: RedisServer
  const links: { destroy(): void }[] = []

  beforeAll(async () => {
    const authority = await authorityOf()
    identities = await Promise.all([1, 2].map((id) => identityOf(authority, `master-${id}`)))
  })
  beforeEach(async () => {
    server = await RedisServer.start()
  })
  afterEach(async () => {
    for (const link of links.splice(0)) link.destroy()
    await server.stop()
  })

  async function start(nodeId: number, more: Partial<RedisPeerLinkOptions> = {}): Promise<Node> {
    const received: string[] = []
    const said: string[] = []
    const note = (fields: object, text: string): void => {
      said.push(`${text} ${JSON.stringify(fields)}`)
    }
    const link = new RedisPeerLink({
      clusterId,
      nodeId,
      credentials: certificateCredentials(clusterId, identities[nodeId - 1]!),
      redis: parseRedisAddress(server.unixUrl),
      peers,
      onMessage: (_from, bytes) => received.push(utf8Text(bytes)),
      onUnreachable: () => undefined,
      limits: quick,
      log: { debug: note, info: note, warn: note, error: note },
      ...more,
    })
    links.push(link)
    await link.start()
    return { nodeId, link, received, said }
  }

  async function startPair(): Promise<readonly [Node, Node]> {
    const pair = [await start(1), await start(2)] as const
    await eventually(() => pair[0].link.isUp(2) && pair[1].link.isUp(1))
    return pair
  }

  /** Every message that is published on a channel, to be said again. */
  async function record(nodeId: number): Promise<() => readonly Buffer[]> {
    const socket = connect(new URL(server.unixUrl).pathname)
    links.push(socket)
    let heard = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk])
    })
    socket.write(`SUBSCRIBE ${channel(nodeId)}\r\n`)
    await eventually(() => heard.includes('subscribe'))
    return () => messagesIn(heard)
  }

  test('PR5: who is there is found by the name of the cluster, and nothing it says is secret', async () => {
    await startPair()

    const json = (await server.ask('GET', presence(1))).split('\r\n')[1] ?? ''

    expect(JSON.parse(json)).toMatchObject({ version: 1, cluster: clusterId, node: 1 })
    expect(json).not.toContain('PRIVATE')
    expect(await server.ask('PTTL', presence(1))).toMatch(/^:[123]?\d{1,3}\r\n$/)
  })

  test('PR1: a Redis that forgets everything is told again, and messages go on meanwhile', async () => {
    const [first, second] = await startPair()

    await server.ask('FLUSHALL')
    first.link.send(2, utf8('right after'))

    await eventually(() => second.received.includes('right after'))
    let answer = ''
    while (!answer.startsWith('$') || answer.startsWith('$-1')) {
      answer = await server.ask('GET', presence(2))
    }
    expect(first.link.isUp(2)).toBe(true)
  })

  test('PR1: who is cut off by Redis comes back by itself', async () => {
    const [first, second] = await startPair()

    await server.ask('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await server.ask('CLIENT', 'KILL', 'TYPE', 'normal')

    await insist(first, second, 'there again')
    await insist(second, first, 'so am I')
    expect(first.link.isUp(2) && second.link.isUp(1)).toBe(true)
  })

  test('PR1: a Redis that is not there yet is waited for', async () => {
    await server.kill()
    const first = await start(1)
    const second = await start(2)
    first.link.send(2, utf8('early'))
    await eventually(() => first.said.some((line) => line.includes('cannot be reached')))

    await server.restart()

    await eventually(() => second.received.includes('early'))
    expect(first.link.isUp(2)).toBe(true)
  })

  const masterId = 'master-2'
  const at = undefined

  test('PR10: a peer is asked and answers, once, and who sees Redis reads neither', async () => {
    const { asked, opened, more } = spoken()
    const [first, second] = [await start(1), await start(2, more)]
    await eventually(() => first.link.isUp(2) && second.link.isUp(1))
    const watch = await server.watch()
    const recorded = await record(2)
    const [secret, control] = [canary('question'), canary('control')]

    const question = utf8(secret.text)
    const answer = await first.link.ask({ at, masterId, question, timeoutMs: 5000 })
    expect(utf8Text(answer)).toBe('yes, master-1')
    const line = first.link.open({ at, masterId, opening: utf8('about'), timeoutMs: 5000 })
    await eventually(() => opened.length === 1)
    opened[0]?.say(utf8(secret.text))
    opened[0]?.hangUp()
    expect(await all(line)).toEqual([secret.text])

    // The question, the opening, and the end of both.
    await eventually(() => recorded().length > 3)
    const again = recorded()
    for (const bytes of again) await server.ask('PUBLISH', channel(2), bytes)
    await server.ask('PUBLISH', 'somewhere', control.text)
    await eventually(() => findCanary(watch.said(), control).length > 0)
    expect(findCanary(watch.said(), secret)).toEqual([])
    expect(asked).toEqual([`master-1: ${secret.text}`])
    expect(opened).toHaveLength(1)
    watch.end()
  })

  test('PR10: nobody else is asked: no stranger, and nobody who is not there', async () => {
    const first = await start(1)
    const ask = (who: string): Promise<Uint8Array> =>
      first.link.ask({ at, masterId: who, question: utf8('a'), timeoutMs: 5000 })
    await expect(ask('master-2')).rejects.toThrow('master-2 is not there')
    await expect(ask('master-9')).rejects.toThrow('master-9 is no peer')
    const line = first.link.open({ at, masterId, opening: utf8('about'), timeoutMs: 5000 })
    expect(await all(line)).toEqual([])
  })

  test('PR11: a conversation is over at both ends when Redis is lost, and another one goes on', async () => {
    const { opened, more } = spoken()
    const [first, second] = [await start(1), await start(2, more)]
    await eventually(() => first.link.isUp(2) && second.link.isUp(1))
    const open = (): Conversation =>
      first.link.open({ at, masterId, opening: utf8('about'), timeoutMs: 5000 })
    const line = open()
    await eventually(() => opened.length === 1)
    const [here, there] = [all(line), all(opened[0]!)]
    await server.kill()
    expect(await Promise.all([here, there])).toEqual([[], []])

    await server.restart()
    await eventually(() => first.link.isUp(2) && second.link.isUp(1))
    const other = open()
    await eventually(() => opened.length === 2)
    opened[1]?.say(utf8('here again'))
    opened[1]?.hangUp()
    expect(await all(other)).toEqual(['here again'])
  })

  test('PR12: a guest is spoken with, and is no peer', async () => {
    const { asked, more } = spoken()
    const guests = new Map([[1, { id: 'master-1', isGuest: true }]])
    const [first, second] = [await start(1), await start(2, { ...more, peers: guests })]
    await eventually(() => first.link.isUp(2))
    await first.link.ask({ at, masterId, question: utf8('am I one?'), timeoutMs: 5000 })
    first.link.send(2, utf8('an old message'))
    second.link.send(1, utf8('a new one'))
    await first.link.ask({ at, masterId, question: utf8('and now?'), timeoutMs: 5000 })

    expect(asked).toHaveLength(2)
    expect([first.received, second.received, second.link.isUp(1)]).toEqual([[], [], false])
    second.link.setPeers(new Map([[1, { id: 'master-1' }]]))
    await insist(first, second, 'a peer again')
  })

  test('PR12: who becomes a guest is not sent what waited for it as a peer', async () => {
    const first = await start(1)
    first.link.send(2, utf8('an old message'))
    first.link.setPeers(new Map([[2, { id: 'master-2', isGuest: true }]]))
    first.link.setPeers(peers)

    const second = await start(2)
    await insist(first, second, 'a peer again')

    expect(second.received).not.toContain('an old message')
  })

  test('PR12: who becomes a guest is not sent the rest of a large message', async () => {
    const [first] = await startPair()
    const isDelivered = Promise.withResolvers<boolean>()
    first.link.send(2, Buffer.alloc(20 * 1024 * 1024), isDelivered.resolve)

    first.link.setPeers(new Map([[2, { id: 'master-2', isGuest: true }]]))

    expect(await isDelivered.promise).toBe(false)
    expect(first.link.queuedBytes(2)).toBeLessThan(2 * 1024 * 1024)
  })

  test('PR2: a peer that is forgotten and met again hears no nonce twice, and nothing of before', async () => {
    const heard = await record(2)
    const [first, second] = await startPair()
    first.link.send(2, utf8('once'))
    await eventually(() => second.received.includes('once') && heard().length > 3)
    const repeated = heard().slice()
    for (const { link } of [first, second]) {
      link.setPeers(new Map())
      link.setPeers(peers)
    }

    for (const bytes of repeated) await server.ask('PUBLISH', channel(2), bytes)
    await insist(first, second, 'met again')
    for (const bytes of repeated) await server.ask('PUBLISH', channel(2), bytes)
    await insist(first, second, 'and still')

    expect(second.received.filter((text) => text === 'once')).toHaveLength(1)
    const sealed = new Set(heard().map((bytes) => bytes.toString('hex')))
    const headers = [...sealed]
      .filter((hex) => hex.startsWith('02'))
      .map((hex) => hex.slice(18, 66))
    expect(headers.length).toBeGreaterThan(2)
    expect(new Set(headers).size).toBe(headers.length)
  })

  test('PR6: garbage of every kind is counted, and changes nothing', async () => {
    const [first, second] = await startPair()
    const before = first.link.refusals
    const garbage = [
      Buffer.alloc(0),
      Buffer.from('x'),
      Buffer.alloc(9),
      Buffer.alloc(300, 1),
      Buffer.alloc(300, 2),
      Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 2]), Buffer.from('{"version":1}')]),
      Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 2]), Buffer.alloc(200)]),
    ]

    for (const bytes of garbage) await server.ask('PUBLISH', channel(1), bytes)
    await server.ask('SET', presence(2), 'no announcement')
    await eventually(() => first.link.refusals >= before + garbage.length)

    await insist(second, first, 'still here')
    expect(first.received.filter((text) => text !== 'still here')).toEqual([])
  })

  test('PR6: what was said before is not heard again, not even in another life', async () => {
    const heard = await record(1)
    const [first, second] = await startPair()
    second.link.send(1, utf8('once'))
    await eventually(() => first.received.includes('once') && heard().length > 3)

    for (const bytes of heard()) await server.ask('PUBLISH', channel(1), bytes)
    await insist(second, first, 'twice')
    expect(first.received.filter((text) => text === 'once')).toHaveLength(1)

    first.link.destroy()
    const again = await start(1)
    await eventually(() => again.link.isUp(2) && second.link.isUp(1))
    for (const bytes of heard()) await server.ask('PUBLISH', channel(1), bytes)
    await eventually(() => {
      second.link.send(1, utf8('new'))
      return again.received.includes('new')
    })
    expect(again.received.filter((text) => text !== 'new')).toEqual([])
  })

  test('PR6: an announcement of an earlier life, said again, leads nobody astray', async () => {
    const heard = await record(1)
    const [first, second] = await startPair()
    const old = (await server.ask('GET', presence(2))).split('\r\n')[1] ?? ''
    second.link.destroy()
    const again = await start(2)
    await eventually(() => {
      again.link.send(1, utf8('in my second life'))
      return first.received.includes('in my second life')
    })

    for (const bytes of heard().filter((one) => one[0] === 1)) {
      await server.ask('PUBLISH', channel(1), bytes)
    }
    await server.ask('SET', presence(2), old)

    await eventually(() => {
      first.link.send(2, utf8('to whoever you are now'))
      return again.received.includes('to whoever you are now')
    })
    expect(first.link.isUp(2)).toBe(true)
  })

  test('PR7: who sees all that is said to Redis reads nothing of it, and finds no key', async () => {
    const watch = await server.watch()
    const [value, decoy] = [canary('value'), canary('control')]
    const [first, second] = await startPair()

    first.link.send(2, value.bytes)
    await eventually(() => second.received.includes(value.text))
    await server.ask('PUBLISH', channel(1), decoy.bytes)
    await eventually(() => findCanary(watch.said(), decoy).length > 0)

    expect(findCanary(watch.said(), value)).toEqual([])
    for (const { privateKey } of identities) {
      for (const line of utf8Text(privateKey.reveal()).split('\n').slice(1, 3)) {
        expect(watch.said().includes(line)).toBe(false)
      }
    }
    watch.end()
  })

  test('PR8: members that share a key instead hear each other, and nobody with another key', async () => {
    const key = new Redacted(new Uint8Array(32).fill(7))
    const first = await start(1, { credentials: sharedKeyCredentials(key) })
    const stranger = await start(2, {
      credentials: sharedKeyCredentials(new Redacted(new Uint8Array(32).fill(8))),
    })
    await eventually(() => first.said.some((line) => line.includes('does not have our key')))
    expect(first.link.isUp(2)).toBe(false)
    stranger.link.destroy()

    const second = await start(2, { credentials: sharedKeyCredentials(key) })

    await insist(first, second, 'hello')
  })

  test('PR5: a renewed certificate is announced, and nothing is interrupted', async () => {
    const [first, second] = await startPair()
    const before = await server.ask('GET', presence(1))

    first.link.setIdentity(identities[0]!)

    let after = before
    // ECDSA draws a number for each signature, so the announcement is another one.
    while (after === before) after = await server.ask('GET', presence(1))
    expect(first.link.isUp(2) && second.link.isUp(1)).toBe(true)
  })
})

/** `*3 $7 message $n channel $n bytes`, one after the other. */
function messagesIn(heard: Buffer): readonly Buffer[] {
  const messages: Buffer[] = []
  const mark = Buffer.from('$7\r\nmessage\r\n')
  for (let at = heard.indexOf(mark); at >= 0; at = heard.indexOf(mark, at)) {
    at += mark.length
    const channelEnd = heard.indexOf('\r\n', heard.indexOf('\r\n', at) + 2) + 2
    const sizeEnd = heard.indexOf('\r\n', channelEnd)
    if (sizeEnd < 0) break
    const size = Number(heard.subarray(channelEnd + 1, sizeEnd).toString())
    const bytes = heard.subarray(sizeEnd + 2, sizeEnd + 2 + size)
    if (bytes.length < size) break
    messages.push(bytes)
    at = sizeEnd + 2 + size
  }
  return messages
}

import { utf8, utf8Text } from '@conclave/kernel'
import { eventually } from '@conclave/testkit'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

import { createAuthority, type Authority } from './authority/authority.ts'
import type { TlsIdentity } from './authority/identity.ts'
import { LinkRefused } from './link-tls.ts'
import { lineBytesMax, openPeerLine, type LineEnd } from './peer-line.ts'
import { TcpPeerLink, type PeerLinkOptions } from './peer-link.ts'
import type { Conversation } from './peer-wire.ts'
import { clusterId, expiredIdentityOf, identityOf } from './testing/certificates.ts'

const host = '127.0.0.1'
let authority: Authority
let first: TlsIdentity
let second: TlsIdentity
const cleanUp: (() => void)[] = []

beforeAll(async () => {
  authority = await createAuthority({ clusterId })
  first = await identityOf(authority, 'master-1')
  second = await identityOf(authority, 'master-2')
})

afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo()
})

interface Opened {
  readonly masterId: string
  readonly opening: string
  readonly line: Conversation
}

/** A master that listens, and whoever opens a conversation with it. */
async function listening(
  options: Partial<PeerLinkOptions> = {},
): Promise<{ port: number; opened: Opened[]; link: TcpPeerLink }> {
  const opened: Opened[] = []
  const link = new TcpPeerLink({
    clusterId,
    nodeId: 1,
    identity: first,
    listen: { host, port: 0 },
    peers: new Map(),
    onMessage: () => undefined,
    onUnreachable: () => undefined,
    onOpen: (masterId, opening, line) => {
      opened.push({ masterId, opening: utf8Text(opening), line })
    },
    limits: { silenceMs: 1000, pingMs: 20 },
    ...options,
  })
  cleanUp.push(() => link.destroy())
  return { ...(await link.start()), opened, link }
}

function open(port: number, more: object = {}): LineEnd {
  const line = openPeerLine({
    clusterId,
    identity: second,
    at: { host, port },
    masterId: 'master-1',
    opening: utf8('about this'),
    pingMs: 20,
    silenceMs: 1000,
    ...more,
  })
  cleanUp.push(() => line.hangUp())
  return line
}

async function theOne(opened: readonly Opened[]): Promise<Opened> {
  await eventually(() => opened.length > 0)
  const [one] = opened
  if (one === undefined) throw new Error('nobody has opened anything')
  return one
}

async function all(line: Conversation): Promise<readonly string[]> {
  const heard: string[] = []
  for await (const message of line.heard()) heard.push(utf8Text(message))
  return heard
}

describe('RT20: a conversation of two masters', () => {
  test('goes both ways, under the name in the certificate, until one hangs up', async () => {
    const { port, opened } = await listening()
    const line = open(port)
    line.say(utf8('said before anybody was there'))
    const { masterId, opening, line: other } = await theOne(opened)
    expect([masterId, opening]).toEqual(['master-2', 'about this'])

    other.say(utf8('one'))
    other.say(utf8('two'))
    line.say(utf8('and more'))
    const heardThere = all(other)
    const heardHere: string[] = []
    for await (const message of line.heard()) {
      heardHere.push(utf8Text(message))
      if (heardHere.length === 2) break
    }
    line.hangUp()

    expect(heardHere).toEqual(['one', 'two'])
    expect(await heardThere).toEqual(['said before anybody was there', 'and more'])
    expect(other.isOver).toBe(true)
  })

  test('begins with what it is about, however late it is connected', async () => {
    const { port, opened } = await listening()
    const line = open(port)
    line.ping('ping')

    expect(await theOne(opened)).toMatchObject({ opening: 'about this' })
    expect(line.isOver).toBe(false)
  })

  test('is heard to its end when the other side hangs up', async () => {
    const { port, opened } = await listening()
    const line = open(port)
    const { line: other } = await theOne(opened)
    for (let at = 0; at < 100; at++) other.say(utf8(`${at}`))
    other.hangUp()

    expect(await all(line)).toEqual(Array.from({ length: 100 }, (_, at) => `${at}`))
  })

  test('outlives silence, and who hears nothing more is told that it is over', async () => {
    const { port, opened, link } = await listening()
    const line = open(port)
    const { line: other } = await theOne(opened)
    other.say(utf8('first'))
    const heard = all(line)
    // One that gives no sign of life: when that is over, so much silence has passed.
    const silent = open(port, { pingMs: 100_000 })
    await eventually(() => silent.isOver)
    other.say(utf8('still here'))
    expect([line.isOver, other.isOver]).toEqual([false, false])
    await eventually(() => opened.length === 2)
    link.destroy()

    expect((await heard).at(0)).toBe('first')
    expect(line.isOver).toBe(true)
  })

  test('holds back who says more than is read, and lives on meanwhile', async () => {
    const { port, opened } = await listening()
    const line = open(port)
    const { line: other } = await theOne(opened)
    const message = new Uint8Array(128 * 1024)
    const count = 400
    let said = 0
    const saying = (async () => {
      for (; said < count; said++) {
        other.say(message)
        await other.room()
      }
      other.hangUp()
    })()
    await eventually(() => line.isPaused)
    let before = -1
    await eventually(() => {
      const isStill = before === said
      before = said
      return isStill
    })
    expect(said).toBeLessThan(count)

    let heard = 0
    for await (const bytes of line.heard()) heard += bytes.length
    await saying
    expect(heard).toBe(count * message.length)
  })

  test('is heard to its end by who reads long after the other side has hung up', async () => {
    const { port, opened } = await listening()
    const line = open(port)
    const { line: other } = await theOne(opened)
    const message = new Uint8Array(128 * 1024)
    const count = 200
    for (let at = 0; at < count; at++) other.say(message)
    await eventually(() => line.isPaused)
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    try {
      other.hangUp()
      vi.advanceTimersByTime(60_000)
    } finally {
      vi.useRealTimers()
    }

    let heard = 0
    for await (const bytes of line.heard()) heard += bytes.length
    expect(heard).toBe(count * message.length)
  })

  test.each([
    ['somebody else than it is for', async () => ({ masterId: 'master-3' })],
    [
      'a certificate that has expired',
      async () => ({ identity: await expiredIdentityOf(authority, 'master-2') }),
    ],
    [
      'a certificate of another authority',
      async () => ({
        identity: await identityOf(await createAuthority({ clusterId }), 'master-2'),
      }),
    ],
    ['what is too long', async () => ({ opening: new Uint8Array(lineBytesMax + 1) })],
    ['nobody', async () => ({ at: { host, port: 1 } })],
  ])('is not opened with %s', async (_what, more) => {
    const { port, opened } = await listening()
    expect(await all(open(port, await more()))).toEqual([])
    expect(opened).toEqual([])
  })

  test('that nobody wants, or answers, comes to nothing', async () => {
    const deaf = await listening({
      onOpen: () => {
        throw new LinkRefused('not today')
      },
    })
    const slow = await listening()
    expect(await all(open(deaf.port))).toEqual([])
    expect(deaf.link.refusals).toBe(1)
    expect(await all(open(slow.port, { timeoutMs: 50 }))).toEqual([])
  })

  test('has no message that is longer than a frame', async () => {
    const { port } = await listening()
    const line = open(port)
    expect(() => line.say(new Uint8Array(lineBytesMax + 1))).toThrow(LinkRefused)
  })
})

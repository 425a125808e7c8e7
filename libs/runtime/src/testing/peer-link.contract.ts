import { utf8, utf8Text } from '@conclave/kernel'
import { canary, eventually, findCanary } from '@conclave/testkit'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'

import type { Authority } from '../authority/authority.ts'
import type { TlsIdentity } from '../authority/identity.ts'
import type { PeerAddress } from '../peer-dial.ts'
import type { PeerLink, PeerLinkTold } from '../peer-wire.ts'
import { authorityOf, clusterId, identityOf } from './certificates.ts'

/** What a link is made with, whatever its wire. */
export interface LinkParts extends PeerLinkTold {
  readonly clusterId: string
  readonly nodeId: number
  readonly identity: TlsIdentity
  readonly peers: ReadonlyMap<number, PeerAddress>
  /** In bytes, for a peer that is up. */
  readonly queueBytesMax: number
}

/** What lies between the links of one test: it can be listened to, held up, and broken. */
export interface Medium {
  /** A link that has started, and where others find it. */
  start(parts: LinkParts): Promise<{ readonly link: PeerLink; readonly address: PeerAddress }>
  /** All that passed so far, as somebody sees it who can see everything. */
  seen(): Promise<Buffer>
  /** Nothing passes from now on, and nobody is told. */
  hold(): void | Promise<void>
  /** It breaks, loses what it held, and is there again. */
  restart(): Promise<void>
  stop(): Promise<void>
}

interface Node {
  readonly nodeId: number
  readonly link: PeerLink
  readonly received: { readonly from: number; readonly text: string; readonly sizeBytes: number }[]
  readonly unreachable: number[]
  readonly lost: number[]
}

const mebibyte = 1024 * 1024

/**
 * What every wire between masters promises (rules RT6 and RT7).
 *
 * @param missing why it cannot be tried here, if so
 */
export function describePeerLink(
  name: string,
  makeMedium: () => Promise<Medium>,
  missing?: string,
): void {
  describe.skipIf(missing !== undefined)(`peers over ${name} ${missing ?? ''}`, () => {
    let authority: Authority
    let identities: readonly TlsIdentity[]
    let medium: Medium
    let nodes: Node[] = []
    let addresses = new Map<number, PeerAddress>()

    beforeAll(async () => {
      authority = await authorityOf()
      identities = await Promise.all([1, 2, 3].map((id) => identityOf(authority, `master-${id}`)))
    })

    afterEach(async () => {
      for (const { link } of nodes) link.destroy()
      nodes = []
      addresses = new Map()
      await medium.stop()
    })

    async function begin(): Promise<void> {
      medium = await makeMedium()
    }

    async function start(nodeId: number, more: Partial<LinkParts> = {}): Promise<Node> {
      const received: Node['received'] = []
      const unreachable: number[] = []
      const lost: number[] = []
      const identity = identities[nodeId - 1]
      if (identity === undefined) throw new Error(`no identity for ${nodeId}`)
      const { link, address } = await medium.start({
        clusterId,
        nodeId,
        identity,
        peers: new Map(addresses),
        queueBytesMax: 8 * mebibyte,
        onMessage: (from, bytes) =>
          received.push({ from, text: utf8Text(bytes.subarray(0, 64)), sizeBytes: bytes.length }),
        onUnreachable: (peer) => unreachable.push(peer),
        onLost: (peer) => lost.push(peer),
        ...more,
      })
      addresses.set(nodeId, address)
      const node = { nodeId, link, received, unreachable, lost }
      nodes.push(node)
      return node
    }

    function acquaint(): void {
      for (const { link } of nodes) link.setPeers(new Map(addresses))
    }

    async function startPair(more: Partial<LinkParts> = {}): Promise<readonly [Node, Node]> {
      await begin()
      const first = await start(1, more)
      const second = await start(2, more)
      acquaint()
      await eventually(() => first.link.isUp(2) && second.link.isUp(1))
      return [first, second]
    }

    /** Says the same again and again until it is heard: what a wire may lose, Raft repeats. */
    async function insist(from: Node, to: Node, text: string): Promise<void> {
      await eventually(() => {
        from.link.send(to.nodeId, utf8(text))
        from.link.flush()
        return to.received.some((one) => one.text === text && one.from === from.nodeId)
      })
    }

    test('RT6: messages arrive in both directions, each with its proven sender', async () => {
      const [first, second] = await startPair()

      first.link.send(2, utf8('append'))
      first.link.send(2, new Uint8Array())
      second.link.send(1, utf8('appended'))

      await eventually(() => second.received.length === 2 && first.received.length === 1)
      expect(second.received.map(({ from, text }) => [from, text])).toEqual([
        [1, 'append'],
        [1, ''],
      ])
      expect(first.received).toEqual([{ from: 2, text: 'appended', sizeBytes: 8 }])
    })

    test('RT6: a message to nobody we know is dropped, and its sender hears of it', async () => {
      const [first] = await startPair()
      const settled: boolean[] = []

      first.link.send(9, utf8('hello?'))
      first.link.send(9, utf8('hello?'), (isDelivered) => settled.push(isDelivered))

      await eventually(() => settled.length > 0)
      expect(settled).toEqual([false])
    })

    test('RT6: what was sent before the peer is there arrives once it is', async () => {
      await begin()
      const second = await start(2)
      second.link.destroy()
      nodes = []
      const first = await start(1)
      first.link.send(2, utf8('vote for me'))

      const again = await start(2)
      acquaint()

      await eventually(() => again.received.length > 0)
      expect(again.received[0]).toMatchObject({ from: 1, text: 'vote for me' })
    })

    test('RT6: a peer that was killed is reported, and found again in its next life', async () => {
      const [first, second] = await startPair()

      second.link.destroy()
      await eventually(() => first.unreachable.includes(2) && !first.link.isUp(2))
      expect(first.lost).toContain(2)
      const again = await start(2)
      first.link.setPeers(new Map(addresses))

      await eventually(() => first.link.isUp(2) && again.link.isUp(1))
      await insist(first, again, 'welcome back')
      await insist(again, first, 'here I am')
      expect(second.received).toEqual([])
    })

    test('RT6: close delivers what was sent before it', async () => {
      const [first, second] = await startPair()

      for (let count = 0; count < 1000; count++) first.link.send(2, utf8(`message ${count}`))
      await first.link.close()

      await eventually(() => second.received.length === 1000)
      expect(second.received.at(-1)?.text).toBe('message 999')
      await eventually(() => second.lost.includes(1))
    })

    test('RT6: nobody of another cluster is heard', async () => {
      const [first, second] = await startPair()
      const otherCluster = '5c6a1c1e-0000-4000-8000-00000000000f'
      const stranger = await start(3, {
        clusterId: otherCluster,
        identity: await identityOf(await authorityOf(otherCluster), 'master-3'),
      })
      acquaint()

      stranger.link.send(1, utf8('let me in'))
      await eventually(() => stranger.unreachable.includes(1) || !stranger.link.isUp(1))
      await insist(first, second, 'still here')

      expect(stranger.link.isUp(1)).toBe(false)
      expect(first.link.isUp(3)).toBe(false)
      expect(first.received).toEqual([])
    })

    test('RT6: nobody is heard with the certificate of another authority, an agent or another master', async () => {
      const [first, second] = await startPair()
      const wrong = [
        await identityOf(await authorityOf(), 'master-3'),
        await identityOf(authority, 'master-3', 'conclave-agent'),
        await identityOf(authority, 'master-2'),
      ]
      for (const identity of wrong) {
        const stranger = await start(3, { identity })
        acquaint()
        const before = first.link.refusals
        stranger.link.send(1, utf8('let me in'))
        await eventually(() => first.link.refusals > before)
        expect(stranger.received).toEqual([])
        expect(first.link.isUp(3)).toBe(false)
        stranger.link.destroy()
      }
      await insist(first, second, 'still here')
      expect(first.received).toEqual([])
    })

    test('RT6: a removed peer is hung up on and heard no more, until it is a peer again', async () => {
      const [first, second] = await startPair()

      first.link.setPeers(new Map())
      const before = first.link.refusals
      second.link.send(1, utf8('let me in'))
      await eventually(() => first.link.refusals > before)
      expect(first.link.isUp(2)).toBe(false)
      expect(first.received).toEqual([])

      first.link.setPeers(new Map(addresses))
      await eventually(() => first.link.isUp(2) && second.link.isUp(1))
      await insist(second, first, 'a peer again')
    })

    test('RT6: when the medium breaks, all find each other again and go on', async () => {
      const [first, second] = await startPair()

      await medium.restart()

      await insist(first, second, 'append')
      await insist(second, first, 'appended')
      expect(first.unreachable).toContain(2)
    })

    test('RT6: while nothing passes, a bounded queue is kept and the rest reported', async () => {
      const queueBytesMax = mebibyte
      const [first] = await startPair({ queueBytesMax })
      await medium.hold()

      const message = Buffer.alloc(64 * 1024)
      await eventually(() => {
        first.link.send(2, message)
        first.link.flush()
        return first.unreachable.includes(2)
      })

      expect(first.link.queuedBytes(2)).toBeLessThanOrEqual(queueBytesMax + 2 * message.length)
    })

    test('RT6: nothing of a message can be read on the wire', async () => {
      const [first, second] = await startPair()
      const small = canary('small')
      const large = canary('large')
      const filling = Buffer.alloc(mebibyte, `${large.text} `)
      const settled: boolean[] = []

      first.link.send(2, small.bytes)
      first.link.send(2, filling, (isDelivered) => settled.push(isDelivered))
      await eventually(() => settled.length > 0 && second.received.length === 2)

      const seen = await medium.seen()
      expect(seen.length).toBeGreaterThan(filling.length)
      expect(findCanary(seen, small)).toEqual([])
      expect(findCanary(seen, large)).toEqual([])
      for (const { privateKey } of identities) {
        const line = utf8Text(privateKey.reveal()).split('\n')[1] ?? ''
        expect(seen.includes(line)).toBe(false)
      }
    })

    test(
      'RT7: a large message arrives whole, and small ones overtake it',
      { timeout: 20_000 },
      async () => {
        const large = 24 * mebibyte
        const [first, second] = await startPair()
        const settled: boolean[] = []

        first.link.send(2, Buffer.alloc(large, 'snapshot '), (isDelivered) =>
          settled.push(isDelivered),
        )
        await eventually(() => first.link.queuedBytes(2) < large)
        first.link.send(2, utf8('heartbeat'))
        await eventually(() => settled.length > 0)

        expect(settled).toEqual([true])
        expect(second.received.map(({ text, sizeBytes }) => [text.slice(0, 9), sizeBytes])).toEqual(
          [
            ['heartbeat', 9],
            ['snapshot ', large],
          ],
        )
      },
    )

    test('RT7: large messages follow one another, of every size around a piece', async () => {
      const [first, second] = await startPair()
      const sizes = [0, 1, 65_535, 65_536, 65_537, 262_144, 262_145, 1_000_000]
      const settled: boolean[] = []

      for (const size of sizes) {
        first.link.send(2, Buffer.alloc(size, 'x'), (isDelivered) => settled.push(isDelivered))
      }

      await eventually(() => settled.length === sizes.length)
      expect(second.received.map(({ sizeBytes }) => sizeBytes)).toEqual(sizes)
      expect(settled.every(Boolean)).toBe(true)
    })

    test('RT7: a large message is reported lost when the peer dies on the way, or is away', async () => {
      const large = 24 * mebibyte
      const [first, second] = await startPair()
      const settled: string[] = []
      const note = (what: string) => (isDelivered: boolean) =>
        settled.push(`${what} ${isDelivered}`)

      first.link.send(2, Buffer.alloc(large), note('on the way'))
      await eventually(() => first.link.queuedBytes(2) < large)
      second.link.destroy()
      await eventually(() => settled.length === 1)
      first.link.send(2, utf8('small, but to be confirmed'), note('away'))

      await eventually(() => settled.length === 2)
      expect(settled).toEqual(['on the way false', 'away false'])
    })
  })
}

import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'

import { BytesMalformed, utf8, utf8Text } from '@conclave/kernel'
import { eventually } from '@conclave/testkit'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'

import { createAuthority, type Authority } from './authority/authority.ts'
import type { TlsIdentity } from './authority/identity.ts'
import { FrameReader } from './framing.ts'
import { LinkListenFailed, tlsOptions } from './link-tls.ts'
import type { Log } from './log.ts'
import type { PeerAddress } from './peer-dial.ts'
import { TcpPeerLink, type PeerLinkOptions } from './peer-link.ts'
import { decodePeerFrame, encodePeerFrame, type PeerFrame } from './peer-protocol.ts'
import { clusterId, expiredIdentityOf, identityOf } from './testing/certificates.ts'

const host = '127.0.0.1'
const quick = { retryFirstMs: 2, retryMaxMs: 20, pingMs: 20, silenceMs: 2000 }

let authority: Authority
let identities: readonly TlsIdentity[]
const cleanUp: (() => void)[] = []

beforeAll(async () => {
  authority = await createAuthority({ clusterId })
  identities = await Promise.all([1, 2, 3].map((id) => identityOf(authority, `master-${id}`)))
})

afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo()
})

interface Node {
  readonly link: TcpPeerLink
  readonly port: number
  readonly received: { from: number; text: string; sizeBytes: number }[]
  readonly unreachable: number[]
  readonly said: string[]
}

/** The addresses of all nodes are shared and filled in as the nodes begin to listen. */
type Peers = Map<number, PeerAddress>

async function startNode(
  nodeId: number,
  peers: Peers,
  options: Partial<PeerLinkOptions> = {},
): Promise<Node> {
  const received: Node['received'] = []
  const unreachable: number[] = []
  const said: string[] = []
  const note = (fields: object, message: string): void => {
    said.push(`${message} ${JSON.stringify(fields)}`)
  }
  const log: Log = { debug: note, info: note, warn: note, error: note }
  const link = new TcpPeerLink({
    clusterId,
    nodeId,
    identity: identities[nodeId - 1]!,
    listen: { host, port: peers.get(nodeId)?.port ?? 0 },
    peers,
    onMessage: (from, bytes) =>
      received.push({ from, text: utf8Text(bytes.subarray(0, 64)), sizeBytes: bytes.length }),
    onUnreachable: (peer) => unreachable.push(peer),
    limits: quick,
    log,
    ...options,
  })
  cleanUp.push(() => link.destroy())
  const { port } = await link.start()
  peers.set(nodeId, { id: `master-${nodeId}`, host, port })
  return { link, port, received, unreachable, said }
}

async function startPair(options: Partial<PeerLinkOptions> = {}): Promise<readonly [Node, Node]> {
  const peers: Peers = new Map()
  const first = await startNode(1, peers, options)
  const second = await startNode(2, peers, options)
  first.link.setPeers(new Map(peers))
  await eventually(() => first.link.isUp(2) && second.link.isUp(1))
  return [first, second]
}

/** Somebody who speaks TLS by hand. Resolves with what was said until the other side hung up. */
function call(
  port: number,
  options: ConnectionOptions,
  speak: (socket: TLSSocket) => void = () => undefined,
): Promise<PeerFrame[]> {
  const socket = connect({ host, port, checkServerIdentity: () => undefined, ...options })
  cleanUp.push(() => socket.destroy())
  const heard: PeerFrame[] = []
  const reader = new FrameReader(1024)
  socket.on('secureConnect', () => speak(socket))
  socket.on('data', (chunk: Buffer) => {
    for (const frame of reader.push(chunk)) heard.push(decodePeerFrame(frame))
  })
  socket.on('error', () => socket.destroy())
  return new Promise((resolve) => {
    socket.on('close', () => resolve(heard))
  })
}

function frameBytes(frame: PeerFrame): Buffer {
  const body = Buffer.concat(encodePeerFrame(frame))
  const header = Buffer.alloc(4)
  header.writeUInt32BE(body.length)
  return Buffer.concat([header, body])
}

const hello = (nodeId: number, cluster = clusterId, version = 1): PeerFrame => ({
  kind: 'hello',
  version,
  clusterId: cluster,
  nodeId,
})

/** Claims to be master-2. */
const greet = (socket: TLSSocket): void => void socket.write(frameBytes(hello(2)))

/** A wire between two nodes that a test can hold, so that nothing passes. */
async function startWire(port: number): Promise<{ port: number; hold(): void; cut(): void }> {
  const sockets = new Set<Socket>()
  let isHeld = false
  const server: Server = createServer((near) => {
    const far = new (near.constructor as new () => Socket)()
    far.connect(port, host)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('error', () => from.destroy())
      from.on('close', () => to.destroy())
      from.pipe(to)
      if (isHeld) from.unpipe(to).pause()
    }
  })
  cleanUp.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => {
    server.listen(0, host, resolve)
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    hold() {
      isHeld = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    cut() {
      isHeld = false
      for (const socket of sockets) socket.destroy()
      sockets.clear()
    },
  }
}

describe('two masters', () => {
  test('RT6: exchange messages in both directions, each with its proven sender', async () => {
    const [first, second] = await startPair()

    first.link.send(2, utf8('append'))
    first.link.send(2, new Uint8Array())
    second.link.send(1, utf8('appended'))

    await eventually(() => second.received.length === 2 && first.received.length === 1)
    expect(second.received.map(({ from, text }) => [from, text])).toEqual([
      [1, 'append'],
      [1, ''],
    ])
    expect(first.received[0]).toMatchObject({ from: 2, text: 'appended' })
  })

  test('RT6: a message to nobody we know is dropped', async () => {
    const [first] = await startPair()
    const settled: boolean[] = []

    first.link.send(9, utf8('hello?'))
    first.link.send(9, utf8('hello?'), (isDelivered) => settled.push(isDelivered))

    await eventually(() => settled.length > 0)
    expect(settled).toEqual([false])
  })

  test('RT6: are told of the end of a connection that stood, and of no failed attempt', async () => {
    const lost: number[] = []
    const [first, second] = await startPair({ onLost: (peer) => lost.push(peer) })

    second.link.destroy()

    // Both its own connection to us and ours to it.
    await eventually(() => lost.length === 2)
    await eventually(() => first.unreachable.length > 3)
    expect(lost).toEqual([2, 2])
  })

  test('RT6: what is sent before the peer is there arrives once it is', async () => {
    const peers: Peers = new Map()
    const second = await startNode(2, peers)
    second.link.destroy()
    const first = await startNode(1, peers)
    first.link.send(2, utf8('vote for me'))
    await eventually(() => first.unreachable.length > 0)

    const again = await startNode(2, peers)

    await eventually(() => again.received.length === 1)
    expect(again.received[0]).toMatchObject({ from: 1, text: 'vote for me' })
  })

  test('RT6: a peer that was killed is reported, and found again when it is back', async () => {
    const peers: Peers = new Map()
    const first = await startNode(1, peers)
    const second = await startNode(2, peers)
    first.link.setPeers(new Map(peers))
    await eventually(() => first.link.isUp(2))

    second.link.destroy()
    await eventually(() => first.unreachable.includes(2))
    const again = await startNode(2, peers)
    await eventually(() => first.link.isUp(2) && again.link.isUp(1))
    first.link.send(2, utf8('welcome back'))

    await eventually(() => again.received.length > 0)
    expect(again.received.at(-1)).toMatchObject({ from: 1, text: 'welcome back' })
  })

  test('RT6: a connection on which nothing is heard is given up', async () => {
    const peers: Peers = new Map()
    const second = await startNode(2, peers)
    const wire = await startWire(second.port)
    const throughWire: Peers = new Map([[2, { id: 'master-2', host, port: wire.port }]])
    const first = await startNode(1, throughWire, { limits: { ...quick, silenceMs: 100 } })
    second.link.setPeers(new Map([[1, { id: 'master-1', host, port: first.port }]]))
    await eventually(() => first.link.isUp(2))

    wire.hold()
    await eventually(() => first.unreachable.includes(2) && !first.link.isUp(2))
    wire.cut()

    await eventually(() => first.link.isUp(2))
    expect(first.said.join('\n')).toContain('silent')
  })

  test('RT6: close delivers what was sent before it', async () => {
    const [first, second] = await startPair()

    for (let count = 0; count < 1000; count++) first.link.send(2, utf8(`message ${count}`))
    await first.link.close()

    await eventually(() => second.received.length === 1000)
    expect(second.received.at(-1)?.text).toBe('message 999')
  })

  test('RT6: a port that is taken is named', async () => {
    const [first] = await startPair()
    const link = new TcpPeerLink({
      clusterId,
      nodeId: 3,
      identity: identities[2]!,
      listen: { host, port: first.port },
      peers: new Map(),
      onMessage: () => undefined,
      onUnreachable: () => undefined,
    })

    await expect(link.start()).rejects.toThrow(LinkListenFailed)
    await expect(link.start()).rejects.toThrow(`${first.port}`)
  })

  test('RT6: a removed peer is hung up on, and heard no more', async () => {
    const peers: Peers = new Map()
    const first = await startNode(1, peers)
    const second = await startNode(2, peers)
    first.link.setPeers(new Map(peers))
    await eventually(() => first.link.isUp(2) && second.link.isUp(1))

    first.link.setPeers(new Map())
    await eventually(() => second.unreachable.includes(1))
    second.link.send(1, utf8('let me in'))
    await eventually(() => first.link.refusals > 0)

    expect(first.received).toEqual([])
    expect(first.link.isUp(2)).toBe(false)
  })

  test('RT6: a message that its reader cannot decode ends the connection, not the process', async () => {
    let seen = 0
    const [first, second] = await startPair({
      onMessage: () => {
        seen++
        throw new BytesMalformed('no message of ours')
      },
    })

    first.link.send(2, utf8('garbage'))

    await eventually(() => seen > 0 && second.link.refusals > 0)
    await eventually(() => first.link.isUp(2))
    expect(second.said.join('\n')).toContain('no message of ours')
  })
})

describe('a large message', () => {
  const large = 24 * 1024 * 1024

  test('RT7: arrives whole, and small ones overtake it', { timeout: 20_000 }, async () => {
    const [first, second] = await startPair()
    const snapshot = Buffer.alloc(large, 'snapshot ')
    const settled: boolean[] = []

    first.link.send(2, snapshot, (isDelivered) => settled.push(isDelivered))
    // Only now do heartbeats come, and yet they are there before the snapshot.
    await eventually(() => first.link.queuedBytes(2) < large)
    first.link.send(2, utf8('heartbeat'))
    await eventually(() => settled.length > 0)

    expect(settled).toEqual([true])
    expect(second.received.map(({ text, sizeBytes }) => [text.slice(0, 9), sizeBytes])).toEqual([
      ['heartbeat', 9],
      ['snapshot ', large],
    ])
  })

  test('RT7: several follow one another, of every size around a piece', async () => {
    const [first, second] = await startPair()
    const sizes = [0, 1, 65_535, 65_536, 65_537, 262_144, 262_145, 1_000_000]

    for (const size of sizes) first.link.send(2, Buffer.alloc(size, 'x'), () => undefined)

    await eventually(() => second.received.length === sizes.length)
    expect(second.received.map(({ sizeBytes }) => sizeBytes)).toEqual(sizes)
  })

  test('RT7: is not starved by small ones that never end', async () => {
    const [first, second] = await startPair()
    const small = Buffer.alloc(100 * 1024, 's')
    const settled: boolean[] = []
    const feed = setInterval(() => {
      while (first.link.queuedBytes(2) < 40 * 1024 * 1024) first.link.send(2, small)
    }, 1)
    cleanUp.push(() => clearInterval(feed))

    first.link.send(2, Buffer.alloc(4 * 1024 * 1024, 'L'), (done) => settled.push(done))

    await eventually(() => settled.length > 0)
    clearInterval(feed)
    expect(settled).toEqual([true])
    expect(second.received.some(({ text }) => text.startsWith('L'))).toBe(true)
  })

  test('RT7: is reported lost when the peer dies on the way, is away, or does not take that much', async () => {
    const [first, second] = await startPair({ limits: { ...quick, messageBytesMax: large } })
    const settled: string[] = []
    const note = (name: string) => (isDelivered: boolean) => settled.push(`${name} ${isDelivered}`)

    first.link.send(2, Buffer.alloc(large + 1), note('too large'))
    first.link.send(2, Buffer.alloc(large), note('on the way'))
    await eventually(() => first.link.queuedBytes(2) < large)
    second.link.destroy()
    await eventually(() => settled.length === 2)
    first.link.send(2, utf8('small, but to be confirmed'), note('away'))

    await eventually(() => settled.length === 3)
    expect(settled).toEqual(['too large false', 'on the way false', 'away false'])
    expect(first.unreachable).toContain(2)
  })
})

describe('a peer that reads too slowly', () => {
  test('RT6: costs a bounded queue; the rest is dropped and reported', async () => {
    const peers: Peers = new Map()
    const second = await startNode(2, peers)
    const wire = await startWire(second.port)
    const limits = { ...quick, queueBytesMax: 8 * 1024 * 1024, silenceMs: 60_000 }
    const throughWire: Peers = new Map([[2, { id: 'master-2', host, port: wire.port }]])
    const first = await startNode(1, throughWire, { limits })
    second.link.setPeers(new Map([[1, { id: 'master-1', host, port: first.port }]]))
    await eventually(() => first.link.isUp(2))
    wire.hold()

    const message = Buffer.alloc(64 * 1024)
    for (let count = 0; count < 1600; count++) {
      first.link.send(2, message)
      if (count % 16 === 0) await sleep(0)
    }
    await eventually(() => first.unreachable.includes(2))

    expect(first.link.queuedBytes(2)).toBeLessThanOrEqual(limits.queueBytesMax + 64 * 1024)
    expect(first.link.isUp(2)).toBe(true)
  })

  test('RT6: while it is away only the newest messages are kept', async () => {
    const peers: Peers = new Map([[2, { id: 'master-2', host, port: 1 }]])
    const first = await startNode(1, peers, { limits: { ...quick, heldBytesMax: 10_000 } })

    for (let count = 0; count < 5000; count++) first.link.send(2, utf8(`message ${count}`))

    expect(first.link.queuedBytes(2)).toBeLessThanOrEqual(10_000)
  })
})

describe('the peer port', () => {
  test('RT5: turns away who has no certificate, or one of another authority', async () => {
    const [first] = await startPair()
    const { key, cert } = tlsOptions(
      await identityOf(await createAuthority({ clusterId }), 'master-2'),
    )
    const ca = authority.certificatePem
    expect(await call(first.port, { ca }, greet)).toEqual([])
    expect(await call(first.port, { ca, key, cert }, greet)).toEqual([])
    await eventually(() => first.link.refusals === 2)
  })

  test('RT5: turns away agents, expired masters and masters of another cluster', async () => {
    const [first] = await startPair()
    const sameKeyOtherCluster = { ...authority, clusterId: 'another-cluster' }
    const strangers = [
      await identityOf(authority, 'master-2', 'conclave-agent'),
      await identityOf(authority, 'master-2', 'conclave-scheduler'),
      await identityOf(authority, 'master-2', 'conclave-client'),
      await expiredIdentityOf(authority, 'master-2'),
      await identityOf(sameKeyOtherCluster, 'master-2'),
    ]
    for (const stranger of strangers) {
      expect(await call(first.port, tlsOptions(stranger), greet)).toEqual([])
    }
    await eventually(() => first.link.refusals === strangers.length)
  })

  test('RT5: turns away a master whose greeting is not that of its certificate', async () => {
    const [first] = await startPair()
    const asSecond = tlsOptions(identities[1]!)
    const greetings = [
      hello(1),
      hello(3),
      hello(0),
      hello(2, 'another-cluster'),
      hello(2, clusterId, 2),
      { kind: 'message', bytes: utf8('no greeting at all') } as const,
      { kind: 'ping' } as const,
    ]

    for (const greeting of greetings) {
      const speak = (socket: TLSSocket): void => void socket.write(frameBytes(greeting))
      expect(await call(first.port, asSecond, speak)).toEqual([])
    }
    expect(first.link.refusals).toBe(greetings.length)
    expect(first.received).toEqual([])
  })

  test.each(['TLSv1.1', 'TLSv1.2'] as const)('RT5: speaks no %s', async (version) => {
    const [first] = await startPair()
    const { minVersion: _, ...options } = tlsOptions(identities[1]!)

    const heard = await call(first.port, {
      ...options,
      minVersion: version,
      maxVersion: version,
      ciphers: 'ALL:@SECLEVEL=0',
    })

    await eventually(() => first.link.refusals === 1)
    expect(heard).toEqual([])
  })

  test('RT5: resumes no session, so that an expired certificate cannot live on', async () => {
    const [first] = await startPair()
    const sessions: Buffer[] = []
    const reused: boolean[] = []
    const visit = (session?: Buffer): Promise<PeerFrame[]> =>
      call(
        first.port,
        { ...tlsOptions(identities[1]!), ...(session === undefined ? {} : { session }) },
        (socket) => {
          reused.push(socket.isSessionReused())
          socket.on('session', (ticket: Buffer) => sessions.push(ticket))
          socket.write(frameBytes(hello(2)))
          socket.on('data', () => socket.end())
        },
      )

    await visit()
    await visit(sessions[0])

    expect(reused).toEqual([false, false])
  })

  test('RT5: a peer under another name, or another authority, is never spoken to', async () => {
    const peers: Peers = new Map()
    const impostor = await startNode(3, peers)
    const other = await createAuthority({ clusterId })
    const foreign = await startNode(2, new Map(), { identity: await identityOf(other, 'master-2') })
    const first = await startNode(
      1,
      new Map([
        [2, { id: 'master-2', host, port: impostor.port }],
        [3, { id: 'master-3', host, port: foreign.port }],
      ]),
    )
    first.link.send(2, utf8('for master-2 alone'))
    first.link.send(3, utf8('for master-3 alone'))

    await eventually(() => first.unreachable.includes(2) && first.unreachable.includes(3))
    expect([...impostor.received, ...foreign.received]).toEqual([])
    expect(first.said.join('\n')).toContain('of master-3, not of master-2')
  })

  test('RT5: garbage after the greeting ends that connection, and no other', async () => {
    const [first, second] = await startPair()
    const asSecond = tlsOptions(identities[1]!)
    const piece = { kind: 'piece', bytes: utf8('of nothing') } as const
    const begin = { kind: 'begin', stream: 1, sizeBytes: 4 } as const
    const rubbish: Buffer[] = [
      Buffer.alloc(100, 0xff),
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([0, 0, 0, 1, 99]),
      Buffer.from([0, 0, 0, 2, 4, 0xff]),
      frameBytes(piece),
      frameBytes({ kind: 'begin', stream: 1, sizeBytes: 2 ** 40 }),
      Buffer.concat([frameBytes(begin), frameBytes(begin)]),
      Buffer.concat([frameBytes(begin), frameBytes(piece)]),
      frameBytes(hello(2)),
      frameBytes({ kind: 'pong' }),
    ]

    for (const bytes of rubbish) {
      const heard = await call(first.port, asSecond, (socket) => {
        socket.write(Buffer.concat([frameBytes(hello(2)), bytes]))
      })
      expect(heard.map(({ kind }) => kind).filter((kind) => kind !== 'welcome')).toEqual([])
    }
    expect(first.link.refusals).toBe(rubbish.length)
    // Whoever greets as the second one ends its connection: what it says before it has noticed is lost.
    await eventually(() => {
      second.link.send(1, utf8('still here'))
      return first.received.length > 0
    })
  })

  test('RT5: a renewed certificate is used for the next connection', async () => {
    const peers: Peers = new Map()
    const first = await startNode(1, peers, {
      identity: await expiredIdentityOf(authority, 'master-1'),
    })
    const second = await startNode(2, peers)
    first.link.setPeers(new Map(peers))
    await eventually(() => first.unreachable.includes(2) && second.unreachable.includes(1))

    first.link.setIdentity(identities[0]!)

    await eventually(() => first.link.isUp(2) && second.link.isUp(1))
    expect(second.said.join('\n')).toContain('CERT_HAS_EXPIRED')
  })

  test('RT12: no key is in what was said', async () => {
    const peers: Peers = new Map()
    const first = await startNode(1, peers, {
      identity: await expiredIdentityOf(authority, 'master-1'),
    })
    await startNode(2, peers)
    first.link.setPeers(new Map(peers))
    await eventually(() => first.unreachable.length > 0)

    const keyLines = utf8Text(identities[0]!.privateKey.reveal()).split('\n').slice(1, 3)
    for (const line of keyLines) expect(first.said.join('\n')).not.toContain(line)
  })
})

import { utf8, utf8Text } from '@conclave/kernel'
import { eventually } from '@conclave/testkit'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'

import { createAuthority, type Authority } from './authority/authority.ts'
import type { TlsIdentity } from './authority/identity.ts'
import { LinkRefused } from './link-tls.ts'
import { askPeer } from './peer-ask.ts'
import { TcpPeerLink, type PeerLinkOptions } from './peer-link.ts'
import { clusterId, expiredIdentityOf, identityOf } from './testing/certificates.ts'

const host = '127.0.0.1'
let authority: Authority
let first: TlsIdentity
let stranger: TlsIdentity
const cleanUp: (() => void)[] = []

beforeAll(async () => {
  authority = await createAuthority({ clusterId })
  first = await identityOf(authority, 'master-1')
  stranger = await identityOf(authority, 'master-9')
})

afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo()
})

async function listening(options: Partial<PeerLinkOptions> = {}): Promise<number> {
  const link = new TcpPeerLink({
    clusterId,
    nodeId: 1,
    identity: first,
    listen: { host, port: 0 },
    peers: new Map(),
    onMessage: () => undefined,
    onUnreachable: () => undefined,
    onAsk: async (masterId, question) => utf8(`${masterId} asks ${utf8Text(question)}`),
    limits: { silenceMs: 200, pingMs: 20 },
    ...options,
  })
  cleanUp.push(() => link.destroy())
  return (await link.start()).port
}

const ask = (port: number, more: object = {}): Promise<string> =>
  askPeer({
    clusterId,
    identity: stranger,
    at: { host, port },
    masterId: 'master-1',
    question: utf8('who?'),
    ...more,
  }).then(utf8Text)

describe('a question to a master', () => {
  test('is answered to who is no peer, under the name in its certificate', async () => {
    const port = await listening()

    await expect(ask(port)).resolves.toBe('master-9 asks who?')
  })

  test('is not put to somebody else than it is for', async () => {
    const port = await listening()

    await expect(ask(port, { masterId: 'master-2' })).rejects.toThrow(LinkRefused)
  })

  test('is not answered to a certificate that has expired, or is of another authority', async () => {
    const port = await listening()
    const other = await createAuthority({ clusterId })

    for (const identity of [
      await expiredIdentityOf(authority, 'master-9'),
      await identityOf(other, 'master-9'),
    ]) {
      await expect(ask(port, { identity })).rejects.toThrow()
    }
  })

  test('that is long, or that nobody wants, ends the connection', async () => {
    const port = await listening()
    const deaf = await listening({
      onAsk: async () => {
        throw new LinkRefused('not today')
      },
    })

    await expect(ask(port, { question: new Uint8Array(65 * 1024) })).rejects.toThrow(LinkRefused)
    await expect(ask(deaf)).rejects.toThrow(LinkRefused)
  })

  test('that is never answered is given up', async () => {
    const port = await listening({ onAsk: () => new Promise(() => undefined) })

    await expect(ask(port, { timeoutMs: 50 })).rejects.toThrow(/in time/)
  })
})

test('a peer is found at the other of its places, and stays connected when they are told anew', async () => {
  const received: string[] = []
  const at = await listening({
    peers: new Map([[9, { id: 'master-9', host, port: 1 }]]),
    onMessage: (_from, bytes) => received.push(utf8Text(bytes)),
  })
  const place = { id: 'master-1', host, port: 1, others: [{ host, port: at }] }
  const link = new TcpPeerLink({
    clusterId,
    nodeId: 9,
    identity: stranger,
    listen: { host, port: 0 },
    peers: new Map([[1, place]]),
    onMessage: () => undefined,
    onUnreachable: () => undefined,
    limits: { retryFirstMs: 2, retryMaxMs: 10 },
  })
  cleanUp.push(() => link.destroy())
  await link.start()
  await eventually(() => link.isUp(1))

  link.setPeers(new Map([[1, { id: 'master-1', host, port: at }]]))
  expect(link.isUp(1)).toBe(true)
  link.send(1, utf8('still here'))

  await eventually(() => received.length > 0)
  expect(received).toEqual(['still here'])
})

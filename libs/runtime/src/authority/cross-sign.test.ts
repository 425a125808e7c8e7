import 'reflect-metadata'

import { describe, expect, test } from 'vitest'

import { dial, LinkListener } from '../link-tls.ts'
import { authorityOf, clusterId, identityOf } from '../testing/certificates.ts'
import { createAuthority, crossSign, issueCertificate, type Authority } from './authority.ts'
import { certificatesIn, rootOf } from './chain.ts'
import type { TlsIdentity } from './identity.ts'

/** Whether somebody with `caller` can call somebody with `answerer`. */
async function canMeet(caller: TlsIdentity, answerer: TlsIdentity): Promise<boolean> {
  const expected = { role: 'conclave-master', clusterId } as const
  const met = Promise.withResolvers<boolean>()
  const listener = new LinkListener({
    identity: answerer,
    expected,
    onSocket: () => met.resolve(true),
    onRefused: () => met.resolve(false),
  })
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 })
  const socket = dial({ host: '127.0.0.1', port }, caller, expected)
  socket.on('error', () => met.resolve(false))
  try {
    return await met.promise
  } finally {
    socket.destroy()
    listener.destroy()
  }
}

interface Roots {
  readonly old: Authority
  readonly next: Authority
  readonly crossPem: string
}

async function roots(): Promise<Roots> {
  const old = await authorityOf()
  const next = await createAuthority({ clusterId })
  return { old, next, crossPem: await crossSign(old, next.certificatePem) }
}

async function renewed({ old, next, crossPem }: Roots, id: string): Promise<TlsIdentity> {
  const own = await issueCertificate(next, { id, role: 'conclave-master' })
  return {
    ...own,
    certificatePem: own.certificatePem + crossPem,
    authorityPem: next.certificatePem + old.certificatePem,
  }
}

describe('while one root replaces the other', () => {
  test('RT3: who has renewed and who has not call each other, both ways', async () => {
    const both = await roots()
    const behind = await identityOf(both.old, 'master-1')
    const ahead = await renewed(both, 'master-2')

    expect(await canMeet(ahead, behind)).toBe(true)
    expect(await canMeet(behind, ahead)).toBe(true)
    expect(await canMeet(ahead, await renewed(both, 'master-3'))).toBe(true)
  })

  test('RT3: once only the new one counts, a certificate of the old one is refused', async () => {
    const both = await roots()
    const behind = await identityOf(both.old, 'master-1')
    const ahead = await renewed(both, 'master-2')
    const done = { ...ahead, authorityPem: both.next.certificatePem }

    expect(await canMeet(behind, done)).toBe(false)
    expect(await canMeet(done, behind)).toBe(false)
    expect(await canMeet(ahead, done)).toBe(true)
  })

  test('RT3: a root that the old one has not certified is nobody', async () => {
    const both = await roots()
    const behind = await identityOf(both.old, 'master-1')
    const stranger = await identityOf(await createAuthority({ clusterId }), 'master-2')
    const borrowed = { ...stranger, certificatePem: stranger.certificatePem + both.crossPem }

    expect(await canMeet(stranger, behind)).toBe(false)
    expect(await canMeet(borrowed, behind)).toBe(false)
  })

  test('RT3: the root of a chain is the one that issued it', async () => {
    const both = await roots()
    const { certificatePem, authorityPem } = await renewed(both, 'master-1')

    expect(rootOf(certificatePem, authorityPem)).toBe(both.next.certificatePem)
    expect(rootOf(certificatePem, both.old.certificatePem)).toBeUndefined()
    expect(certificatesIn(authorityPem)).toEqual([
      both.next.certificatePem,
      both.old.certificatePem,
    ])
  })
})

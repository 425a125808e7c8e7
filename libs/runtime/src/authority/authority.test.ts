import 'reflect-metadata'
import { createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { utf8Text } from '@conclave/kernel'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509'
import { describe, expect, test } from 'vitest'

import { clusterId, authorityOf, identityOf } from '../testing/certificates.ts'
import {
  CertificateRefused,
  createAuthority,
  createCertificateRequest,
  issueCertificate,
  signRequest,
} from './authority.ts'
import { renewalDueMs, validityOf } from './certificate.ts'
import { loadTlsIdentity, TlsIdentityUnusable, writeTlsIdentity } from './identity.ts'
import { scratchDirectory } from '../testing/scratch.ts'

const dayMs = 86_400_000
describe('the authority of a cluster', () => {
  test('RT3: issues certificates that say id, role and cluster, for its own hosts', async () => {
    const authority = await authorityOf()
    const { certificatePem, privateKey } = await issueCertificate(authority, {
      id: 'master-1',
      role: 'conclave-master',
      hosts: ['m1.example.org', '10.0.0.1', 'localhost'],
    })

    const certificate = new X509Certificate(certificatePem)
    expect(certificate.subject).toBe(`CN=master-1\nOU=conclave-master\nO=${clusterId}`)
    expect(certificate.subjectAltName).toBe(
      'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:m1.example.org, IP Address:10.0.0.1',
    )
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    expect(certificate.ca).toBe(false)
    expect(certificate.verify(new X509Certificate(authority.certificatePem).publicKey)).toBe(true)
    expect(certificate.checkPrivateKey(createPrivateKey(Buffer.from(privateKey.reveal())))).toBe(
      true,
    )
  })

  test('RT3: a certificate counts for 90 days, from an hour ago', async () => {
    const clock = new ManualClock(1_800_000_000_000)
    const authority = await createAuthority({ clusterId, clock })
    const wanted = { id: 'agent-1', role: 'conclave-agent' } as const
    const { certificatePem } = await issueCertificate(authority, wanted, { clock })

    expect(validityOf(certificatePem)).toEqual({
      fromMs: clock.nowMs() - 3_600_000,
      untilMs: clock.nowMs() + 90 * dayMs,
    })
    expect(validityOf(authority.certificatePem).untilMs).toBe(clock.nowMs() + 20 * 365 * dayMs)
  })

  test('RT3: no certificate outlives its authority', async () => {
    const authority = await createAuthority({ clusterId, validityMs: dayMs })
    const { certificatePem } = await identityOf(authority, 'master-1')

    expect(validityOf(certificatePem).untilMs).toBe(validityOf(authority.certificatePem).untilMs)
  })

  test('RT3: renewal is due between half and four fifths of the lifetime', async () => {
    const { certificatePem } = await identityOf(await authorityOf(), 'master-1')
    const { fromMs, untilMs } = validityOf(certificatePem)

    for (let seed = 0; seed < 20; seed++) {
      const share =
        (renewalDueMs(certificatePem, new SeededRandom(seed)) - fromMs) / (untilMs - fromMs)
      expect(share).toBeGreaterThanOrEqual(0.5)
      expect(share).toBeLessThanOrEqual(0.8)
    }
  })

  test('RT3: signs the key of a request, and believes nothing else in it', async () => {
    const authority = await authorityOf()
    const { requestPem, privateKey } = await createCertificateRequest('i-want-to-be-a-master')

    const pem = await signRequest(authority, requestPem, { id: 'agent-7', role: 'conclave-agent' })

    const certificate = new X509Certificate(pem)
    expect(certificate.subject).toBe(`CN=agent-7\nOU=conclave-agent\nO=${clusterId}`)
    expect(certificate.checkPrivateKey(createPrivateKey(Buffer.from(privateKey.reveal())))).toBe(
      true,
    )
  })

  test('RT3: refuses what is no request for a P-256 key, signed by that key', async () => {
    const authority = await authorityOf()
    const wanted = { id: 'agent-7', role: 'conclave-agent' } as const
    const { requestPem } = await createCertificateRequest('agent-7')
    const rsa = await webcrypto.subtle.generateKey(
      {
        name: 'RSASSA-PKCS1-v1_5',
        hash: 'SHA-256',
        modulusLength: 2048,
        publicExponent: Uint8Array.of(1, 0, 1),
      },
      true,
      ['sign', 'verify'],
    )
    const foreign = await Pkcs10CertificateRequestGenerator.create({
      name: 'CN=agent-7',
      keys: rsa,
      signingAlgorithm: { name: 'RSASSA-PKCS1-v1_5' },
    })
    const lines = requestPem.split('\n')
    const last = lines.length - 3
    lines[last] = lines[last]!.replace(
      /^(.{8})(.)/,
      (_, head: string, char: string) => `${head}${char === 'A' ? 'B' : 'A'}`,
    )

    for (const pem of ['', 'garbage', lines.join('\n'), foreign.toString('pem')]) {
      await expect(signRequest(authority, pem, wanted)).rejects.toThrow(CertificateRefused)
    }
  })

  test.each(['', 'a b', 'x\nOU=conclave-master', 'a,OU=conclave-master', 'ü', 'a'.repeat(65)])(
    'RT3: gives nobody the id %j',
    async (id) => {
      const authority = await authorityOf()
      const wanted = { id, role: 'conclave-agent' } as const

      await expect(issueCertificate(authority, wanted)).rejects.toThrow(CertificateRefused)
    },
  )
})

describe('an identity on disk', () => {
  test('RT4: comes back as it was written, its key readable by its owner alone', async () => {
    const at = join(await scratchDirectory(), 'tls')
    const identity = await identityOf(await authorityOf(), 'master-1')

    await writeTlsIdentity(at, identity)
    await writeTlsIdentity(at, identity)
    const loaded = await loadTlsIdentity(at)

    expect(loaded.certificatePem).toBe(identity.certificatePem)
    expect(loaded.authorityPem).toBe(identity.authorityPem)
    expect(utf8Text(loaded.privateKey.reveal())).toBe(utf8Text(identity.privateKey.reveal()))
    expect((await readdir(at)).sort()).toEqual(['ca.pem', 'identity.pem'])
    expect((await stat(join(at, 'identity.pem'))).mode & 0o777).toBe(0o600)
    expect((await stat(at)).mode & 0o777).toBe(0o700)
  })

  test('RT4: is refused when others may read its key, and says what to do', async () => {
    const at = await scratchDirectory()
    await writeTlsIdentity(at, await identityOf(await authorityOf(), 'master-1'))
    await chmod(join(at, 'identity.pem'), 0o640)

    await expect(loadTlsIdentity(at)).rejects.toThrow(/chmod 600/)
  })

  test('RT4: is refused when its files do not belong together, without telling what is in them', async () => {
    const at = await scratchDirectory()
    const identity = await identityOf(await authorityOf(), 'master-1')
    const other = await identityOf(await authorityOf(), 'master-1')
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const otherKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const certificateAlone = identity.certificatePem
    const spoilt = [
      () => writeFile(join(at, 'ca.pem'), other.authorityPem),
      () => writeFile(join(at, 'identity.pem'), certificateAlone),
      () => writeFile(join(at, 'identity.pem'), `${certificateAlone}${otherKey}`),
      () => writeFile(join(at, 'identity.pem'), otherKey),
      () => writeFile(join(at, 'identity.pem'), ''),
    ]

    for (const spoil of spoilt) {
      await writeTlsIdentity(at, identity)
      await spoil()
      const failure: unknown = await loadTlsIdentity(at).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(TlsIdentityUnusable)
      const told = `${String(failure)} ${String((failure as Error).cause)}`
      expect(told).not.toContain(otherKey.split('\n')[1])
    }
    await expect(loadTlsIdentity(join(at, 'nowhere'))).rejects.toThrow(TlsIdentityUnusable)
    expect(await readFile(join(at, 'ca.pem'), 'utf8')).toContain('BEGIN CERTIFICATE')
  })
})

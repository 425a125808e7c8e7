import 'reflect-metadata'
import { createPrivateKey, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'

import { Redacted, utf8, wipe, type Random, type RedactedBytes } from '@conclave/kernel'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  type Extension,
  type JsonName,
} from '@peculiar/x509'

import { SystemClock } from '../clock.ts'
import { SystemRandom } from '../random.ts'
import {
  CertificateRefused,
  type Authority,
  type AuthorityPorts,
  type CertificateFor,
} from './authority.ts'
import type { TlsIdentity } from './identity.ts'
import type { Subject } from './subject.ts'

/*
 * What writes certificates: `authority.ts` says what each does, and loads this for whoever has one to write.
 */

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const

export async function createAuthority(
  options: { readonly clusterId: string; readonly validityMs?: number } & AuthorityPorts,
): Promise<Authority> {
  const { clusterId, clock = new SystemClock(), random = new SystemRandom() } = options
  checkName('cluster id', clusterId)
  const nowMs = clock.nowMs()
  const keys = await createKeys()
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(random),
    name: [{ CN: ['conclave-ca'] }, { O: [clusterId] }],
    notBefore: new Date(nowMs - hourMs),
    notAfter: new Date(nowMs + (options.validityMs ?? 20 * 365 * dayMs)),
    keys,
    signingAlgorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const privateKey = await pemOf(keys.privateKey)
  return { clusterId, certificatePem: certificatePem(certificate), privateKey }
}

export async function issueCertificate(
  authority: Authority,
  wanted: CertificateFor,
  ports: AuthorityPorts = {},
): Promise<TlsIdentity> {
  const keys = await createKeys()
  const certificate = await sign(authority, wanted, keys.publicKey, ports)
  return {
    authorityPem: authority.certificatePem,
    certificatePem: certificate,
    privateKey: await pemOf(keys.privateKey),
  }
}

export async function signRequest(
  authority: Authority,
  requestPem: string,
  wanted: CertificateFor,
  ports: AuthorityPorts = {},
): Promise<string> {
  const publicKey = await publicKeyOf(requestPem)
  return sign(authority, wanted, publicKey, ports)
}

export async function createCertificateRequest(
  id: string,
): Promise<{ readonly requestPem: string; readonly privateKey: RedactedBytes }> {
  checkName('id', id)
  const keys = await createKeys()
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [id] }],
    keys,
    signingAlgorithm,
  })
  return { requestPem: `${request.toString('pem')}\n`, privateKey: await pemOf(keys.privateKey) }
}

export async function crossSign(
  authority: Authority,
  nextPem: string,
  { random = new SystemRandom() }: Pick<AuthorityPorts, 'random'> = {},
): Promise<string> {
  const issuer = new X509Certificate(authority.certificatePem)
  const next = new X509Certificate(nextPem)
  const publicKey = await next.publicKey.export(algorithm, ['verify'])
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(random),
    subject: next.subjectName,
    issuer: issuer.subjectName,
    notBefore: next.notBefore,
    notAfter: new Date(Math.min(next.notAfter.getTime(), issuer.notAfter.getTime())),
    publicKey,
    signingKey: await signingKeyOf(authority),
    signingAlgorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer),
    ],
  })
  return certificatePem(certificate)
}

async function sign(
  authority: Authority,
  wanted: CertificateFor,
  publicKey: webcrypto.CryptoKey,
  { clock = new SystemClock(), random = new SystemRandom() }: AuthorityPorts,
): Promise<string> {
  const { id, role, hosts = [], validityMs = 90 * dayMs } = wanted
  checkName('id', id)
  checkHosts(hosts)
  if (!(validityMs >= hourMs)) throw new CertificateRefused('a validity of at least an hour')
  const nowMs = clock.nowMs()
  const issuer = new X509Certificate(authority.certificatePem)
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(random),
    subject: nameOf({ id, role, clusterId: authority.clusterId }),
    issuer: issuer.subjectName,
    // Backdated, because the clocks of a cluster are never quite the same.
    notBefore: new Date(nowMs - hourMs),
    notAfter: new Date(Math.min(nowMs + validityMs, issuer.notAfter.getTime())),
    publicKey,
    signingKey: await signingKeyOf(authority),
    signingAlgorithm,
    extensions: await extensionsFor(hosts, publicKey, issuer),
  })
  return certificatePem(certificate)
}

async function extensionsFor(
  hosts: readonly string[],
  publicKey: webcrypto.CryptoKey,
  issuer: X509Certificate,
): Promise<Extension[]> {
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...hosts])]
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    new SubjectAlternativeNameExtension(
      names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
    ),
    await SubjectKeyIdentifierExtension.create(publicKey),
    await AuthorityKeyIdentifierExtension.create(issuer),
  ]
}

/** As attributes rather than as text, so that no id can smuggle in a second OU. */
const nameOf = ({ id, role, clusterId }: Subject): JsonName => [
  { CN: [id] },
  { OU: [role] },
  { O: [clusterId] },
]

async function publicKeyOf(requestPem: string): Promise<webcrypto.CryptoKey> {
  try {
    const request = new Pkcs10CertificateRequest(requestPem)
    const isSelfSigned = await request.verify()
    if (isSelfSigned) return await request.publicKey.export(algorithm, ['verify'])
  } catch (cause) {
    throw new CertificateRefused('the request is no PKCS #10 request for an EC P-256 key', {
      cause,
    })
  }
  throw new CertificateRefused('the request is not signed by the key it asks for')
}

async function signingKeyOf(authority: Authority): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(Buffer.from(authority.privateKey.reveal())).export({
    type: 'pkcs8',
    format: 'der',
  })
  try {
    return await webcrypto.subtle.importKey('pkcs8', new Uint8Array(der), algorithm, false, [
      'sign',
    ])
  } finally {
    wipe(der)
  }
}

const createKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])

async function pemOf(key: webcrypto.CryptoKey): Promise<RedactedBytes> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  wipe(der)
  return new Redacted(
    utf8(`-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`),
  )
}

const certificatePem = (certificate: X509Certificate): string => `${certificate.toString('pem')}\n`

/** 16 bytes, positive and never shorter. Source: RFC 5280 §4.1.2.2. */
function serialNumber(random: Random): string {
  const bytes = random.bytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

/** They come from outside: names and addresses, and not very many. */
function checkHosts(hosts: readonly string[]): void {
  const areFine = hosts.length <= 16 && hosts.every((host) => /^[\w.:-]{1,253}$/.test(host))
  if (!areFine) throw new CertificateRefused('hosts: at most 16 names or addresses')
}

/** X.520 allows 64 characters; we allow those that no log, file name or URL has to escape. */
function checkName(field: string, name: string): void {
  if (!/^[\w.-]{1,64}$/.test(name)) {
    throw new CertificateRefused(`the ${field} has 1 to 64 letters, digits, dots, _ or -`)
  }
}

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { ConclaveError, Redacted, utf8, utf8Text, wipe, type RedactedBytes } from '@conclave/kernel'

import { rootOf } from './chain.ts'
import { writeWhole } from '../whole-file.ts'

/** What one process needs for mutual TLS within its cluster. `privateKey` is PKCS #8 as PEM bytes. */
export interface TlsIdentity {
  /** The roots that count: two while one replaces the other. */
  readonly authorityPem: string
  /** The certificate, and behind it whatever leads to a root that others may know. */
  readonly certificatePem: string
  readonly privateKey: RedactedBytes
}

/** The files of an identity are missing, readable by others, or do not belong together. */
export class TlsIdentityUnusable extends ConclaveError {
  readonly code = 'tls.identity-unusable'

  constructor(directory: string, why: string, cause?: unknown) {
    super(`the TLS identity in ${directory} cannot be used: ${why}`, { cause })
  }
}

const authorityFile = 'ca.pem'
/** Certificate and key in one file, because a rename then replaces both or neither. */
const identityFile = 'identity.pem'
const keyStart = utf8('-----BEGIN PRIVATE KEY-----')

/** Writes `ca.pem` and `identity.pem` (certificate, then key; 0600) into `directory`. */
export async function writeTlsIdentity(directory: string, identity: TlsIdentity): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeWhole(join(directory, authorityFile), utf8(identity.authorityPem), 0o644)
  const both = Buffer.concat([utf8(identity.certificatePem), identity.privateKey.reveal()])
  try {
    await writeWhole(join(directory, identityFile), both, 0o600)
  } finally {
    wipe(both)
  }
}

/** @throws TlsIdentityUnusable which says what to mend */
export async function loadTlsIdentity(directory: string): Promise<TlsIdentity> {
  const both = await readPrivately(directory)
  try {
    const at = both.indexOf(keyStart)
    if (at < 0) throw new TlsIdentityUnusable(directory, `${identityFile} holds no private key`)
    const identity = {
      authorityPem: utf8Text(await readFile(join(directory, authorityFile))),
      certificatePem: utf8Text(both.subarray(0, at)),
      privateKey: new Redacted(new Uint8Array(both.subarray(at))),
    }
    checkTogether(identity)
    return identity
  } catch (cause) {
    if (cause instanceof TlsIdentityUnusable) throw cause
    throw new TlsIdentityUnusable(directory, 'its files do not belong together', cause)
  } finally {
    wipe(both)
  }
}

async function readPrivately(directory: string): Promise<Buffer> {
  const file = join(directory, identityFile)
  try {
    const { mode } = await stat(file)
    // Windows knows no such bits and always answers 0666.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new TlsIdentityUnusable(directory, `${identityFile} is open to others: chmod 600 it`)
    }
    return await readFile(file)
  } catch (cause) {
    if (cause instanceof TlsIdentityUnusable) throw cause
    throw new TlsIdentityUnusable(directory, `${identityFile} cannot be read`, cause)
  }
}

function checkTogether({ authorityPem, certificatePem, privateKey }: TlsIdentity): void {
  const certificate = new X509Certificate(certificatePem)
  const key = createPrivateKey(Buffer.from(privateKey.reveal()))
  if (!certificate.checkPrivateKey(key)) throw new Error('the key is not of this certificate')
  if (rootOf(certificatePem, authorityPem) === undefined) {
    throw new Error('the certificate is not of this authority')
  }
}

import { rootCertificates } from 'node:tls'
import { Redacted, utf8, utf8Text, type RedactedBytes } from '@conclave/kernel'
import type { TlsIdentity } from '@conclave/runtime'
import { UriFetchFailed } from './errors.ts'

/**
 * The value of an `Authorization` header, as the secret has it; one newline at the end is its editor's.
 *
 * @throws UriFetchFailed
 */
export function authorizationOf(secret: RedactedBytes): string {
  const text = utf8Text(secret.reveal()).replace(/\r?\n$/, '')
  if (/^[\x20-\x7e]+$/.test(text)) return text
  throw new UriFetchFailed('its authorization is no value of a header')
}

const keyBlock =
  /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\S]+?-----END (?:[A-Z]+ )?PRIVATE KEY-----\n?/

/**
 * The certificate to show, out of PEM that holds it and its key.
 *
 * @throws UriFetchFailed
 */
export function identityOf(
  secret: RedactedBytes,
  authority: RedactedBytes | undefined,
): TlsIdentity {
  const text = utf8Text(secret.reveal())
  const [key] = keyBlock.exec(text) ?? []
  const certificatePem = text.replace(keyBlock, '')
  if (key === undefined || !certificatePem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new UriFetchFailed(
      'its client certificate is not PEM with a certificate and a private key',
    )
  }
  return {
    certificatePem,
    privateKey: new Redacted(utf8(key)),
    authorityPem:
      authority === undefined ? rootCertificates.join('\n') : utf8Text(authority.reveal()),
  }
}

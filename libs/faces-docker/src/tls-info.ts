import { subjectDerOf } from '@conclave/runtime'
import { X509Certificate } from 'node:crypto'

export interface TlsInfo {
  readonly TrustRoot: string
  readonly CertIssuerSubject: string
  readonly CertIssuerPublicKey: string
}

/** The root that members trust, and whose key signs for it, as the Engine shows them: base64 of DER. */
export function tlsInfo(rootPem: string): TlsInfo {
  const { publicKey } = new X509Certificate(rootPem)
  const key = publicKey.export({ type: 'spki', format: 'der' })
  return {
    TrustRoot: rootPem,
    CertIssuerSubject: Buffer.from(subjectDerOf(rootPem)).toString('base64'),
    CertIssuerPublicKey: key.toString('base64'),
  }
}

import { X509Certificate } from 'node:crypto'

/** The certificates of a PEM text, one text each, their final newlines included. */
export const certificatesIn = (pem: string): readonly string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? []

/** Which of `authorityPem`'s roots has issued the first certificate of a chain. */
export function rootOf(chainPem: string, authorityPem: string): string | undefined {
  const certificate = new X509Certificate(chainPem)
  return certificatesIn(authorityPem).find((root) =>
    certificate.verify(new X509Certificate(root).publicKey),
  )
}

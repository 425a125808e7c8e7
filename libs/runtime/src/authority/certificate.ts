import { X509Certificate } from 'node:crypto'
import type { Random } from '@conclave/kernel'

/** From when to when a certificate counts. */
export function validityOf(certificatePem: string): { fromMs: number; untilMs: number } {
  const { validFromDate, validToDate } = new X509Certificate(certificatePem)
  return { fromMs: validFromDate.getTime(), untilMs: validToDate.getTime() }
}

/**
 * When to renew: a random point between 50 % and 80 % of the lifetime, so that a cluster set up in
 * one minute does not renew in one. Source: reference docker-swarm.md B6.
 */
export function renewalDueMs(certificatePem: string, random: Random): number {
  const { fromMs, untilMs } = validityOf(certificatePem)
  const share = 0.5 + (0.3 * random.below(1000)) / 1000
  return fromMs + Math.floor((untilMs - fromMs) * share)
}

/** Before the subject: version, serial number, algorithm, issuer and validity. Source: RFC 5280 §4.1. */
const fieldsBeforeSubject = 5

/** The subject of a certificate of ours (X.509 v3) as DER, as other systems compare it. */
export function subjectDerOf(pem: string): Uint8Array {
  const der = new Uint8Array(new X509Certificate(pem).raw)
  const toBeSigned = elementAt(der, elementAt(der, 0).contentAt)
  let field = elementAt(der, toBeSigned.contentAt)
  for (let passed = 0; passed < fieldsBeforeSubject; passed++) field = elementAt(der, field.end)
  return der.slice(field.at, field.end)
}

interface Element {
  readonly at: number
  readonly contentAt: number
  readonly end: number
}

/** Where an element of DER lies whose tag has one byte. OpenSSL has read it before: its lengths are right. */
function elementAt(der: Uint8Array, at: number): Element {
  const first = der[at + 1] ?? 0
  const moreBytes = first < 0x80 ? 0 : first - 0x80
  const contentAt = at + 2 + moreBytes
  let length = moreBytes === 0 ? first : 0
  for (const byte of der.subarray(at + 2, contentAt)) length = length * 256 + byte
  return { at, contentAt, end: contentAt + length }
}

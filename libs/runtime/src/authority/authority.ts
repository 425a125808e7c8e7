import { ConclaveError, type Clock, type Random, type RedactedBytes } from '@conclave/kernel'
import type * as Issuing from './issuing.ts'
import type { Role } from './subject.ts'

/** The cluster's own certificate authority. `privateKey` is PKCS #8 as PEM bytes. */
export interface Authority {
  readonly clusterId: string
  readonly certificatePem: string
  readonly privateKey: RedactedBytes
}

/** What a certificate was asked for cannot go into one. Names the field, never the request. */
export class CertificateRefused extends ConclaveError {
  readonly code = 'certificate.refused'
}

/** Clock and dice, for tests that need a certificate which has already expired. */
export interface AuthorityPorts {
  readonly clock?: Clock
  readonly random?: Random
}

export interface CertificateFor {
  readonly id: string
  readonly role: Role
  /** Names and addresses beside localhost, 127.0.0.1 and ::1. */
  readonly hosts?: readonly string[]
  /** Default 90 days, at least one hour. */
  readonly validityMs?: number
}

/** Some 250 modules, which take 6 MiB and a fifth of a start: most processes never write a certificate. */
const issuing = (): Promise<typeof Issuing> => import('./issuing.ts')

/** Makes a self-signed authority on EC P-256. */
export const createAuthority: typeof Issuing.createAuthority = async (...given) =>
  (await issuing()).createAuthority(...given)

/** Makes a key pair and a certificate for it: everything one process needs for mutual TLS. */
export const issueCertificate: typeof Issuing.issueCertificate = async (...given) =>
  (await issuing()).issueCertificate(...given)

/**
 * Signs the public key of a request (PKCS #10, PEM). Nothing else of the request counts: who its
 * holder may be is decided by `wanted`.
 *
 * @throws CertificateRefused when the request is malformed, not self-signed, or not on EC P-256
 */
export const signRequest: typeof Issuing.signRequest = async (...given) =>
  (await issuing()).signRequest(...given)

/** A fresh key pair and the request that asks for its certificate. The key never leaves its holder. */
export const createCertificateRequest: typeof Issuing.createCertificateRequest = async (...given) =>
  (await issuing()).createCertificateRequest(...given)

/**
 * The key and name of the root `nextPem`, certified by `authority`: who trusts only that one believes
 * a certificate of the new root when this stands behind it. Since both bear the same name it counts as
 * self-issued, and no limit on the length of a path forbids it (RFC 5280 §4.2.1.9).
 */
export const crossSign: typeof Issuing.crossSign = async (...given) =>
  (await issuing()).crossSign(...given)

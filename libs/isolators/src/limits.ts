import type { RedactedBytes } from '@conclave/kernel'
import { quoted, SecretOversize } from './refusal.ts'

export interface SecretLimits {
  /** The largest single value. */
  readonly secretSizeBytesMax: number
  /** All file secrets of one container together, in whole pages. */
  readonly containerSizeBytesMax: number
}

export const usualSecretLimits: SecretLimits = {
  secretSizeBytesMax: 1_048_576,
  containerSizeBytesMax: 8 * 1_048_576,
}

export const pageSizeBytes = 4096

/** tmpfs hands out whole pages: two files of one byte each need 8192 bytes, not 2. */
export const wholePages = (sizeBytes: number): number =>
  Math.ceil(Math.max(sizeBytes, 1) / pageSizeBytes) * pageSizeBytes

/** @throws PlanRefused SECRET_TOO_LARGE */
export function checkSize(name: string, bytes: RedactedBytes, limits: SecretLimits): void {
  const sizeBytes = bytes.reveal().length
  if (sizeBytes <= limits.secretSizeBytesMax) return
  throw new SecretOversize(
    `secret ${quoted(name)} has ${sizeBytes} bytes; the limit per secret is ${limits.secretSizeBytesMax}.`,
  )
}

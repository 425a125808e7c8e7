import type { RedactedBytes } from '@conclave/kernel'
import type { AuditRecord } from '@conclave/model'
import type { Entry, HardState, Snapshot } from '@conclave/raft'

/** What recovery found on the disk. */
export interface Recovered {
  readonly hardState?: HardState
  readonly snapshot?: Snapshot
  readonly entries: readonly Entry[]
}

/** One member's log on its own disk. A failure is final: the master stops rather than guess. */
export interface Journal {
  /** Resolves once durable. Calls made while an fsync is under way share the next one; order is kept. */
  append(batch: { hardState?: HardState; entries: readonly Entry[] }): Promise<void>
  /** Resolves once the snapshot stands for everything up to its index, on disk. */
  saveSnapshot(snapshot: Snapshot): Promise<void>
  close(): Promise<void>
}

/** Audit comes first (design.md S3): a value is released only after this resolved. */
export interface AuditSink {
  append(record: AuditRecord): Promise<void>
}

/** The half of identity that needs the operating system's dice for more than bytes. */
export interface TokenKeys {
  /** A fresh RSA private key as PKCS #8 PEM bytes. */
  generate(): Promise<RedactedBytes>
}

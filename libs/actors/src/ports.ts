import type { Kek } from '@conclave/crypto'
import type { RedactedBytes } from '@conclave/kernel'
import type { AuditRecord } from '@conclave/model'
import type { Entry, HardState, Snapshot, SnapshotMeta } from '@conclave/raft'

/** What recovery found on the disk. */
export interface Recovered {
  readonly hardState?: HardState
  /** Its content is read through the journal, and is what the store was restored from. */
  readonly snapshot?: Snapshot
  readonly entries: readonly Entry[]
}

/** A snapshot being saved, chunk by chunk. */
export interface SnapshotSink {
  /** Resolves once it is written. All chunks have one size, but the last, which may be shorter. */
  write(chunk: Uint8Array): Promise<void>
  /** After the last chunk. Resolves once the snapshot stands for everything up to its index, on disk. */
  commit(): Promise<void>
  /** It will not be committed. */
  discard(): Promise<void>
}

/** A saved snapshot, open for reading. */
export interface SnapshotSource {
  readonly meta: SnapshotMeta
  readonly sizeBytes: number
  readonly chunkCount: number
  /** What the content is known by: `ContentDigest`. */
  readonly digest: Uint8Array
  read(number: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** Where one member keeps its newest snapshot. */
export interface SnapshotDisk {
  /** Begins a snapshot. It is nothing before it is committed, and gone when it never is. */
  beginSnapshot(meta: SnapshotMeta): Promise<SnapshotSink>
  /** The newest that was committed; it can be read to its end whatever is saved meanwhile. */
  openSnapshot(): Promise<SnapshotSource | undefined>
}

/** One member's log on its own disk. A failure is final: the master stops rather than guess. */
export interface Journal extends SnapshotDisk {
  /** Resolves once durable. Calls made while an fsync is under way share the next one; order is kept. */
  append(batch: { hardState?: HardState; entries: readonly Entry[] }): Promise<void>
  close(): Promise<void>
}

/** How much this process logs, in Mesos' numbers: 0 is what it was told to, 1 to 3 are more. */
export interface LoggingLevel {
  readonly level: number
  /** For so long; then it is as before. */
  set(level: number, durationMs: number): void
}

/** Audit comes first (docs/architecture.md, S3): a value is released only after this resolved. */
export interface AuditSink {
  append(record: AuditRecord): Promise<void>
}

/** The half of identity that needs the operating system's dice for more than bytes. */
export interface TokenKeys {
  /** A fresh RSA private key as PKCS #8 PEM bytes. */
  generate(): Promise<RedactedBytes>
}

/** A root of the cluster: its certificate, and the key that signs under it as PKCS #8 PEM bytes. */
export interface RootAuthority {
  readonly clusterId: string
  readonly certificatePem: string
  readonly privateKey: RedactedBytes
}

/** Who a certificate is for. `hosts`: names and addresses beside localhost. */
export interface CertificateWanted {
  readonly id: string
  readonly role: 'master' | 'agent'
  readonly hosts: readonly string[]
  readonly validityMs: number
}

/** X.509, which needs more than bytes: signatures, serial numbers, dates and DER. */
export interface Certificates {
  /** A fresh root, whose key is the caller's to wipe. */
  createRoot(clusterId: string): Promise<RootAuthority>
  /** The key of the root `nextPem`, certified by `root`. */
  crossSign(root: RootAuthority, nextPem: string): Promise<string>
  /**
   * A certificate for the key of a PKCS #10 request; nothing else of the request counts.
   * @throws CertificateRefused of runtime
   */
  sign(root: RootAuthority, requestPem: string, wanted: CertificateWanted): Promise<string>
  /** When a certificate ends. */
  untilMs(certificatePem: string): number
}

/** What a master's own files are to be under. */
export interface WantedKeys {
  readonly kek: Kek
  readonly version: number
  /** Whether the KEK must not rest here. */
  readonly isLocked: boolean
  /** The newest DEK of the cluster. The journal's key is drawn anew with it. */
  readonly dekId: number
}

/** What a master has on its own disk of the cluster's keys: the KEK, or none, and its journal's keys. */
export interface KeyKeeper {
  /**
   * Resolves once the files here are under that KEK and no other, and the journal seals under a key as
   * new as the cluster's. Answers with that key's id when it was drawn for this.
   */
  keep(wanted: WantedKeys): Promise<{ readonly rotatedTo?: number }>
  /** What follows in the journal stands in another file than what came before. */
  turnPage(): Promise<void>
  /** Destroys keys that no file of the journal needs any more. Answers with their ids, and whether some are left. */
  tidy(): Promise<{ readonly destroyed: readonly number[]; readonly left: number }>
}

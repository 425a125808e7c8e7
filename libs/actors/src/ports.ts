import type { Kek } from '@conclave/crypto'
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

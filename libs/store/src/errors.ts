import { ConclaveError } from '@conclave/kernel'

/** A transaction that every replica would refuse: found before it is proposed. */
export class TxnInvalid extends ConclaveError {
  readonly code = 'store.txn-invalid'
}

/** What was asked for lies before the oldest revision that is still kept. */
export class Compacted extends ConclaveError {
  readonly code = 'store.compacted'
  readonly compactRevision: number

  constructor(wanted: number, compactRevision: number) {
    super(`revision ${wanted} is gone: everything up to ${compactRevision} was compacted`)
    this.compactRevision = compactRevision
  }
}

/** What was asked for lies ahead of what this replica has applied. */
export class RevisionAhead extends ConclaveError {
  readonly code = 'store.revision-ahead'

  constructor(wanted: number, revision: number) {
    super(`revision ${wanted} is not here yet: this replica is at ${revision}`)
  }
}

/** Bytes that are no snapshot of this store. Nothing was restored. */
export class SnapshotMalformed extends ConclaveError {
  readonly code = 'store.snapshot-malformed'
}

/** The writer's term is over: another master leads, or did since. */
export class EpochStale extends ConclaveError {
  readonly code = 'store.epoch-stale'

  constructor(term: number, current: number) {
    super(`term ${term} cannot follow term ${current}`)
  }
}

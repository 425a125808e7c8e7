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

/**
 * A committed command of a format that this build does not know. Others apply it, so this member must
 * not go on: whatever it did instead, its state would part from theirs.
 */
export class CommandNewer extends ConclaveError {
  readonly code = 'store.command-newer'

  constructor(format: number, known: number) {
    super(
      `a committed command has format ${format}, and this build knows formats up to ${known}: start a newer build of this member`,
    )
  }
}

/** The writer's term is over: another master leads, or did since. */
export class EpochStale extends ConclaveError {
  readonly code = 'store.epoch-stale'

  constructor(term: number, current: number) {
    super(`term ${term} cannot follow term ${current}`)
  }
}

/** Somebody else changed the key since the revision that this write was made from. Nothing was changed. */
export class Conflict extends ConclaveError {
  readonly code = 'store.conflict'
  readonly key: string

  constructor(key: string, expected: number) {
    super(
      expected === 0
        ? `${key} exists already; read it first`
        : `${key} is no longer at revision ${expected}; read it again`,
    )
    this.key = key
  }
}

/** The lease has ended, or there never was one of this id. Nothing was changed. */
export class LeaseUnknown extends ConclaveError {
  readonly code = 'store.lease-unknown'

  constructor(lease: number) {
    super(`no lease ${lease}: it has ended, or was never granted`)
  }
}

/** A later command of the same client was heard of: what this one came to is forgotten. */
export class SessionStale extends ConclaveError {
  readonly code = 'store.session-stale'

  constructor(client: string, seq: number) {
    super(`command ${seq} of ${client} comes after a later one; what it came to is not kept`)
  }
}

/** No quorum, no leader or no time: nothing was changed, and trying again later may succeed. */
export class Unavailable extends ConclaveError {
  readonly code = 'cluster.unavailable'
}

/** The write may or may not have happened: its master lost touch before the log answered. */
export class OutcomeUnknown extends ConclaveError {
  readonly code = 'cluster.outcome-unknown'
}

import { ConclaveError } from '@conclave/kernel'

/**
 * WAL_CORRUPT: the disk does not hold what was written to it. An acknowledged entry may be gone, and a
 * member that goes on without it breaks Raft: it must be removed, and joined again under a new id.
 */
export class JournalCorrupt extends ConclaveError {
  readonly code = 'journal.corrupt'
  readonly file: string
  /** The first byte in doubt. */
  readonly offset: number
  readonly why: string

  constructor(file: string, offset: number, why: string) {
    super(`WAL_CORRUPT: ${file} at byte ${offset}: ${why}`)
    this.file = file
    this.offset = offset
    this.why = why
  }
}

/** WAL_UNDECRYPTABLE: undamaged bytes that the key does not open. The key is wrong, or somebody wrote here. */
export class JournalUndecryptable extends ConclaveError {
  readonly code = 'journal.undecryptable'
  readonly file: string
  readonly offset: number

  constructor(file: string, offset: number) {
    super(`WAL_UNDECRYPTABLE: ${file} at byte ${offset} does not open under this journal key`)
    this.file = file
    this.offset = offset
  }
}

/** The directory belongs to another cluster or to another member. */
export class JournalForeign extends ConclaveError {
  readonly code = 'journal.foreign'
  readonly file: string
  readonly offset: number

  constructor(file: string, offset: number, why: string) {
    super(`${file} was written by ${why} (byte ${offset})`)
    this.file = file
    this.offset = offset
  }
}

/** A write or an fsync failed. What is on the disk is unknown, so nothing is tried again: stop the process. */
export class JournalFailed extends ConclaveError {
  readonly code = 'journal.failed'

  constructor(cause: unknown) {
    super('the journal could not be written', { cause })
  }
}

/** Another process, or another part of this one, has the directory open. */
export class JournalLocked extends ConclaveError {
  readonly code = 'journal.locked'

  constructor(directory: string, holder: string) {
    super(`${directory} is in use by ${holder}`)
  }
}

/** Something was asked of a journal after it was closed. */
export class JournalClosed extends ConclaveError {
  readonly code = 'journal.closed'

  constructor() {
    super('the journal is closed')
  }
}

import { ConclaveError } from '@conclave/kernel'

/** A file that is no export, is damaged or cut off, or does not open with this key. Nothing was taken from it. */
export class ExportUnreadable extends ConclaveError {
  readonly code = 'export.unreadable'
}

/** A passphrase that anybody could guess. */
export class PassphraseTooShort extends ConclaveError {
  readonly code = 'export.passphrase-too-short'

  constructor(lengthMin: number) {
    super(
      `a passphrase has at least ${lengthMin} bytes; everybody who has the file can try them all`,
    )
  }
}

/** What was to be filled holds something already, and not a half of this very run. Nothing was changed. */
export class TargetNotEmpty extends ConclaveError {
  readonly code = 'transfer.target-not-empty'
}

/** What arrived is not what was sent. */
export class TransferDiffers extends ConclaveError {
  readonly code = 'transfer.differs'
}

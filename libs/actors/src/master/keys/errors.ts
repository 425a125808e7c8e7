import { ConclaveError } from '@conclave/kernel'

/** Autolock is on already, or off already. */
export class AutolockUnchanged extends ConclaveError {
  readonly code = 'lock.unchanged'

  constructor(isOn: boolean) {
    super(`autolock is ${isOn ? 'on' : 'off'} already`)
  }
}

/** There is no unlock key: a master that restarts needs none. */
export class AutolockOff extends ConclaveError {
  readonly code = 'lock.off'

  constructor() {
    super(
      'autolock is off, so there is no unlock key; turn it on with: conclave cluster autolock on',
    )
  }
}

/** Another operator changed the lock meanwhile: what this one was told to do may no longer be meant. */
export class LockChanged extends ConclaveError {
  readonly code = 'lock.changed'

  constructor() {
    super(
      'another operator has changed the lock meanwhile; look again with: conclave cluster unlock-key',
    )
  }
}

/** This master is not locked, so there is nothing to unlock. */
export class NotLocked extends ConclaveError {
  readonly code = 'lock.not-locked'

  constructor() {
    super('this master is not locked')
  }
}

/** The last rotation still moves records under its key. */
export class KeyringRotating extends ConclaveError {
  readonly code = 'keyring.rotating'

  constructor() {
    super('the keyring is being rotated already; conclave cluster keys shows how far it is')
  }
}

/**
 * This master's KEK has the version that the cluster has, and is another key; or no link leads from it
 * to the cluster's. Its directory is of another cluster, or of a time that is over.
 */
export class KekForeign extends ConclaveError {
  readonly code = 'keys.kek-foreign'

  constructor(held: number, current: number) {
    super(
      held === current
        ? `the KEK that this master holds is not the cluster's, though both are version ${current}`
        : `no way leads from KEK version ${held}, which this master holds, to version ${current}`,
    )
  }
}

/** The key does not open this master, whatever is wrong with it. */
export class UnlockRefused extends ConclaveError {
  readonly code = 'lock.refused'

  constructor() {
    super('this unlock key was refused')
  }
}

/** Autolock is on, and nobody has unlocked this master since it was started. */
export class MasterLocked extends ConclaveError {
  readonly code = 'master.locked'

  constructor() {
    super('this master is locked: it waits for the unlock key, by conclave cluster unlock')
  }
}

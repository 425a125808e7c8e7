import type { RedactedBytes } from '@conclave/kernel'
import type { Caller } from '../master-api.ts'

export interface LockStatus {
  /** Autolock: a master that restarts waits for the unlock key. */
  readonly isOn: boolean
  /** Counts the keys that wrap all others, from 1 on. */
  readonly kekVersion: number
  /** Masters that have not said yet that their files are under the newest of these. */
  readonly waitingFor: readonly string[]
  readonly keys: {
    /** The DEK that seals. */
    readonly newest: number
    /** DEKs that still open, the newest among them. More than one while the keyring is being rotated. */
    readonly kept: readonly number[]
    /** Sealed records that are under the newest, and that are not yet. */
    readonly rewrapped: number
    readonly left: number
  }
}

/**
 * For operators: every call demands `full` on the operators' resource, and is on record before it is
 * answered. Keys are given out as text, in bytes that the caller wipes.
 *
 * @throws AccessDenied, Unavailable
 */
export interface LockApi {
  status(caller: Caller): Promise<LockStatus>
  /** Answers with the unlock key, which is shown this once. @throws AutolockUnchanged */
  lock(caller: Caller): Promise<RedactedBytes>
  /** The KEK rests on every master again. @throws AutolockUnchanged */
  unlock(caller: Caller): Promise<void>
  /** @throws AutolockOff */
  unlockKey(caller: Caller): Promise<RedactedBytes>
  /** Another unlock key; the one before it opens nothing again. @throws AutolockOff, LockChanged */
  rotateUnlockKey(caller: Caller): Promise<RedactedBytes>
  /** Another DEK; the leader moves all sealed records under it, and then lets the older one go. @throws KeyringRotating */
  rotateKeyring(caller: Caller): Promise<LockStatus>
}

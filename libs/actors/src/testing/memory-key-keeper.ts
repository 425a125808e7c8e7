import type { Kek } from '@conclave/crypto'
import type { KeyKeeper, WantedKeys } from '../ports.ts'

/**
 * What of the keys is on one master's disk, without a disk: it outlives the master. The KEK that it
 * holds is what rests there, or what an operator types when it does not.
 */
export class MemoryKeyKeeper implements KeyKeeper {
  kek: Kek
  version = 0
  isLocked = false
  /** Ids of the journal's keys. */
  journalKeys: readonly number[] = [1]
  /** How often what follows was put into another file. */
  pages = 0
  /** What {@link keep} fails with, as long as there is something. */
  failure: Error | undefined

  constructor(kek: Kek) {
    this.kek = kek
  }

  async keep({ kek, version, isLocked, dekId }: WantedKeys): Promise<{ rotatedTo?: number }> {
    if (this.failure !== undefined) throw this.failure
    this.kek = kek
    this.version = version
    this.isLocked = isLocked
    if ((this.journalKeys.at(-1) ?? 0) >= dekId) return {}
    this.journalKeys = [...this.journalKeys, dekId]
    return { rotatedTo: dekId }
  }

  async turnPage(): Promise<void> {
    this.pages++
  }

  async tidy(): Promise<{ destroyed: readonly number[]; left: number }> {
    const destroyed = this.journalKeys.slice(0, -1)
    this.journalKeys = this.journalKeys.slice(-1)
    return { destroyed, left: 0 }
  }
}

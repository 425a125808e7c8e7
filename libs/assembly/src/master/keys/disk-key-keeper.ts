import type { KeyKeeper, WantedKeys } from '@conclave/actors'
import { AeadKey, equalSecrets, type Kek } from '@conclave/crypto'
import type { Disk, Journal } from '@conclave/journal'
import { invariant, type Random } from '@conclave/kernel'
import { forgetKekAtRest, saveKekAtRest } from '../../cluster/kek-at-rest.ts'
import {
  sealSection,
  writeSections,
  type KeyOwner,
  type NamedKey,
  type Section,
  type SectionHead,
} from './journal-key-file.ts'

export interface DiskKeyKeeperOptions {
  readonly disk: Disk
  readonly directory: string
  readonly owner: KeyOwner
  readonly random: Random
}

/** What a start has found and opened. */
export interface KeysAtHand {
  readonly head: SectionHead
  readonly kek: Kek
  readonly keys: readonly NamedKey[]
  /** Whether the way from one KEK to another was interrupted. */
  readonly isUnfinished: boolean
}

/**
 * The files that hold, or wrap, this master's keys. Each step leaves files from which a start goes on,
 * whatever it is that interrupts it:
 *
 * 1. The journal's keys are never on the disk but under a KEK, and always under one that is at hand at
 *    the next start: it rests beside them, or an operator has it.
 * 2. No key is drawn for the journal as long as a KEK rests that must not: it would be readable.
 * 3. A key is destroyed only when no file of the journal needs it.
 */
export class DiskKeyKeeper implements KeyKeeper {
  readonly #options: DiskKeyKeeperOptions
  #head: SectionHead
  #kek: Kek
  #keys: readonly NamedKey[]
  /** False while there may be a section, or a KEK at rest, that should not be there. */
  #isTidy: boolean
  #journal: Pick<Journal, 'rotateKey' | 'keysInUse'> | undefined

  constructor(options: DiskKeyKeeperOptions, at: KeysAtHand) {
    this.#options = options
    this.#head = at.head
    this.#kek = at.kek
    this.#keys = at.keys
    // A KEK that was put back beside locked keys is erased once more.
    this.#isTidy = !at.isUnfinished && !at.head.isLocked
  }

  get kek(): Kek {
    return this.#kek
  }

  get version(): number {
    return this.#head.version
  }

  get isLocked(): boolean {
    return this.#head.isLocked
  }

  /** Oldest first: the last one seals. */
  get keys(): readonly NamedKey[] {
    return this.#keys
  }

  /** The journal that was opened with {@link keys}. */
  serve(journal: Pick<Journal, 'rotateKey' | 'keysInUse'>): void {
    this.#journal = journal
  }

  async keep(wanted: WantedKeys): Promise<{ readonly rotatedTo?: number }> {
    const head = { version: wanted.version, isLocked: wanted.isLocked }
    const isThere = this.#head.version === head.version && this.#head.isLocked === head.isLocked
    if (!isThere) await this.#moveTo(head, wanted.kek)
    else if (!this.#isTidy) await this.#finish()
    if (this.#newest.id >= wanted.dekId) return {}
    await this.#rotate(wanted.dekId)
    return { rotatedTo: wanted.dekId }
  }

  async turnPage(): Promise<void> {
    await this.#seal(this.#newest)
  }

  async tidy(): Promise<{ readonly destroyed: readonly number[]; readonly left: number }> {
    const needed = new Set(this.#journal?.keysInUse()).add(this.#newest.id)
    const kept = this.#keys.filter(({ id }) => needed.has(id))
    const destroyed = this.#keys.filter(({ id }) => !needed.has(id)).map(({ id }) => id)
    if (destroyed.length > 0) {
      await this.#write([this.#section(this.#head, this.#kek, kept)])
      this.#keys = kept
    }
    return { destroyed, left: kept.length - 1 }
  }

  async #moveTo(head: SectionHead, kek: Kek): Promise<void> {
    const before = this.#section(this.#head, this.#kek, this.#keys)
    const after = this.#section(head, kek, this.#keys)
    // Nothing at rest has to change: one rename does it all.
    const isOneStep =
      this.#head.isLocked === head.isLocked && (head.isLocked || isSameKek(this.#kek, kek))
    if (!isOneStep) await this.#write([before, after])
    this.#head = head
    this.#kek = kek
    await this.#finish(!isOneStep)
  }

  /** What rests here becomes what should, and then there is one way left to the journal's keys. */
  async #finish(mayRest = true): Promise<void> {
    const { directory, disk } = this.#options
    this.#isTidy = false
    if (this.#head.isLocked) await forgetKekAtRest(directory, disk)
    else if (mayRest) await saveKekAtRest(directory, this.#kek, disk)
    await this.#write([this.#section(this.#head, this.#kek, this.#keys)])
    this.#isTidy = true
  }

  /** Known to the disk before anything is sealed under it. */
  async #rotate(id: number): Promise<void> {
    const next = { id, key: AeadKey.draw(this.#options.random) }
    const keys = [...this.#keys, next]
    await this.#write([this.#section(this.#head, this.#kek, keys)])
    this.#keys = keys
    await this.#seal(next)
  }

  async #seal({ id, key }: NamedKey): Promise<void> {
    const bytes = key.bytes()
    try {
      await this.#journal?.rotateKey({ id, bytes })
    } finally {
      bytes.fill(0)
    }
  }

  get #newest(): NamedKey {
    const newest = this.#keys.at(-1)
    invariant(newest !== undefined, 'a journal has a key')
    return newest
  }

  #section(head: SectionHead, kek: Kek, keys: readonly NamedKey[]): Section {
    const { owner, random } = this.#options
    return sealSection({ owner, head, kek, keys, random })
  }

  #write(sections: readonly Section[]): Promise<void> {
    return writeSections(this.#options.disk, this.#options.directory, sections)
  }
}

function isSameKek(a: Kek, b: Kek): boolean {
  const [left, right] = [a.key.bytes(), b.key.bytes()]
  const isSame = equalSecrets(left, right)
  left.fill(0)
  right.fill(0)
  return isSame
}

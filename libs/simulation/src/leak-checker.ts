import type { SimulatedDisk } from '@conclave/journal/testing'
import type { NodeId } from '@conclave/raft'
import { Canary, findCanaries } from '@conclave/testkit'
import type { Dice } from './dice.ts'
import type { World } from './world.ts'

/**
 * Rule SI10: what clients store is in no packet, on no disk and in no event, and on disks not even
 * the keys can be read.
 */
export class LeakChecker {
  readonly #world: World
  /** Begins each value. */
  readonly value: Canary
  /** Begins each key. */
  readonly key: Canary

  constructor(world: World, dice: Dice) {
    this.#world = world
    this.value = drawCanary(dice, 'value')
    this.key = drawCanary(dice, 'key')
  }

  packet(from: NodeId, bytes: Uint8Array): void {
    this.#search(bytes, [this.value], `a packet of member ${from}`)
  }

  event(member: NodeId, draft: object): void {
    this.#search(
      Buffer.from(JSON.stringify(draft)),
      [this.value, this.key],
      `an event of ${member}`,
    )
  }

  disk(member: NodeId, disk: SimulatedDisk): void {
    for (const path of disk.paths()) {
      this.#search(disk.bytes(path), [this.value, this.key], `${path} of member ${member}`)
    }
  }

  /** Searches in all the forms that a value can be written in. Slow. */
  diskInAllForms(member: NodeId, disk: SimulatedDisk): void {
    for (const path of disk.paths()) {
      const [hit] = findCanaries(disk.bytes(path), [this.value, this.key])
      if (hit !== undefined) this.#tell(hit.canary, `${path} of member ${member}, as ${hit.form}`)
    }
  }

  #search(bytes: Uint8Array, canaries: readonly Canary[], where: string): void {
    const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const canary of canaries) if (haystack.includes(canary.text)) this.#tell(canary, where)
  }

  #tell({ label }: Canary, where: string): void {
    this.#world.violate('SI10', `a ${label} can be read in ${where}`)
  }
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'

function drawCanary(dice: Dice, label: string): Canary {
  const letters = Array.from({ length: 28 }, () => alphabet[dice.below(alphabet.length)])
  return new Canary(`cnry${letters.join('')}`, label)
}

import {
  decodePeerMessage,
  encodePeerMessage,
  isSnapshotMessage,
  type PeerMessage,
} from '@conclave/actors'
import type { NodeId } from '@conclave/raft'
import type { Dice } from './dice.ts'
import type { World } from './world.ts'

/** How a network treats messages while nobody breaks it on purpose. */
export interface NetworkManners {
  readonly lossPermille: number
  readonly duplicatePermille: number
  readonly delayUs: number
  /** Some messages take much longer, so that later ones overtake them. */
  readonly latePermille: number
  readonly lateUs: number
}

export const perfectNetwork: NetworkManners = {
  lossPermille: 0,
  duplicatePermille: 0,
  delayUs: 500,
  latePermille: 0,
  lateUs: 0,
}

export interface NetworkOptions {
  readonly world: World
  readonly dice: Dice
  readonly manners: NetworkManners
  readonly deliver: (message: PeerMessage) => void
  /** A part of a snapshot that was lost: links tell their sender, but not always. */
  readonly onLost: (message: PeerMessage) => void
  /** The link from `to` to `from` was broken by `from`. */
  readonly onHungUp: (from: NodeId, to: NodeId) => void
  /** Sees every packet that leaves. */
  readonly onPacket: (message: PeerMessage, bytes: Uint8Array) => void
}

/** Carries messages between members as bytes: late, twice, out of order, or not at all. */
export class Network {
  readonly #options: NetworkOptions
  /** One way each, with how many faults cut it. */
  readonly #cuts = new Map<string, number>()
  readonly #slow = new Map<string, number>()
  /** By way: when the last message arrives that is not late. */
  readonly #lastInUs = new Map<string, number>()
  manners: NetworkManners

  constructor(options: NetworkOptions) {
    this.#options = options
    this.manners = options.manners
  }

  /** Nothing goes from `from` to `to` until the answer is called. */
  cut(from: NodeId, to: NodeId): () => void {
    return counted(this.#cuts, wayOf(from, to), 1)
  }

  /** What goes from `from` to `to` takes so much longer until the answer is called. */
  slow(from: NodeId, to: NodeId, us: number): () => void {
    return counted(this.#slow, wayOf(from, to), us)
  }

  /** Whoever can still be reached hears that the links of `from` broke, behind all that these carried in time. */
  hangUp(from: NodeId, others: readonly NodeId[]): void {
    const { dice, world, onHungUp } = this.#options
    for (const to of others) {
      const delayUs = 50 + dice.around(this.manners.delayUs)
      const behindUs = (this.#lastInUs.get(wayOf(from, to)) ?? 0) - world.nowUs + 1
      world.after(Math.max(delayUs, behindUs), () => {
        if (!this.#isCut({ from, to })) onHungUp(from, to)
      })
    }
  }

  send(message: PeerMessage): void {
    const { dice, world, onLost, onPacket } = this.#options
    const bytes = encodePeerMessage(message)
    onPacket(message, bytes)
    if (this.#isCut(message) || dice.permille(this.manners.lossPermille)) {
      if (isSnapshotMessage(message)) world.after(50_000, () => onLost(message))
      return
    }
    this.#carry(message, bytes)
    if (dice.permille(this.manners.duplicatePermille)) this.#carry(message, bytes)
  }

  #carry({ from, to }: PeerMessage, bytes: Uint8Array): void {
    const { dice, world, deliver } = this.#options
    const { delayUs, latePermille, lateUs } = this.manners
    const late = dice.permille(latePermille) ? dice.around(lateUs) : 0
    const slow = this.#slow.get(wayOf(from, to)) ?? 0
    const inTimeUs = 50 + dice.around(delayUs) + slow
    const lastUs = this.#lastInUs.get(wayOf(from, to)) ?? 0
    this.#lastInUs.set(wayOf(from, to), Math.max(lastUs, world.nowUs + inTimeUs))
    world.after(inTimeUs + late, () => {
      if (!this.#isCut({ from, to })) deliver(decodePeerMessage(bytes))
    })
  }

  #isCut({ from, to }: { readonly from: NodeId; readonly to: NodeId }): boolean {
    return (this.#cuts.get(wayOf(from, to)) ?? 0) > 0
  }
}

const wayOf = (from: NodeId, to: NodeId): string => `${from}>${to}`

/** Adds to a count, and answers with how to take it away again, once. */
function counted(counts: Map<string, number>, way: string, amount: number): () => void {
  counts.set(way, (counts.get(way) ?? 0) + amount)
  let isTaken = false
  return () => {
    if (isTaken) return
    isTaken = true
    counts.set(way, (counts.get(way) ?? 0) - amount)
  }
}

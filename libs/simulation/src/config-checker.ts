import type { MemberChange } from '@conclave/actors'
import type { ConfState, NodeId } from '@conclave/raft'
import type { Sight } from './witness.ts'
import type { World } from './world.ts'

/**
 * Rule SI12, about who is a member: whoever has applied an index has the same configuration there; one
 * follows another by one step of one member; who has left never comes back; a change that was
 * acknowledged has happened.
 */
export class ConfigChecker {
  readonly #world: World
  /** As text, by the applied index at which somebody had it. */
  readonly #at = new Map<number, string>()
  readonly #seen = new Map<NodeId, { config: ConfState; applied: number }>()
  readonly #texts = new WeakMap<ConfState, string>()
  /** Everybody who ever left, so that ids are used once. */
  readonly #gone = new Set<NodeId>()
  /** The one of the highest index, and what it followed. */
  #newest: { readonly index: number; readonly config: ConfState } | undefined

  constructor(world: World) {
    this.#world = world
  }

  /** The newest configuration that anybody has applied. */
  get newest(): ConfState | undefined {
    return this.#newest?.config
  }

  seen(member: NodeId, { config, appliedIndex }: Sight): void {
    const before = this.#seen.get(member)
    if (before !== undefined && before.config === config && before.applied === appliedIndex) return
    this.#seen.set(member, { config, applied: appliedIndex })
    // A joined member knows of nobody until its first snapshot.
    if (config.voters.length === 0) return
    const text = this.#text(config)
    const known = this.#at.get(appliedIndex) ?? text
    this.#at.set(appliedIndex, known)
    if (known !== text) {
      this.#broken(`member ${member} has ${text} at index ${appliedIndex}, others had ${known}`)
    }
    this.#follow(appliedIndex, config)
  }

  /** Whoever asked was told that it is done. */
  acknowledged({ do: step, nodeId }: MemberChange): void {
    const config = this.#newest?.config
    if (config === undefined) return
    const isMember = isIn(config, nodeId)
    // Others may have come and gone since, but nobody comes back.
    if (step === 'remove' && isMember) this.#broken(`${nodeId} was removed, and is a member`)
    if (step !== 'remove' && !isMember && !this.#gone.has(nodeId)) {
      this.#broken(`${nodeId} is no member after ${step}`)
    }
  }

  /** Whoever was asked says that it is done, and has this configuration while it says so. */
  answered({ do: step, nodeId }: MemberChange, config: ConfState | undefined): void {
    if (config === undefined) return
    const isVoter = config.voters.includes(nodeId)
    const isDone = {
      'add-learner': isIn(config, nodeId) && !isVoter,
      promote: isVoter,
      demote: isIn(config, nodeId) && !isVoter,
      remove: !isIn(config, nodeId),
    }[step]
    if (!isDone) this.#broken(`${step} of ${nodeId} is called done, at ${this.#text(config)}`)
  }

  #follow(index: number, config: ConfState): void {
    const before = this.#newest
    if (before !== undefined && index < before.index) return
    this.#newest = { index, config }
    if (before === undefined || before.config === config) return
    const [old, now] = [membersOf(before.config), membersOf(config)]
    for (const nodeId of now) {
      if (this.#gone.has(nodeId)) this.#broken(`${nodeId} has left, and is a member again`)
    }
    for (const nodeId of old) if (!now.has(nodeId)) this.#gone.add(nodeId)
  }

  #text(config: ConfState): string {
    const text = this.#texts.get(config) ?? JSON.stringify(config)
    this.#texts.set(config, text)
    return text
  }

  #broken(what: string): void {
    this.#world.violate('SI12', what)
  }
}

const membersOf = ({ voters, votersOutgoing, learners, learnersNext }: ConfState): Set<NodeId> =>
  new Set([...voters, ...votersOutgoing, ...learners, ...learnersNext])

export const isIn = (config: ConfState, nodeId: NodeId): boolean => membersOf(config).has(nodeId)

/** Whether `ids` has a majority of the voters, and of the outgoing ones if there are any. */
export function isQuorum({ voters, votersOutgoing }: ConfState, ids: ReadonlySet<NodeId>): boolean {
  const isMajority = (half: readonly NodeId[]): boolean =>
    half.length === 0 || half.filter((voter) => ids.has(voter)).length > half.length / 2
  return isMajority(voters) && isMajority(votersOutgoing)
}

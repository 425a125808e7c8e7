import { type ConfState, type NodeId, none } from './entry.ts'
import { RaftError } from './errors.ts'
import type { ConfChangeSingle } from './conf-change.ts'

/** A configuration, and whose progress is to start anew: members that were not in the one before. */
export interface Reconfiguration {
  readonly config: ConfState
  readonly fresh: ReadonlySet<NodeId>
}

export const emptyConfig: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
}

export const isJoint = (config: ConfState): boolean => config.votersOutgoing.length > 0

/** Everybody who votes in either half, ascending. */
export const allVoters = (config: ConfState): readonly NodeId[] =>
  isJoint(config) ? ascending(new Set([...config.voters, ...config.votersOutgoing])) : config.voters

/** Everybody the leader sends entries to, ascending. */
export const allMembers = (config: ConfState): readonly NodeId[] =>
  ascending(
    new Set([
      ...config.voters,
      ...config.votersOutgoing,
      ...config.learners,
      ...config.learnersNext,
    ]),
  )

export const isMember = (config: ConfState, id: NodeId): boolean =>
  config.voters.includes(id) ||
  config.votersOutgoing.includes(id) ||
  config.learners.includes(id) ||
  config.learnersNext.includes(id)

/** Two majorities from here on, until {@link leaveJointConfig}. @throws RaftError saying why not */
export function enterJointConfig(
  config: ConfState,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
): Reconfiguration {
  if (isJoint(config)) throw refused('config is already joint')
  if (config.voters.length === 0) throw refused("can't make a zero-voter config joint")
  const draft = new Draft(config)
  draft.votersOutgoing = new Set(config.voters)
  draft.apply(changes)
  draft.autoLeave = autoLeave
  return draft.finish()
}

/** The incoming half alone decides from here on. @throws RaftError saying why not */
export function leaveJointConfig(config: ConfState): Reconfiguration {
  if (!isJoint(config)) throw refused("can't leave a non-joint config")
  const draft = new Draft(config)
  for (const id of draft.learnersNext) draft.learners.add(id)
  draft.learnersNext.clear()
  draft.votersOutgoing.clear()
  draft.autoLeave = false
  return draft.finish()
}

/** At most one voter more or fewer, so that old and new majorities overlap. @throws RaftError */
export function changeConfig(
  config: ConfState,
  changes: readonly ConfChangeSingle[],
): Reconfiguration {
  if (isJoint(config)) throw refused("can't apply simple config change in joint config")
  const draft = new Draft(config)
  draft.apply(changes)
  const gone = config.voters.filter((id) => !draft.voters.has(id)).length
  const come = draft.voters.size - (config.voters.length - gone)
  if (gone + come > 1) {
    throw refused('more than one voter changed without entering joint config')
  }
  return draft.finish()
}

/** The configuration that a snapshot or a storage names. @throws RaftError when it contradicts itself */
export function restoreConfig(state: ConfState): Reconfiguration {
  const draft = new Draft(state)
  draft.fresh = new Set(allMembers(state))
  return draft.finish()
}

/** The sets of a configuration while changes are applied to them. */
class Draft {
  voters: Set<NodeId>
  votersOutgoing: Set<NodeId>
  learners: Set<NodeId>
  learnersNext: Set<NodeId>
  autoLeave: boolean
  fresh = new Set<NodeId>()

  constructor(config: ConfState) {
    this.voters = new Set(config.voters)
    this.votersOutgoing = new Set(config.votersOutgoing)
    this.learners = new Set(config.learners)
    this.learnersNext = new Set(config.learnersNext)
    this.autoLeave = config.autoLeave
  }

  apply(changes: readonly ConfChangeSingle[]): void {
    for (const { type, nodeId } of changes) {
      // A proposal that was replaced by "change nobody" still passes through here.
      if (nodeId === none) continue
      switch (type) {
        case 'ConfChangeAddNode':
          this.#makeVoter(nodeId)
          break
        case 'ConfChangeAddLearnerNode':
          this.#makeLearner(nodeId)
          break
        case 'ConfChangeRemoveNode':
          this.#remove(nodeId)
          break
        case 'ConfChangeUpdateNode':
          break
      }
    }
    if (this.voters.size === 0) throw refused('removed all voters')
  }

  finish(): Reconfiguration {
    const config: ConfState = {
      voters: ascending(this.voters),
      votersOutgoing: ascending(this.votersOutgoing),
      learners: ascending(this.learners),
      learnersNext: ascending(this.learnersNext),
      autoLeave: this.autoLeave,
    }
    check(config)
    return { config, fresh: this.fresh }
  }

  #makeVoter(id: NodeId): void {
    this.#know(id)
    this.learners.delete(id)
    this.learnersNext.delete(id)
    this.voters.add(id)
  }

  /** A voter of the outgoing half stays one until that half is left, and only then learns. */
  #makeLearner(id: NodeId): void {
    this.#know(id)
    if (this.learners.has(id)) return
    this.voters.delete(id)
    if (this.votersOutgoing.has(id)) this.learnersNext.add(id)
    else this.learners.add(id)
  }

  #remove(id: NodeId): void {
    this.voters.delete(id)
    this.learners.delete(id)
    this.learnersNext.delete(id)
    this.fresh.delete(id)
  }

  #know(id: NodeId): void {
    const isKnown =
      this.voters.has(id) ||
      this.votersOutgoing.has(id) ||
      this.learners.has(id) ||
      this.learnersNext.has(id)
    if (!isKnown) this.fresh.add(id)
  }
}

/** Source of the texts: reference raft.md §4.6. */
function check(config: ConfState): void {
  for (const id of config.learnersNext) {
    if (!config.votersOutgoing.includes(id)) {
      throw refused(`${id} is in LearnersNext, but not Voters[1]`)
    }
  }
  for (const id of config.learners) {
    if (config.votersOutgoing.includes(id)) throw refused(`${id} is in Learners and Voters[1]`)
    if (config.voters.includes(id)) throw refused(`${id} is in Learners and Voters[0]`)
  }
  if (!isJoint(config) && config.autoLeave) {
    throw refused('AutoLeave must be false when not joint')
  }
}

const ascending = (ids: Iterable<NodeId>): NodeId[] => [...ids].sort((a, b) => a - b)

const refused = (why: string): RaftError => new RaftError('raft.conf-change-refused', why)

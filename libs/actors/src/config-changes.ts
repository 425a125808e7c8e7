import { invariant, sameBytes, utf8 } from '@conclave/kernel'
import {
  confChange,
  decodeConfChange,
  isMember,
  none,
  type ConfChangeType,
  type ConfChangeV2,
  type ConfState,
  type Entry,
  type NodeId,
  type RawNode,
} from '@conclave/raft'
import {
  MembershipBusy,
  MembershipRefused,
  NotLeader,
  OutcomeUnknown,
  Unavailable,
} from './master/errors.ts'

/** One step of one member: in as a learner, up to a voter, down to a learner, out. */
export interface MemberChange {
  readonly do: 'add-learner' | 'promote' | 'demote' | 'remove'
  readonly nodeId: NodeId
}

export interface ConfigChangesOptions {
  readonly node: RawNode
  readonly nodeId: NodeId
  /** As applied here. */
  readonly config: () => ConfState
  /** Whom leadership would go to, `none` when nobody else could have it. */
  readonly successor: () => NodeId
  readonly deadlineTicks: number
  /** Distinguishes this run of this member from all others: a change is known again by it. */
  readonly boot: string
}

interface UnderWay {
  readonly change: MemberChange
  readonly proposal: ConfChangeV2
  readonly term: number
  wasSent: boolean
  ticksLeft: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/**
 * Carries one change of the configuration from its proposal by the leader to its application here
 * (reference raft.md §4.6). One voter more or fewer at a time, so no joint configuration is needed.
 */
export class ConfigChanges {
  readonly #options: ConfigChangesOptions
  #underWay: UnderWay | undefined
  #count = 0

  constructor(options: ConfigChangesOptions) {
    this.#options = options
  }

  /**
   * Resolves once the change is applied here. Of the leader itself nothing is changed: it hands
   * leadership on first, and the next leader is to be asked.
   *
   * @throws MembershipRefused when the configuration does not allow it
   * @throws MembershipBusy while another change is under way here
   * @throws NotLeader when this member does not lead, or not any more; nothing was changed
   * @throws Unavailable when its turn did not come in time; nothing was changed
   * @throws OutcomeUnknown when it was in the log and leadership was lost, or no quorum answered
   */
  async start(change: MemberChange): Promise<void> {
    const { node, boot, deadlineTicks } = this.#options
    const { softState, hardState } = node.basicStatus()
    if (softState.state !== 'StateLeader') throw new NotLeader()
    if (this.#underWay !== undefined) throw new MembershipBusy()
    this.#check(change)
    const type = typeOf[change.do]
    const context = utf8(`${boot}#${this.#count++}`)
    const proposal = confChange(
      [{ type, nodeId: change.nodeId }],
      'ConfChangeTransitionAuto',
      context,
    )
    await new Promise<void>((resolve, reject) => {
      this.#underWay = {
        change,
        proposal,
        term: hardState.term,
        wasSent: false,
        ticksLeft: deadlineTicks,
        resolve,
        reject,
      }
      this.#move()
    })
  }

  tick(): void {
    const underWay = this.#underWay
    if (underWay === undefined) return
    if (--underWay.ticksLeft > 0) return this.#move()
    this.#abandon('no quorum has agreed in time')
  }

  /** A change was applied here, this one or another. */
  applied({ data }: Entry): void {
    const underWay = this.#underWay
    if (underWay === undefined) return
    const change = decodeConfChange(data)
    if (!sameBytes(change.context, underWay.proposal.context)) return
    this.#underWay = undefined
    underWay.resolve()
  }

  /** The role or the term of this member may have changed. */
  roleChanged(): void {
    const underWay = this.#underWay
    if (underWay === undefined) return
    const { softState, hardState } = this.#options.node.basicStatus()
    if (softState.state === 'StateLeader' && hardState.term === underWay.term) return
    this.#abandon('leadership was lost meanwhile', new NotLeader())
  }

  /** The process stops. */
  close(): void {
    this.#abandon('this master is stopping')
  }

  /** Nobody waits for an answer any more; what is in the log may still be applied one day. */
  #abandon(why: string, whenUnsent: Error = new Unavailable(`${why}; nothing was changed`)): void {
    const error = new OutcomeUnknown(`${why}; the change of the masters may or may not happen`)
    this.#giveUp(this.#underWay?.wasSent === true ? error : whenUnsent)
  }

  #giveUp(error: Error): void {
    const underWay = this.#underWay
    this.#underWay = undefined
    underWay?.reject(error)
  }

  /** Proposes, unless it was done, or is not possible yet. */
  #move(): void {
    const underWay = this.#underWay
    if (underWay === undefined || underWay.wasSent) return
    const { node, nodeId, successor } = this.#options
    const { change, proposal } = underWay
    if (change.nodeId === nodeId && isDeparture(change)) {
      // A transfer that comes to nothing is given up after a while, and the next tick tries again.
      const to = node.basicStatus().leadTransferee === none ? successor() : none
      if (to !== none) node.transferLeader(to)
      return
    }
    try {
      this.#check(change)
    } catch (error) {
      invariant(error instanceof MembershipRefused, 'a check refuses, and does nothing else')
      return this.#giveUp(error)
    }
    // Such as an inherited change that is not applied yet. The next tick asks again.
    if (node.whyConfChangeRefused(proposal) !== undefined) return
    underWay.wasSent = node.proposeConfChange(proposal) === undefined
  }

  /** @throws MembershipRefused */
  #check({ do: what, nodeId }: MemberChange): void {
    const config = this.#options.config()
    const isVoter = config.voters.includes(nodeId)
    const node = `node ${nodeId}`
    if (what === 'add-learner') {
      if (isMember(config, nodeId)) throw new MembershipRefused(`${node} is a member already`)
      return
    }
    if (!isMember(config, nodeId)) throw new MembershipRefused(`${node} is no member of the group`)
    if (what === 'promote') {
      if (isVoter) throw new MembershipRefused(`${node} is a voter already`)
      return
    }
    if (what === 'demote' && !isVoter) throw new MembershipRefused(`${node} is no voter`)
    if (isVoter && config.voters.length === 1) {
      throw new MembershipRefused(`${node} is the last voter, without whom there is no group`)
    }
  }
}

const isDeparture = ({ do: what }: MemberChange): boolean => what === 'demote' || what === 'remove'

const typeOf: Readonly<Record<MemberChange['do'], ConfChangeType>> = {
  'add-learner': 'ConfChangeAddLearnerNode',
  promote: 'ConfChangeAddNode',
  demote: 'ConfChangeAddLearnerNode',
  remove: 'ConfChangeRemoveNode',
}

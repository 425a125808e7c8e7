import {
  MembershipBusy,
  MembershipRefused,
  NotLeader,
  OutcomeUnknown,
  Unavailable,
  type MemberChange,
} from '@conclave/actors'
import type { ConfState, NodeId } from '@conclave/raft'
import type { ConfigChecker } from './config-checker.ts'
import type { Fault } from './fault.ts'
import type { Member } from './member.ts'
import { ProcessGone } from './process.ts'
import type { World } from './world.ts'

export interface OperatorOptions {
  readonly world: World
  readonly members: readonly Member[]
  readonly checker: ConfigChecker
}

type Change = Fault & { readonly do: 'change' }

/** How often whoever leads next is asked, when leadership has passed on meanwhile. */
const triesMax = 5
const retryUs = 300_000

/**
 * Changes who is a member, as somebody would who knows no more than what members say, and who asks
 * again when the answer is that another one leads. It starts the machines that join. It removes nobody
 * whose absence would leave no majority of living voters.
 */
export class Operator {
  readonly #options: OperatorOptions
  #isDone = false

  constructor(options: OperatorOptions) {
    this.#options = options
  }

  stop(): void {
    this.#isDone = true
  }

  /** @param asked who is thought to lead */
  change(asked: Member, { step, subject, nth }: Change): void {
    const { world, members } = this.#options
    const config = asked.replica?.config
    const nodeId = config && this.#subject(asked.nodeId, config, subject, nth)
    if (config === undefined || nodeId === undefined || !this.#isWise(config, step, nodeId)) {
      return world.count('change of nobody')
    }
    if (step === 'add-learner') members[nodeId - 1]?.join()
    const isLast = config.voters.length === 1 && config.voters[0] === nodeId
    if (isLast && (step === 'remove' || step === 'demote')) {
      return void this.#askTheLast(asked, { do: step, nodeId })
    }
    void this.#ask(asked, { do: step, nodeId }, triesMax)
  }

  /** Whoever is the only voter is told at once that it may not go: while that is tried, nothing else can change. */
  async #askTheLast(asked: Member, change: MemberChange): Promise<void> {
    const { world } = this.#options
    try {
      await asked.call((replica) => replica.changeMembers(change))
      world.violate('SI12', `the last voter, ${change.nodeId}, was let go`)
    } catch (error) {
      // Busy with what was asked for before, of another member too: nothing of this was taken up.
      const told = [MembershipRefused, MembershipBusy, NotLeader, ProcessGone]
      const isTold = told.some((one) => error instanceof one)
      if (!isTold) world.violate('SI12', `the last voter may not go, and is told ${String(error)}`)
      world.count(`change ${error instanceof MembershipRefused ? 'refused' : 'not done'}`)
    }
  }

  async #ask(asked: Member, change: MemberChange, tries: number): Promise<void> {
    const { world, checker } = this.#options
    try {
      await asked.call((replica) => replica.changeMembers(change))
      world.count(`change ${change.do}`)
      // Once everybody has been looked at.
      world.after(0, () => checker.acknowledged(change))
      checker.answered(change, asked.sight?.config)
    } catch (error) {
      if (!isExpected(error)) world.violate('SI9', `the operator is told ${String(error)}`)
      world.count(`change ${error instanceof MembershipRefused ? 'refused' : 'not done'}`)
      if (error instanceof NotLeader && tries > 1) this.#askNext(change, tries - 1)
    }
  }

  #askNext(change: MemberChange, tries: number): void {
    this.#options.world.after(retryUs, () => {
      const leader = leaderOf(this.#options.members)
      if (this.#isDone || leader?.replica === undefined) return
      if (!this.#isWise(leader.replica.config, change.do, change.nodeId)) return
      void this.#ask(leader, change, tries)
    })
  }

  #subject(
    asked: NodeId,
    { voters, learners }: ConfState,
    subject: Change['subject'],
    nth: number,
  ): NodeId | undefined {
    switch (subject) {
      case 'new':
        return this.#options.members.find(({ state }) => state === 'absent')?.nodeId
      case 'learner':
        return learners[nth % learners.length]
      case 'self':
        return asked
      default: {
        const others = voters.filter((voter) => voter !== asked)
        return others[nth % others.length]
      }
    }
  }

  /** Whether enough voters would be left that are up. */
  #isWise({ voters }: ConfState, step: Change['step'], nodeId: NodeId): boolean {
    if (step === 'add-learner' || step === 'promote' || !voters.includes(nodeId)) return true
    const left = voters.filter((voter) => voter !== nodeId)
    // Nobody would be left at all: that has to be refused, so it may be asked.
    if (left.length === 0) return true
    const up = left.filter((voter) => this.#options.members[voter - 1]?.state === 'up')
    return left.length > 1 && up.length > left.length / 2
  }
}

/** Whoever leads in the newest term, if anybody does. */
export function leaderOf(members: readonly Member[]): Member | undefined {
  return members
    .filter(({ replica }) => replica?.role === 'leader')
    .sort((a, b) => (b.replica?.term ?? 0) - (a.replica?.term ?? 0))[0]
}

const isExpected = (error: unknown): boolean =>
  [MembershipBusy, MembershipRefused, NotLeader, OutcomeUnknown, Unavailable, ProcessGone].some(
    (expected) => error instanceof expected,
  )

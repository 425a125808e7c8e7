import type { NodeId } from './entry.ts'
import { noBytes } from './message.ts'

/** In the order of their numbers on the wire. */
export const confChangeTypes = [
  'ConfChangeAddNode',
  'ConfChangeRemoveNode',
  'ConfChangeUpdateNode',
  'ConfChangeAddLearnerNode',
] as const

export type ConfChangeType = (typeof confChangeTypes)[number]

/**
 * `Auto` goes through a joint configuration only when more than one change asks for it, and leaves it
 * by itself. `JointImplicit` always goes through one; `JointExplicit` stays until told to leave.
 */
export const confChangeTransitions = [
  'ConfChangeTransitionAuto',
  'ConfChangeTransitionJointImplicit',
  'ConfChangeTransitionJointExplicit',
] as const

export type ConfChangeTransition = (typeof confChangeTransitions)[number]

export interface ConfChangeSingle {
  readonly type: ConfChangeType
  readonly nodeId: NodeId
}

/** One change, in the older form. `context` is the caller's own and comes back when it applies. */
export interface ConfChangeV1 extends ConfChangeSingle {
  readonly version: 1
  readonly context: Uint8Array
}

/** Any number of changes at once. None at all leaves a joint configuration. */
export interface ConfChangeV2 {
  readonly version: 2
  readonly transition: ConfChangeTransition
  readonly changes: readonly ConfChangeSingle[]
  readonly context: Uint8Array
}

export type ConfChange = ConfChangeV1 | ConfChangeV2

/** A change in the newer form, with what callers usually leave out. */
export const confChange = (
  changes: readonly ConfChangeSingle[],
  transition: ConfChangeTransition = 'ConfChangeTransitionAuto',
  context: Uint8Array = noBytes,
): ConfChangeV2 => ({ version: 2, transition, changes, context })

export const leaveJoint = confChange([])

export const asV2 = (change: ConfChange): ConfChangeV2 =>
  change.version === 2
    ? change
    : confChange(
        [{ type: change.type, nodeId: change.nodeId }],
        'ConfChangeTransitionAuto',
        change.context,
      )

export const leavesJoint = (change: ConfChangeV2): boolean =>
  change.transition === 'ConfChangeTransitionAuto' && change.changes.length === 0

export const entersJoint = (change: ConfChangeV2): boolean =>
  change.transition !== 'ConfChangeTransitionAuto' || change.changes.length > 1

/** Whether the joint configuration that this change enters is left without another proposal. */
export const leavesByItself = (change: ConfChangeV2): boolean =>
  change.transition !== 'ConfChangeTransitionJointExplicit'

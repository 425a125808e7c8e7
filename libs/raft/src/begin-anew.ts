import { decodeConfChange, encodeConfChange } from './codec.ts'
import { asV2, confChange, type ConfChangeSingle } from './conf-change.ts'
import type { Entry, HardState, NodeId, Snapshot } from './entry.ts'
import { allMembers, isJoint } from './membership.ts'

/** What a member has of its log. */
export interface LogLeft {
  readonly hardState?: HardState
  readonly snapshot?: Snapshot
  readonly entries: readonly Entry[]
}

/**
 * What a member appends that has lost the others for good, and goes on as a group of its own: everything in its log
 * counts as committed, and then everybody else is out, one change after the other. In a term of its own, so that no
 * entry of the others can be taken for one of these.
 *
 * Entries that were not known to be committed stay: some of them may have been acknowledged, by a leader that had no
 * time to say so here. Done again, it changes nothing but the term.
 *
 * @returns undefined where there is nothing to go on with, or a change of the group is half done
 */
export function beginAnew(
  self: NodeId,
  { hardState, snapshot, entries }: LogLeft,
): { readonly hardState: HardState; readonly entries: readonly Entry[] } | undefined {
  const last = entries.at(-1) ?? snapshot?.meta
  if (last === undefined || (snapshot !== undefined && isJoint(snapshot.meta.confState))) {
    return undefined
  }
  const changed = entries.flatMap(changesIn)
  if (changed.some((changes) => changes.length !== 1)) return undefined
  const known = [
    ...(snapshot === undefined ? [] : allMembers(snapshot.meta.confState)),
    ...changed.flatMap((changes) => changes.map(({ nodeId }) => nodeId)),
  ]
  const others = [...new Set(known)].filter((nodeId) => nodeId !== self).toSorted((a, b) => a - b)
  const term = Math.max(hardState?.term ?? 0, last.term) + 1
  const wanted: readonly ConfChangeSingle[] = [
    { type: 'ConfChangeAddNode', nodeId: self },
    ...others.map((nodeId) => ({ type: 'ConfChangeRemoveNode', nodeId }) as const),
  ]
  const appended = wanted.map((change, at): Entry => {
    const data = encodeConfChange(confChange([change]))
    return { type: 'EntryConfChangeV2', term, index: last.index + 1 + at, data }
  })
  return {
    hardState: { term, vote: self, commit: last.index + appended.length },
    entries: appended,
  }
}

function changesIn({ type, data }: Entry): readonly (readonly ConfChangeSingle[])[] {
  return type === 'EntryNormal' ? [] : [asV2(decodeConfChange(data)).changes]
}

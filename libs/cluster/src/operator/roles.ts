import { rolesOf, type GetRoles } from '@conclave/model'
import { emptyBag, plus, type Bag } from '../resources.ts'
import type { ClusterState } from '../state.ts'
import { shownResources } from './shown.ts'
import { maySee, type Viewer } from './viewer.ts'

/** A role, who is in it, and what they hold there. */
export interface RoleView {
  readonly name: string
  readonly frameworkIds: readonly string[]
  readonly held: Bag
}

/** Every role that somebody is in or, for operators, that has a weight; and `*`. */
export function rolesIn(state: ClusterState, viewer: Viewer): readonly RoleView[] {
  const weighted = viewer.isOperator ? state.weights.keys() : []
  const members = new Map<string, string[]>(['*', ...weighted].map((role) => [role, []]))
  const held = new Map<string, Bag>()
  for (const { record } of state.frameworks.values()) {
    const { frameworkId } = record
    if (record.state === 'completed' || !maySee(state, viewer, frameworkId)) continue
    const own = state.tasks.heldBy(frameworkId)
    for (const role of rolesOf(record.info)) {
      const ids = members.get(role)
      if (ids === undefined) members.set(role, [frameworkId])
      else ids.push(frameworkId)
      held.set(role, plus(held.get(role) ?? emptyBag, own.get(role) ?? emptyBag))
    }
  }
  return Array.from(members, ([name, frameworkIds]) => ({
    name,
    frameworkIds,
    held: held.get(name) ?? emptyBag,
  }))
}

export const getRoles = (state: ClusterState, viewer: Viewer): GetRoles => ({
  roles: rolesIn(state, viewer).map(({ name, frameworkIds, held }) => ({
    name,
    weight: state.weights.get(name) ?? 1,
    frameworks: frameworkIds.map((value) => ({ value })),
    resources: shownResources(held),
  })),
})

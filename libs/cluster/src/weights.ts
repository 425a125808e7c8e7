import { roleProblem, type MasterCall } from '@conclave/model'
import type { PlainAnswer } from './effect.ts'
import { putWeights } from './records.ts'
import type { ClusterState } from './state.ts'

/*
 * How much of the cluster a role is to have beside others: one with a weight of two gets twice as much as
 * one with a weight of one, which is what every role has until somebody says otherwise.
 */

type Asked = NonNullable<MasterCall['update_weights']>['weight_infos']

/** Roles that have one: all of them are one record of the store. */
const rolesMax = 1000

const invalid = (why: string): PlainAnswer => ({
  status: 400,
  body: `Failed to validate update weights request JSON${why}`,
})

/** UPDATE_WEIGHTS. Whatever is offered is offered anew, by the new weights. */
export function updateWeights(state: ClusterState, asked: Asked): PlainAnswer {
  const weights = new Map(state.weights)
  for (const { role: given = '', weight } of asked) {
    const role = given.trim()
    const problem = roleProblem(role)
    if (problem !== undefined) return invalid(`: Invalid role '${role}': ${problem}`)
    if (!(weight > 0 && Number.isFinite(weight))) {
      return invalid(` for role '${role}': Invalid weight '${weight}': Weights must be positive`)
    }
    weights.set(role, weight)
  }
  if (weights.size > rolesMax) return invalid(`: 'weight_infos' of more than ${rolesMax} roles`)
  state.weights = weights
  state.outbox.commit([putWeights({ weights: Object.fromEntries(weights) })])
  state.closeOffers(() => true, { rescind: true })
  return { status: 200, body: '' }
}

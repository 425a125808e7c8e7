import type { ConfChangeSingle, ConfChangeType } from '../conf-change.ts'
import { ScriptMalformed } from './directive.ts'

const typesByLetter = new Map<string, ConfChangeType>([
  ['v', 'ConfChangeAddNode'],
  ['l', 'ConfChangeAddLearnerNode'],
  ['r', 'ConfChangeRemoveNode'],
  ['u', 'ConfChangeUpdateNode'],
])

/** `v1 l2 r3 u4`: a voter, a learner, a removal, an update. */
export function parseChanges(input: readonly string[]): ConfChangeSingle[] {
  const tokens = input
    .join(' ')
    .split(/\s+/)
    .filter((token) => token !== '')
  return tokens.map((token) => {
    const type = typesByLetter.get(token.slice(0, 1))
    const nodeId = Number(token.slice(1))
    if (type === undefined || !Number.isSafeInteger(nodeId)) {
      throw new ScriptMalformed(`${token} is no configuration change`)
    }
    return { type, nodeId }
  })
}

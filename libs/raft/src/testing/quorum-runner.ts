import type { NodeId } from '../entry.ts'
import { jointCommitted, jointVote } from '../quorum.ts'
import { type Directive, ScriptMalformed, numberFrom, valuesOf } from './directive.ts'

/** Counts votes and acknowledgements. Source: reference raft.md §5.5. */
export function runQuorumDirective(directive: Directive): string {
  const voters = ids(directive, 'cfg')
  const votersOutgoing = ids(directive, 'cfgj')
  const halves = { voters, votersOutgoing }
  const everybody = [...new Set([...voters, ...votersOutgoing])]
  const isCommitted = directive.command === 'committed'
  const given = valuesOf(directive, isCommitted ? 'idx' : 'votes') ?? []
  if (given.length !== everybody.length) {
    return `error: mismatched input (explicit or _) for voters [${everybody.join(' ')}]: [${given.join(' ')}]`
  }
  const known = new Map<NodeId, string>()
  for (const [at, id] of everybody.entries()) {
    const value = given[at]
    if (value !== undefined && value !== '_') known.set(id, value)
  }

  switch (directive.command) {
    case 'committed': {
      const indexes = new Map<NodeId, number>()
      for (const [id, value] of known) indexes.set(id, numberFrom(directive, value))
      const committed = jointCommitted(halves, (id) => indexes.get(id) ?? 0)
      return table(everybody, indexes) + (Number.isFinite(committed) ? String(committed) : '∞')
    }
    case 'vote':
      return jointVote(halves, (id) => {
        const vote = known.get(id)
        return vote === undefined ? undefined : vote === 'y'
      })
    default:
      throw new ScriptMalformed(`line ${directive.line}: unknown ${directive.command}`)
  }
}

/** `zero` names the empty half. */
const ids = (directive: Directive, key: string): NodeId[] =>
  (valuesOf(directive, key) ?? [])
    .filter((value) => value !== 'zero')
    .map((value) => numberFrom(directive, value))

/** One line for each voter by id, with a bar that is longer the more voters are behind it. */
function table(everybody: readonly NodeId[], indexes: ReadonlyMap<NodeId, number>): string {
  if (everybody.length === 0) return '<empty majority quorum>'
  const count = everybody.length
  const indexOf = (id: NodeId): number => indexes.get(id) ?? 0
  const rows = [...everybody]
    .sort((a, b) => a - b)
    .map((id) => {
      const behindCount = everybody.filter((other) => indexOf(other) < indexOf(id)).length
      const bar = indexes.has(id) ? `${'x'.repeat(behindCount)}>` : '?'
      const index = String(indexOf(id)).padStart(5)
      return `${bar.padEnd(count + 1)} ${index}    (id=${id})`
    })
  return [`${' '.repeat(count)}    idx`, ...rows, ''].join('\n')
}

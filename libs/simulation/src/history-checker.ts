import type { History, Operation } from './history.ts'
import type { StateChecker } from './state-checker.ts'
import type { World } from './world.ts'

/**
 * Compares what clients were told with what the log came to (SI7, SI8): every answer is what the state
 * was at its revision, what was acknowledged is there, what was refused is not, and nothing twice.
 */
export function checkHistory(world: World, history: History, state: StateChecker): void {
  const counts = state.putCounts()
  for (const operation of history.operations) {
    const why = objection(operation, counts, state)
    if (why === undefined) continue
    const { client, question } = operation
    world.violate(why.rule, `client ${client}, ${question.do} ${question.key}: ${why.what}`)
    return
  }
}

interface Objection {
  readonly rule: 'SI7' | 'SI8'
  readonly what: string
}

function objection(
  { question, answer }: Operation,
  counts: ReadonlyMap<string, number>,
  state: StateChecker,
): Objection | undefined {
  const count = 'value' in question ? (counts.get(question.value) ?? 0) : 0
  if (count > 1) return { rule: 'SI8', what: `it happened ${count} times` }
  if (answer === undefined || answer.is === 'unknown') return undefined
  if (answer.is === 'refused') {
    return count > 0 ? { rule: 'SI8', what: 'it was refused, and happened' } : undefined
  }
  if (answer.revision > state.revision) {
    return { rule: 'SI8', what: `revision ${answer.revision} was told of, and is lost` }
  }
  const there = state.valueAt(question.key, answer.revision)
  if (answer.is === 'found') {
    return there === answer.value
      ? undefined
      : { rule: 'SI7', what: `what was read is not what revision ${answer.revision} holds` }
  }
  const expected = question.do === 'delete' ? undefined : 'value' in question && question.value
  if (answer.hasChanged || question.do === 'delete') {
    return there === expected
      ? undefined
      : {
          rule: 'SI8',
          what: `it was acknowledged at revision ${answer.revision}, and is not there`,
        }
  }
  if (question.do !== 'swap') return { rule: 'SI8', what: 'it was acknowledged, and did nothing' }
  return there === question.expected
    ? { rule: 'SI7', what: `it did nothing, although revision ${answer.revision} is as it claims` }
    : undefined
}

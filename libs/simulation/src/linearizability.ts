import type { Operation } from './history.ts'

export type Judgement = 'linearizable' | 'not linearizable' | 'undecided'

/**
 * Judges a history by what clients saw alone (Wing and Gong, with Lowe's memory of what was tried), key
 * by key, because operations on different keys do not disturb each other. An operation whose outcome
 * nobody knows may have happened at any time after it was called, or not at all.
 */
export function judge(operations: readonly Operation[], stepsMax = 20_000): Judgement {
  const byKey = Map.groupBy(operations, ({ question }) => question.key)
  let isUndecided = false
  for (const ofKey of byKey.values()) {
    const judgement = judgeKey(withoutUnseen(ofKey), stepsMax)
    if (judgement === 'not linearizable') return judgement
    isUndecided ||= judgement === 'undecided'
  }
  return isUndecided ? 'undecided' : 'linearizable'
}

type Value = string | undefined

/** Whether an operation could have had its answer with this value, and the value afterwards. */
function act({ question, answer }: Operation, value: Value): { readonly next: Value } | undefined {
  const isKnown = answer?.is === 'done' || answer?.is === 'found'
  switch (question.do) {
    case 'get':
      return answer?.is !== 'found' || answer.value === value ? { next: value } : undefined
    case 'put':
      return { next: question.value }
    case 'delete': {
      const hasChanged = value !== undefined
      const fits = !isKnown || (answer?.is === 'done' && answer.hasChanged === hasChanged)
      return fits ? { next: undefined } : undefined
    }
    default: {
      const holds = value === question.expected
      const fits = !isKnown || (answer?.is === 'done' && answer.hasChanged === holds)
      return fits ? { next: holds ? question.value : value } : undefined
    }
  }
}

/**
 * Leaves out what says nothing: refused operations, reads without an answer, and writes of unknown
 * outcome whose value nobody saw. Of the last only where no swap failed: it may have failed because of
 * such a write.
 */
function withoutUnseen(operations: readonly Operation[]): readonly Operation[] {
  const seen = new Set(
    operations.flatMap(({ question, answer }) => [
      ...(answer?.is === 'found' ? [answer.value] : []),
      ...(question.do === 'swap' ? [question.expected] : []),
    ]),
  )
  const hasFailedClaim = operations.some(
    ({ question, answer }) =>
      (question.do === 'swap' || question.do === 'delete') &&
      answer?.is === 'done' &&
      (!answer.hasChanged || question.do === 'delete'),
  )
  return operations.filter(({ question, answer }) => {
    if (answer?.is === 'refused') return false
    if (answer !== undefined && answer.is !== 'unknown') return true
    if (question.do === 'get') return false
    return hasFailedClaim || question.do === 'delete' || seen.has(question.value)
  })
}

/** When it has happened at the latest. */
const endOf = ({ answer, answeredAt }: Operation): number =>
  answer === undefined || answer.is === 'unknown' ? Infinity : (answeredAt ?? Infinity)

function judgeKey(operations: readonly Operation[], stepsMax: number): Judgement {
  const count = operations.length
  const mustHappen = operations.filter((operation) => endOf(operation) < Infinity).length
  const tried = new Set<string>()
  const isDone = new Uint8Array(count)
  let steps = 0

  const search = (value: Value, knownLeft: number): Judgement => {
    if (knownLeft === 0) return 'linearizable'
    if (++steps > stepsMax) return 'undecided'
    const state = `${Buffer.from(isDone).toString('latin1')} ${value ?? ''}`
    if (tried.has(state)) return 'not linearizable'
    tried.add(state)
    // Whatever was called after one of the others had been answered comes after it.
    let earliestEnd = Infinity
    for (let at = 0; at < count; at++) {
      const operation = operations[at]
      if (isDone[at] === 0 && operation) earliestEnd = Math.min(earliestEnd, endOf(operation))
    }
    for (let at = 0; at < count; at++) {
      const operation = operations[at]
      if (operation === undefined || isDone[at] === 1) continue
      // In the order of their calls: none of those that follow was called earlier.
      if (operation.calledAt > earliestEnd) break
      const happened = act(operation, value)
      if (happened === undefined) continue
      isDone[at] = 1
      const isKnown = endOf(operation) < Infinity
      const judgement = search(happened.next, knownLeft - (isKnown ? 1 : 0))
      if (judgement !== 'not linearizable') return judgement
      isDone[at] = 0
    }
    return 'not linearizable'
  }
  return search(undefined, mustHappen)
}

import type { World } from './world.ts'

/** What a client asks for. Values are texts that can be compared; every value is put by one operation. */
export type Question =
  | { readonly do: 'put'; readonly key: string; readonly value: string }
  | { readonly do: 'delete'; readonly key: string }
  /** Puts `value` if the key's value is `expected`; undefined means that there is none. */
  | {
      readonly do: 'swap'
      readonly key: string
      readonly expected: string | undefined
      readonly value: string
    }
  | { readonly do: 'get'; readonly key: string }

/** What it was told. `revision` is where in the history the answer belongs. */
export type Answer =
  | { readonly is: 'done'; readonly revision: number; readonly hasChanged: boolean }
  | { readonly is: 'found'; readonly revision: number; readonly value: string | undefined }
  /** Nothing happened, and nothing ever will. */
  | { readonly is: 'refused' }
  | { readonly is: 'unknown' }

export interface Operation {
  readonly client: number
  readonly question: Question
  /** Places in the order of all calls and answers of the run. */
  readonly calledAt: number
  answeredAt: number | undefined
  answer: Answer | undefined
  /** The newest revision that anybody had been told of when it was called. */
  readonly atLeast: number
}

/**
 * All that clients asked and were told. While it is written, it is checked that answers respect time
 * (SI7): what was told before a question was asked is part of its answer.
 */
export class History {
  readonly operations: Operation[] = []
  readonly #world: World
  #order = 0
  #newestTold = 0

  constructor(world: World) {
    this.#world = world
  }

  call(client: number, question: Question): Operation {
    const calledAt = this.#order++
    const atLeast = this.#newestTold
    const operation: Operation = {
      client,
      question,
      calledAt,
      atLeast,
      answeredAt: undefined,
      answer: undefined,
    }
    this.operations.push(operation)
    return operation
  }

  answer(operation: Operation, answer: Answer): void {
    operation.answeredAt = this.#order++
    operation.answer = answer
    const { client, question, atLeast } = operation
    this.#world.count(`${question.do} ${answer.is}`)
    this.#world.note(`client ${client} ${question.do} ${question.key}: ${describeAnswer(answer)}`, {
      event: 'answer',
      client,
      question: question.do,
      key: question.key,
      answer: answer.is,
      ...('revision' in answer && { revision: answer.revision }),
    })
    if (answer.is !== 'done' && answer.is !== 'found') return
    const isChange = answer.is === 'done' && answer.hasChanged
    if (isChange ? answer.revision <= atLeast : answer.revision < atLeast) {
      this.#world.violate(
        'SI7',
        `${question.do} ${question.key} was answered from revision ${answer.revision}, when ${atLeast} had been told before it was asked`,
      )
    }
    this.#newestTold = Math.max(this.#newestTold, answer.revision)
  }

  get openCount(): number {
    return this.operations.filter(({ answer }) => answer === undefined).length
  }
}

const describeAnswer = (answer: Answer): string =>
  answer.is === 'done'
    ? `revision ${answer.revision}${answer.hasChanged ? '' : ', nothing changed'}`
    : answer.is === 'found'
      ? `${answer.value === undefined ? 'nothing' : 'a value'} at revision ${answer.revision}`
      : answer.is

import { OutcomeUnknown, Unavailable } from '@conclave/actors'
import { sealEnvelope, type Dek } from '@conclave/crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import type { ApplyResult, SessionRef, Txn } from '@conclave/store'
import type { Dice } from './dice.ts'
import type { Answer, History, Operation, Question } from './history.ts'
import type { Member } from './member.ts'
import { ProcessGone } from './process.ts'
import { valueText } from './state-checker.ts'
import type { World } from './world.ts'

export interface ClientOptions {
  readonly world: World
  readonly id: number
  readonly dice: Dice
  readonly members: readonly [Member, ...Member[]]
  readonly history: History
  readonly keys: readonly [string, ...string[]]
  /** Mean time between an answer and the next question. */
  readonly thinkUs: number
  readonly stubbornPermille: number
  /** Values are sealed before they go anywhere, as the leader of a live group does. */
  readonly dek: Dek
  /** What is searched for afterwards: it begins each value. */
  readonly canaryText: string
}

/** Asks one thing after another of whichever member answers. It may ask one that is not the leader. */
export class Client {
  readonly #options: ClientOptions
  /** What it last saw of each key. */
  readonly #seen = new Map<string, string | undefined>()
  #member: Member
  #askedCount = 0
  #saidCount = 0
  /** Some do little but read: who waits for a write sees nothing meanwhile. */
  readonly #readPercent: number
  /** Some never give up: what they were not told of, they ask again in the same words. */
  readonly #isStubborn: boolean
  #isDone = false

  constructor(options: ClientOptions) {
    this.#options = options
    this.#member = options.dice.pick(options.members)
    this.#readPercent = options.dice.pick([40, 40, 97])
    this.#isStubborn = options.dice.permille(options.stubbornPermille)
  }

  start(): void {
    this.#later()
  }

  stop(): void {
    this.#isDone = true
  }

  #later(): void {
    const { world, dice, thinkUs } = this.#options
    world.after(dice.around(thinkUs), () => {
      if (!this.#isDone) void this.#ask()
    })
  }

  async #ask(): Promise<void> {
    const { history, id, dice, members, world } = this.#options
    if (dice.permille(200) || this.#member.state !== 'up') this.#member = dice.pick(members)
    if (this.#member.state === 'up') {
      const operation = history.call(id, this.#draw())
      const answer = await this.#lastAnswerTo(operation)
      if (answer !== undefined) {
        history.answer(operation, answer)
        if (answer.is === 'refused' || answer.is === 'unknown') this.#member = dice.pick(members)
      }
    }
    if (world.violation === undefined) this.#later()
  }

  /** A write that is waited for by name, after all was healed. */
  async lastWord(member: Member): Promise<void> {
    const { history, id, keys } = this.#options
    this.#member = member
    const operation = history.call(id, { do: 'put', key: keys[0], value: this.#newValue(keys[0]) })
    const answer = await this.#answerTo(operation)
    if (answer !== undefined) history.answer(operation, answer)
  }

  /** Of a stubborn client's write, whatever became of the first attempt. */
  async #lastAnswerTo(operation: Operation): Promise<Answer | undefined> {
    const { id, dice, members, world } = this.#options
    if (!this.#isStubborn || operation.question.do === 'get') return this.#answerTo(operation)
    const session = { client: `client ${id}`, seq: ++this.#saidCount }
    let answer = await this.#answerTo(operation, session)
    if (answer?.is !== 'unknown') return answer
    // It may happen yet, so that a refusal says nothing any more.
    while (answer !== undefined && answer.is !== 'done' && world.violation === undefined) {
      await world.sleep(dice.around(100_000))
      this.#member = dice.pick(members)
      answer = await this.#answerTo(operation, session)
    }
    return answer
  }

  async #answerTo({ question }: Operation, session?: SessionRef): Promise<Answer | undefined> {
    try {
      const answer = await this.#member.call(async (replica, store) => {
        if (question.do !== 'get') return answerOf(await replica.propose(txnOf(question), session))
        await replica.linearize()
        const value = valueText(store.get(question.key)?.value)
        return { is: 'found', revision: store.revision, value } as const
      })
      if (answer.is === 'found') this.#seen.set(question.key, answer.value)
      else if ('value' in question && answer.hasChanged)
        this.#seen.set(question.key, question.value)
      else if (question.do === 'delete') this.#seen.set(question.key, undefined)
      return answer
    } catch (error) {
      if (error instanceof Unavailable) return { is: 'refused' }
      if (error instanceof OutcomeUnknown || error instanceof ProcessGone) return { is: 'unknown' }
      this.#options.world.violate('SI9', `client ${this.#options.id} is told ${String(error)}`)
      return undefined
    }
  }

  #draw(): Question {
    const { dice, keys } = this.#options
    const key = dice.pick(keys)
    if (dice.below(100) < this.#readPercent) return { do: 'get', key }
    const chance = dice.below(100)
    if (chance < 58) return { do: 'put', key, value: this.#newValue(key) }
    if (chance < 70) return { do: 'delete', key }
    return { do: 'swap', key, expected: this.#seen.get(key), value: this.#newValue(key) }
  }

  #newValue(key: string): string {
    const { id, dice, dek, canaryText } = this.#options
    const version = ++this.#askedCount
    const plaintext = new Redacted(utf8(`${canaryText} ${id}/${version}`))
    const place = { clusterId: 'simulated', path: key, version }
    return valueText(sealEnvelope({ ...place, dek, plaintext, random: dice })) ?? ''
  }
}

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'base64')

function txnOf(question: Exclude<Question, { do: 'get' }>): Txn {
  const { key } = question
  if (question.do === 'delete') return { compare: [], success: [{ do: 'delete', key }] }
  const success = [{ do: 'put', key, value: bytesOf(question.value) }] as const
  if (question.do === 'put') return { compare: [], success }
  return {
    compare: [
      question.expected === undefined
        ? { key, target: 'version', is: '=', operand: 0 }
        : { key, target: 'value', is: '=', operand: bytesOf(question.expected) },
    ],
    success,
  }
}

function answerOf({ revision, succeeded, responses }: ApplyResult): Answer & { is: 'done' } {
  return { is: 'done', revision, hasChanged: succeeded && (responses[0] ?? 0) > 0 }
}

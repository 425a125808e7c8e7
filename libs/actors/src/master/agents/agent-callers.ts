import type { CallerKnown, FromAgent } from '@conclave/model'
import type { Access } from '../access.ts'
import { principalOf } from '../identity/credentials.ts'
import { LoginThrottled } from '../errors.ts'
import type { IdentityApi } from '../master-api.ts'
import { operatorResource } from '../resources.ts'

type AskCaller = Extract<FromAgent, { type: 'ask-caller' }>

export interface AgentCallersOptions {
  readonly identity: IdentityApi
  readonly access: Access
  readonly onProblem: (what: string, error: unknown) => void
}

/** Calls that only look. Reading a file is none of them: a sandbox is a task's own. */
const isRead = (call: string): boolean => call.startsWith('GET_')

/**
 * Who calls at an agent. People and programs have their passwords and tokens with the masters alone, so
 * an agent hands on what it was shown, over its own link, and hears a name and one right: nothing that
 * it could use later, or elsewhere. What an operator changes is on record before the agent hears of it.
 */
export class AgentCallers {
  readonly #options: AgentCallersOptions

  constructor(options: AgentCallersOptions) {
    this.#options = options
  }

  async answer(agentName: string, question: AskCaller): Promise<CallerKnown> {
    const { requestId } = question
    const told = { type: 'caller-known', requestId } as const
    try {
      return { ...told, ...(await this.#who(agentName, question)) }
    } catch (error) {
      if (error instanceof LoginThrottled) {
        const { retryAfterSeconds } = error
        return { ...told, outcome: 'throttled', retryAfterSeconds }
      }
      this.#options.onProblem('a caller of an agent could not be looked up', error)
      return { ...told, outcome: 'unavailable' }
    }
  }

  async #who(
    agentName: string,
    { requestId, authorization, source, call }: AskCaller,
  ): Promise<
    | { readonly outcome: 'unknown' }
    | { readonly outcome: 'known'; readonly uid: string; readonly isOperator: boolean }
  > {
    const { identity, access } = this.#options
    const who = await principalOf(identity, authorization, source)
    if (who === undefined) return { outcome: 'unknown' }
    const { expiresAtMs, ...principal } = who
    const caller = { principal, requestId, expiresAtMs }
    const isOperator = access.may(caller, operatorResource, 'full')
    if (!isRead(call)) {
      const outcome = isOperator ? 'allowed' : 'denied'
      await access.audit(caller, 'administer', `agent/${agentName}/${call}`, outcome)
    }
    return { outcome: 'known', uid: principal.uid, isOperator }
  }
}

import { MembershipBusy, MembershipRefused, NotLeader, Unavailable } from './errors.ts'
import type { Caller, MemberApi, MemberView } from './master-api.ts'
import { askLeader, failedAnswer, led, type LedOptions } from './led.ts'
import type { Administration, PeerAnswer } from './peer-questions.ts'

/**
 * Who the masters are, asked of any of them: one that does not lead asks the leader on the caller's behalf. Whether
 * the caller may is decided, and put on record, by both.
 */
export class LedMembers implements MemberApi {
  readonly #options: LedOptions<MemberApi>

  constructor(options: LedOptions<MemberApi>) {
    this.#options = options
  }

  async list(caller: Caller): Promise<readonly MemberView[]> {
    const { own } = this.#options
    return this.#led(() => own.list(caller), caller, { do: 'list' })
  }

  async promote(caller: Caller, masterId: string): Promise<MemberView> {
    const { own } = this.#options
    const mine = async (): Promise<readonly MemberView[]> => [await own.promote(caller, masterId)]
    return theOne(await this.#led(mine, caller, { do: 'promote', masterId }), masterId)
  }

  async demote(caller: Caller, masterId: string): Promise<MemberView> {
    const { own } = this.#options
    const mine = async (): Promise<readonly MemberView[]> => [await own.demote(caller, masterId)]
    return theOne(await this.#led(mine, caller, { do: 'demote', masterId }), masterId)
  }

  async remove(
    caller: Caller,
    masterId: string,
    options: { readonly force?: boolean } = {},
  ): Promise<void> {
    const { own } = this.#options
    const mine = async (): Promise<readonly MemberView[]> => {
      await own.remove(caller, masterId, options)
      return []
    }
    const { force = false } = options
    await this.#led(mine, caller, { do: 'remove', masterId, force })
  }

  async leave(caller: Caller, masterId: string): Promise<void> {
    const { own } = this.#options
    const mine = async (): Promise<readonly MemberView[]> => {
      await own.leave(caller, masterId)
      return []
    }
    await this.#led(mine, caller, { do: 'leave', masterId })
  }

  #led(
    mine: () => Promise<readonly MemberView[]>,
    { principal, requestId }: Caller,
    what: Administration['what'],
  ): Promise<readonly MemberView[]> {
    const by = { uid: principal.uid, requestId }
    return led(this.#options, mine, async (leader) =>
      answered(await askLeader(this.#options.peers, leader, { ask: 'administer', what, by })),
    )
  }
}

/** What the leader did for another master, as an answer to it. */
export async function administer(
  own: MemberApi,
  { what, by }: Administration,
): Promise<PeerAnswer> {
  const caller: Caller = { principal: { uid: by.uid }, requestId: by.requestId }
  try {
    return { answer: 'administered', members: [...(await done(own, caller, what))] }
  } catch (error) {
    return failedAnswer(error)
  }
}

async function done(
  own: MemberApi,
  caller: Caller,
  what: Administration['what'],
): Promise<readonly MemberView[]> {
  switch (what.do) {
    case 'list':
      return own.list(caller)
    case 'promote':
      return [await own.promote(caller, what.masterId)]
    case 'demote':
      return [await own.demote(caller, what.masterId)]
    case 'remove':
      await own.remove(caller, what.masterId, { force: what.force })
      return []
    case 'leave':
    default:
      await own.leave(caller, what.masterId)
      return []
  }
}

function answered(answer: PeerAnswer): readonly MemberView[] {
  if (answer.answer === 'administered') {
    return answer.members.map((view) => ({ ...view, lag: view.lag }))
  }
  if (answer.answer !== 'failed') throw new NotLeader()
  if (answer.code === 'member.refused') throw new MembershipRefused(answer.why)
  if (answer.code === 'member.busy') throw new MembershipBusy()
  if (answer.code === 'cluster.not-leader') throw new NotLeader()
  throw new Unavailable(answer.why)
}

function theOne(members: readonly MemberView[], masterId: string): MemberView {
  const [only] = members
  if (only !== undefined) return only
  throw new MembershipRefused(`node ${masterId} not found`)
}

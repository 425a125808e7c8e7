import { MembershipRefused } from '../master/errors.ts'
import type { Caller, MemberApi, MemberView } from '../master/master-api.ts'

/** The members of a {@link FakeMaster}: itself, and whom a test has added. Remembers what was asked. */
export class FakeMembers implements MemberApi {
  readonly asked: string[] = []
  views: MemberView[] = [
    {
      masterId: 'master-1',
      nodeId: 1,
      role: 'leader',
      isReachable: true,
      lag: 0,
      listeners: {},
    },
  ]
  readonly #enter: () => void

  constructor(enter: () => void) {
    this.#enter = enter
  }

  async list(_caller: Caller): Promise<readonly MemberView[]> {
    this.#enter()
    return this.views
  }

  promote(caller: Caller, masterId: string): Promise<MemberView> {
    return this.#change(caller, 'promote', masterId, 'voter')
  }

  demote(caller: Caller, masterId: string): Promise<MemberView> {
    return this.#change(caller, 'demote', masterId, 'learner')
  }

  async remove(
    { principal }: Caller,
    masterId: string,
    { force = false }: { readonly force?: boolean } = {},
  ): Promise<void> {
    this.#enter()
    this.asked.push(`${principal.uid} remove ${masterId}${force ? ' by force' : ''}`)
    this.#find(masterId)
    this.views = this.views.filter((view) => view.masterId !== masterId)
  }

  async leave({ principal }: Caller, masterId: string): Promise<void> {
    this.#enter()
    this.asked.push(`${principal.uid} leave ${masterId}`)
    this.#find(masterId)
  }

  async #change(
    { principal }: Caller,
    what: string,
    masterId: string,
    role: MemberView['role'],
  ): Promise<MemberView> {
    this.#enter()
    this.asked.push(`${principal.uid} ${what} ${masterId}`)
    const view = { ...this.#find(masterId), role }
    this.views = this.views.map((one) => (one.masterId === masterId ? view : one))
    return view
  }

  #find(masterId: string): MemberView {
    const view = this.views.find((one) => one.masterId === masterId)
    if (view === undefined) throw new MembershipRefused(`node ${masterId} not found`)
    return view
  }
}

import type { AgentChannel } from './agent-channel.ts'
import type { Members } from '../members.ts'

/**
 * Tells agents who the masters are. Who knew only the first ones must still find the cluster when all of
 * these have been replaced.
 */
export class ToldMasters {
  readonly #members: Pick<Members, 'places'>
  #last = ''

  constructor(members: Pick<Members, 'places'>) {
    this.#members = members
  }

  /** Whether they are others, or elsewhere, than when this was asked before. */
  isNews(): boolean {
    const now = JSON.stringify(this.#members.places())
    const isNew = now !== this.#last
    this.#last = now
    return isNew
  }

  tell(channel: Pick<AgentChannel, 'send'>): void {
    const masters = this.#members
      .places()
      .map(({ masterId, nodeId, listeners }) => ({ masterId, nodeId, listeners: { ...listeners } }))
    channel.send({ type: 'masters', masters })
  }
}

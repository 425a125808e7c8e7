import type { StateNews } from '@conclave/actors'
import { configNameAt } from '../configs/config-path.ts'
import { isAnnotationName } from '../names.ts'
import { networkKind } from '../networks/network-object.ts'
import { agentNodeId } from '../nodes.ts'
import type { Told } from './workload-events.ts'

const actions = { created: 'create', updated: 'update', removed: 'remove' } as const

/** What Docker's clients hear of a change in the state, if they hear of it at all. */
export function stateEvent(news: StateNews, clusterId: string): Told | undefined {
  const action = actions[news.change]
  switch (news.kind) {
    case 'secret': {
      const config = configNameAt(news.path)
      if (config !== undefined) return new AboutSealed('config', news, config, action)
      // Others are for other faces.
      return isAnnotationName(news.path)
        ? new AboutSealed('secret', news, news.path, action)
        : undefined
    }
    case 'document':
      return news.of === networkKind ? about('network', news.id, news.name, action) : undefined
    case 'agent':
      break
  }
  return about('node', agentNodeId(clusterId, news.agentId), news.hostname, action)
}

/** Made for each write of a secret, and nearly never told: its id is found when somebody asks for it. */
class AboutSealed implements Told {
  readonly type: 'secret' | 'config'
  readonly action: string
  readonly scope = 'swarm'
  readonly #news: { readonly id: string }
  readonly #name: string

  constructor(
    type: 'secret' | 'config',
    news: { readonly id: string },
    name: string,
    action: string,
  ) {
    this.type = type
    this.#news = news
    this.#name = name
    this.action = action
  }

  get id(): string {
    return this.#news.id
  }

  get attributes(): Told['attributes'] {
    return { name: this.#name }
  }
}

const about = (type: Told['type'], id: string, name: string, action: string): Told => ({
  type,
  action,
  id,
  attributes: { name },
  scope: 'swarm',
})

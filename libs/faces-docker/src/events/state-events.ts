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
      if (config !== undefined) return about('config', news.id, config, action)
      // Others are for other faces.
      return isAnnotationName(news.path) ? about('secret', news.id, news.path, action) : undefined
    }
    case 'document':
      return news.of === networkKind ? about('network', news.id, news.name, action) : undefined
    case 'agent':
      break
  }
  return about('node', agentNodeId(clusterId, news.agentId), news.hostname, action)
}

const about = (type: Told['type'], id: string, name: string, action: string): Told => ({
  type,
  action,
  id,
  attributes: { name },
  scope: 'swarm',
})

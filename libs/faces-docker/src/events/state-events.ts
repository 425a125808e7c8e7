import type { StateNews, Turn } from '@conclave/actors'
import { configNameAt } from '../configs/config-path.ts'
import { isAnnotationName } from '../names.ts'
import { networkKind } from '../networks/network-object.ts'
import { agentNodeId, masterNodeId } from '../nodes.ts'
import type { Told } from './event.ts'

const actions = { created: 'create', updated: 'update', removed: 'remove' } as const

/** What Docker's clients hear of a change in the state, if they hear of it at all. */
export function stateEvent(
  news: StateNews,
  clusterId: string,
  /** That it is about, as clients know it. */
  node?: NamedNode,
): Told | undefined {
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
    case 'node':
    case 'master':
      break
  }
  // What has no node any more had the id that an agent has by itself, or a master.
  return nodeEvent(news, node ?? formerNode(news, clusterId))
}

interface NamedNode {
  readonly id: string
  readonly name: string
}

export type NodeNews = Extract<StateNews, { readonly kind: 'agent' | 'node' | 'master' }>

function formerNode(news: NodeNews, clusterId: string): NamedNode | undefined {
  if (news.kind === 'agent') {
    return { id: agentNodeId(clusterId, news.agentId), name: news.hostname }
  }
  if (news.kind === 'node') return undefined
  return { id: masterNodeId(clusterId, news.masterId), name: news.masterId }
}

/** What turned into what, in SwarmKit's words, as attributes. */
function nodeEvent(news: NodeNews, node: NamedNode | undefined): Told | undefined {
  if (node === undefined) return undefined
  const turns =
    news.kind === 'agent'
      ? turned('state', news.state)
      : {
          ...(news.kind === 'node' && turned('availability', news.availability, 'active')),
          ...turned('role', inRoles(news), news.kind === 'node' ? 'worker' : undefined),
        }
  const isTurn = Object.keys(turns).length > 0
  // The first settings of an agent are no other node; where a master listens is nobody's news.
  if (news.kind === 'master' && news.change === 'updated' && !isTurn) return undefined
  const action = news.kind === 'node' ? 'update' : actions[news.change]
  return {
    type: 'node',
    action,
    id: node.id,
    attributes: { name: node.name, ...(action === 'update' && turns) },
    scope: 'swarm',
  }
}

const roles = { voter: 'manager', learner: 'worker', manager: 'manager', worker: 'worker' } as const

function inRoles({ role }: Extract<NodeNews, { readonly kind: 'node' | 'master' }>): Turn<string> {
  return {
    before: role.before && roles[role.before],
    after: role.after && roles[role.after],
  }
}

/** @param usual what it is where nobody has said anything */
function turned(
  what: string,
  turn: Turn<string>,
  usual?: string,
): Readonly<Record<string, string>> {
  const { before = usual, after = usual } = turn
  if (before === undefined || after === undefined || before === after) return {}
  return { [`${what}.old`]: before, [`${what}.new`]: after }
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

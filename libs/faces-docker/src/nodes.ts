import type { Caller, MasterApi, MemberView, NodeView } from '@conclave/actors'
import { agentNodeId, derivedObjectId } from '@conclave/crypto'
import { engineVersion } from './answers.ts'
import { engineAttribute, enginesOf } from './engine-nodes.ts'
import type { Engine } from './engine.ts'
import { lookup } from './lookup.ts'
import { rfc3339, zeroTime } from './times.ts'
import { managerLabels, noLabels, type ManagerLabels } from './manager-labels.ts'
import { tlsOfNodes } from './node-tls.ts'
import type { TlsInfo } from './tls-info.ts'

/*
 * Nodes of a swarm. A manager is a master, which runs no containers and so is shown as drained; a worker is
 * an agent; an engine's master and agent are one node. Source: docker-swarm.md A5 and objects.json, `GET /nodes/{id}`.
 */

export interface NodeObject {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly CreatedAt: string
  readonly UpdatedAt: string
  readonly Spec: {
    readonly Labels: Readonly<Record<string, string>>
    readonly Role: 'manager' | 'worker'
    readonly Availability: 'active' | 'pause' | 'drain'
  }
  readonly Description: {
    readonly Hostname: string
    readonly Platform: { readonly Architecture: string; readonly OS: string }
    readonly Resources: { readonly NanoCPUs: number; readonly MemoryBytes: number }
    readonly Engine: {
      readonly EngineVersion: string
      readonly Labels?: Readonly<Record<string, string>>
      readonly Plugins: readonly { readonly Type: string; readonly Name: string }[]
    }
    readonly TLSInfo: TlsInfo
  }
  readonly Status: {
    readonly State: 'ready' | 'down'
    readonly Addr: string
    readonly Message?: string
  }
  readonly ManagerStatus?: {
    readonly Leader?: boolean
    readonly Reachability: 'reachable' | 'unreachable'
    readonly Addr: string
  }
}

export interface Node {
  readonly object: NodeObject
  /**
   * What it is behind this face: an agent can be drained and labelled, a master promoted and demoted. A
   * machine of an engine's can be both.
   */
  readonly is: { readonly master?: MemberView | undefined; readonly agent?: NodeView | undefined }
}

export const masterNodeId = (clusterId: string, masterId: string): string =>
  derivedObjectId(clusterId, 'node', 'master', masterId)

export { agentNodeId } from '@conclave/crypto'

/** Managers first. */
export async function nodesOf({ master }: Engine, caller: Caller): Promise<readonly Node[]> {
  const { clusterId } = master.status()
  const authority = await master.authority.status(caller)
  const tls = tlsOfNodes(authority)
  const { promotions } = authority
  const engines = await enginesOf(master, caller, promotions)
  const masters = await mastersOf(master, caller)
  const agents = await master.nodes.list(caller)
  const own = new Map(
    masters.flatMap(({ masterId }) => {
      const agent = agents.find(({ name }) => name === engines.get(masterId))
      return agent === undefined ? [] : [[masterId, agent] as const]
    }),
  )
  const alone = agents.filter((agent) => ![...own.values()].includes(agent))
  const labels = await managerLabels(master, caller)
  return [
    ...masters.map((view) => {
      const agent = own.get(view.masterId)
      const info = tls('master', view.masterId)
      const settings = labels.get(view.masterId)
      return agent === undefined
        ? managerNode(clusterId, view, info, settings)
        : engineNode(managerNode(clusterId, view, info, settings), agentOf(agent))
    }),
    ...alone.map(agentOf),
  ]

  function agentOf(view: NodeView): Node {
    const isPromoted = promotions.some(({ agent }) => agent === view.name)
    return workerNode(clusterId, view, tls('agent', view.name), isPromoted)
  }
}

/** The id of the node that this master is. */
export async function ownNodeId(engine: Engine, caller: Caller): Promise<string> {
  const { clusterId, masterId } = engine.master.status()
  const nodes = await nodesOf(engine, caller)
  const own = nodes.find(({ is }) => is.master?.masterId === masterId)
  return own?.object.ID ?? masterNodeId(clusterId, masterId)
}

/** The leader knows who can be reached, and is asked by any master. While nobody leads, this one knows who there is. */
async function mastersOf(master: MasterApi, caller: Caller): Promise<readonly MemberView[]> {
  try {
    return await master.members.list(caller)
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'cluster.not-leader') throw error
  }
  const { members, leader } = master.status()
  return members.map((member, at) => ({
    ...member,
    nodeId: at + 1,
    role: member.masterId === leader?.masterId ? 'leader' : 'voter',
    isReachable: true,
    lag: undefined,
  }))
}

export async function findNode(engine: Engine, caller: Caller, asked: string): Promise<Node> {
  const nodes = await nodesOf(engine, caller)
  const those = async (fits: (node: NodeObject) => boolean): Promise<readonly Node[]> =>
    nodes.filter(({ object }) => fits(object))
  return lookup('node', asked, {
    id: (id) => those(({ ID }) => ID === id),
    name: (name) => those(({ Description }) => Description.Hostname === name),
    idPrefix: (prefix) => those(({ ID }) => ID.startsWith(prefix)),
  })
}

/**
 * One that only learns is no manager to Docker: it has a say in nothing. What it shall be is its role all the same,
 * as in SwarmKit.
 */
function managerNode(
  clusterId: string,
  view: MemberView,
  tls: TlsInfo,
  { labels, revision }: ManagerLabels = noLabels,
): Node {
  const { masterId, role, isReachable, listeners, sinceMs } = view
  const since = sinceMs === undefined ? zeroTime : rfc3339(sinceMs)
  const { host = '127.0.0.1', port = 0 } = listeners['join'] ?? listeners['conclave'] ?? {}
  const isManager = role !== 'learner'
  const { wanted = isManager ? 'voter' : 'learner' } = view
  return {
    is: { master: view },
    object: {
      ID: masterNodeId(clusterId, masterId),
      Version: { Index: revision },
      CreatedAt: since,
      UpdatedAt: since,
      Spec: {
        Labels: labels,
        Role: wanted === 'voter' ? 'manager' : 'worker',
        Availability: 'drain',
      },
      Description: {
        Hostname: masterId,
        Platform: { Architecture: machine, OS: 'linux' },
        Resources: { NanoCPUs: 0, MemoryBytes: 0 },
        Engine: { EngineVersion: engineVersion, Plugins: [] },
        TLSInfo: tls,
      },
      Status: { State: isReachable ? 'ready' : 'down', Addr: host },
      ...(isManager && {
        ManagerStatus: {
          ...(role === 'leader' && { Leader: true }),
          Reachability: isReachable ? ('reachable' as const) : ('unreachable' as const),
          Addr: `${host}:${port}`,
        },
      }),
    },
  }
}

/** A machine that is both: what it runs is its agent's, what it has a say in is its master's. */
function engineNode(manager: Node, worker: Node): Node {
  const { Spec, Status, ManagerStatus, Description } = manager.object
  return {
    is: { ...manager.is, ...worker.is },
    object: {
      ...worker.object,
      Spec: { ...worker.object.Spec, Role: Spec.Role },
      // Both have to have shown a certificate of the root that is wanted.
      Description: {
        ...worker.object.Description,
        TLSInfo:
          worker.object.Description.TLSInfo.TrustRoot === Description.TLSInfo.TrustRoot
            ? Description.TLSInfo
            : worker.object.Description.TLSInfo,
      },
      Status: {
        ...worker.object.Status,
        Addr: Status.Addr,
      },
      ...(ManagerStatus && { ManagerStatus }),
    },
  }
}

function workerNode(clusterId: string, view: NodeView, tls: TlsInfo, isPromoted: boolean): Node {
  const { cpus, mem } = view.resources
  const { os: _os, arch: _arch, [engineAttribute]: _engine, ...labels } = view.attributes
  return {
    is: { agent: view },
    object: {
      ID: agentNodeId(clusterId, view.agentId),
      Version: { Index: view.version },
      CreatedAt: rfc3339(view.registeredAtMs),
      UpdatedAt: rfc3339(view.registeredAtMs),
      // What constraints know it as is another matter: it has a say in nothing.
      Spec: {
        Labels: view.labels,
        Role: isPromoted ? 'manager' : 'worker',
        Availability: view.availability,
      },
      Description: {
        Hostname: view.hostname,
        Platform: { Architecture: view.platform.arch, OS: view.platform.os },
        Resources: {
          NanoCPUs: Math.round((cpus?.total ?? 0) * 1e9),
          MemoryBytes: (mem?.total ?? 0) * 1024 * 1024,
        },
        Engine: {
          EngineVersion: engineVersion,
          ...(Object.keys(labels).length > 0 && { Labels: labels }),
          Plugins: [{ Type: 'Volume', Name: 'local' }],
        },
        TLSInfo: tls,
      },
      Status:
        view.state === 'ready'
          ? { State: 'ready', Addr: '127.0.0.1' }
          : { State: 'down', Addr: '127.0.0.1', Message: 'heartbeat failure' },
    },
  }
}

const machine = process.arch === 'x64' ? 'x86_64' : process.arch

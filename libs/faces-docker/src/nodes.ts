import type { Caller, MasterApi, MemberView, NodeView } from '@conclave/actors'
import { derivedObjectId } from '@conclave/crypto'
import { engineVersion } from './answers.ts'
import type { Engine } from './engine.ts'
import { lookup } from './lookup.ts'
import { rfc3339, zeroTime } from './times.ts'
import { tlsInfo, type TlsInfo } from './tls-info.ts'

/*
 * Nodes of a swarm. A manager is a master, which runs no containers and so is shown as drained; a worker is
 * an agent. Source: docker-swarm.md A5 and objects.json, `GET /nodes/{id}`.
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
    readonly State: 'ready' | 'down' | 'disconnected'
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
  /** What it is behind this face: an agent can be drained and labelled, a master promoted and demoted. */
  readonly is: { readonly master: MemberView } | { readonly agent: NodeView }
}

export const masterNodeId = (clusterId: string, masterId: string): string =>
  derivedObjectId(clusterId, 'node', 'master', masterId)

export const agentNodeId = (clusterId: string, agentId: string): string =>
  derivedObjectId(clusterId, 'node', 'agent', agentId)

/** Managers first. */
export async function nodesOf({ master }: Engine, caller: Caller): Promise<readonly Node[]> {
  const { clusterId } = master.status()
  const { rootPem } = await master.authority.status(caller)
  const tls = tlsInfo(rootPem)
  const masters = await mastersOf(master, caller)
  const agents = await master.nodes.list(caller)
  return [
    ...masters.map((view) => managerNode(clusterId, view, tls)),
    ...agents.map((view) => workerNode(clusterId, view, tls)),
  ]
}

/** The leader knows who can be reached; the others know who there is. */
async function mastersOf(master: MasterApi, caller: Caller): Promise<readonly MemberView[]> {
  const { role, members, leader } = master.status()
  if (role === 'leader') return master.members.list(caller)
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

function managerNode(clusterId: string, view: MemberView, tls: TlsInfo): Node {
  const { masterId, role, isReachable, listeners } = view
  const { host = '127.0.0.1', port = 0 } = listeners['peers'] ?? listeners['conclave'] ?? {}
  return {
    is: { master: view },
    object: {
      ID: masterNodeId(clusterId, masterId),
      Version: { Index: managerVersion },
      CreatedAt: zeroTime,
      UpdatedAt: zeroTime,
      Spec: { Labels: {}, Role: 'manager', Availability: 'drain' },
      Description: {
        Hostname: masterId,
        Platform: { Architecture: machine, OS: 'linux' },
        Resources: { NanoCPUs: 0, MemoryBytes: 0 },
        Engine: { EngineVersion: engineVersion, Plugins: [] },
        TLSInfo: tls,
      },
      Status: { State: isReachable ? 'ready' : 'down', Addr: host },
      ManagerStatus: {
        ...(role === 'leader' && { Leader: true }),
        Reachability: isReachable ? 'reachable' : 'unreachable',
        Addr: `${host}:${port}`,
      },
    },
  }
}

function workerNode(clusterId: string, view: NodeView, tls: TlsInfo): Node {
  const { cpus, mem } = view.resources
  return {
    is: { agent: view },
    object: {
      ID: agentNodeId(clusterId, view.agentId),
      Version: { Index: view.version },
      CreatedAt: rfc3339(view.registeredAtMs),
      UpdatedAt: rfc3339(view.registeredAtMs),
      Spec: { Labels: view.labels, Role: view.role, Availability: view.availability },
      Description: {
        Hostname: view.hostname,
        Platform: { Architecture: view.platform.arch, OS: view.platform.os },
        Resources: {
          NanoCPUs: Math.round((cpus?.total ?? 0) * 1e9),
          MemoryBytes: (mem?.total ?? 0) * 1024 * 1024,
        },
        Engine: {
          EngineVersion: engineVersion,
          Labels: view.attributes,
          Plugins: [{ Type: 'Volume', Name: 'local' }],
        },
        TLSInfo: tls,
      },
      Status: { State: view.state, Addr: '127.0.0.1' },
    },
  }
}

/** Nothing of a master can be set but its role, and that is compared by the master itself. */
const managerVersion = 1

const machine = process.arch === 'x64' ? 'x86_64' : process.arch

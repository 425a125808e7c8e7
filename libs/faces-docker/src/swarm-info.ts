import type { FastifyRequest } from 'fastify'
import { callerOf, type Engine } from './engine.ts'
import { nodesOf } from './nodes.ts'
import { swarmOf } from './swarm-gate.ts'
import { pingState, type SwarmState } from './swarm-node.ts'
import { swarmObject } from './swarm-routes.ts'

/** The `Swarm` part of what `docker info` shows. Source: docker-swarm.md A5, moby's daemon/cluster. */
export async function swarmInfo(engine: Engine, request: FastifyRequest): Promise<object> {
  const state: SwarmState = engine.node?.state ?? { is: 'manager' }
  switch (state.is) {
    case 'manager':
      return managerInfo(engine, request)
    case 'worker':
      return {
        ...outside('active'),
        NodeID: state.nodeId,
        NodeAddr: state.address,
        RemoteManagers: state.managers.map(({ nodeId, address }) => ({
          NodeID: nodeId,
          Addr: address,
        })),
      }
    case 'error':
      return { ...outside('error'), Error: state.why }
    default:
      return outside(state.is)
  }
}

/** What `docker --help` goes by, on every answer to a ping. Source: docker-swarm.md A2. */
export async function pingHeader(engine: Engine, request: FastifyRequest): Promise<string> {
  if (engine.node !== undefined) return pingState(engine.node.state)
  try {
    const swarm = await swarmOf(engine, request)
    return pingState({ is: swarm === undefined ? 'inactive' : 'manager' })
  } catch {
    return pingState({ is: 'error', why: '' })
  }
}

async function managerInfo(engine: Engine, request: FastifyRequest): Promise<object> {
  const swarm = await swarmOf(engine, request)
  if (swarm === undefined) return outside('inactive')
  const caller = callerOf(engine, request)
  const { masterId } = engine.master.status()
  const all = await nodesOf(engine, caller)
  const own = all.find(({ is }) => is.master?.masterId === masterId)?.object
  const nodes = all.map(({ object }) => object)
  const managers = nodes.filter(({ ManagerStatus }) => ManagerStatus !== undefined)
  return {
    ...outside('active'),
    NodeID: own?.ID ?? '',
    NodeAddr: own?.Status.Addr ?? '',
    ControlAvailable: true,
    RemoteManagers: managers.map(({ ID, ManagerStatus }) => ({
      NodeID: ID,
      Addr: ManagerStatus?.Addr ?? '',
    })),
    Nodes: nodes.length,
    Managers: managers.length,
    Cluster: await swarmObject(engine, caller, swarm),
  }
}

const outside = (state: string): object => ({
  NodeID: '',
  NodeAddr: '',
  LocalNodeState: state,
  ControlAvailable: false,
  Error: '',
  RemoteManagers: null,
})

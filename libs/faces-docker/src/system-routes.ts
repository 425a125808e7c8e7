import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { engineVersion, sendJson } from './answers.ts'
import { callerOf, type Engine } from './engine.ts'
import { nodesOf, masterNodeId } from './nodes.ts'
import { swarmOf } from './swarm-gate.ts'
import { swarmObject } from './swarm-routes.ts'
import { apiVersion, apiVersionMin } from './versions.ts'

/** What a client asks before it asks anything else. Source: docker-swarm.md A2, A5. */
export const systemRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    app.route({
      method: ['GET', 'HEAD'],
      url: '/_ping',
      handler: async (request, reply) => {
        const body = request.method === 'HEAD' ? '' : 'OK'
        return reply
          .header('cache-control', 'no-cache, no-store, must-revalidate')
          .header('pragma', 'no-cache')
          .header('content-type', 'text/plain; charset=utf-8')
          .send(body)
      },
    })

    app.get('/version', async (_request, reply) => sendJson(reply, version))

    app.get('/info', async (request, reply) => sendJson(reply, await infoOf(engine, request)))
  }

const architecture = process.arch === 'x64' ? 'amd64' : process.arch

const version = {
  Platform: { Name: 'Conclave' },
  Components: [
    {
      Name: 'Engine',
      Version: engineVersion,
      Details: {
        ApiVersion: apiVersion,
        Arch: architecture,
        Experimental: 'false',
        MinAPIVersion: apiVersionMin,
        Os: 'linux',
      },
    },
  ],
  Version: engineVersion,
  ApiVersion: apiVersion,
  MinAPIVersion: apiVersionMin,
  GitCommit: '',
  GoVersion: '',
  Os: 'linux',
  Arch: architecture,
  BuildTime: '',
}

/** What `docker info` shows of this master and its swarm. */
async function infoOf(engine: Engine, request: FastifyRequest): Promise<object> {
  const { master, hostname } = engine
  const { clusterId, masterId } = master.status()
  return {
    ID: masterNodeId(clusterId, masterId),
    Containers: 0,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: 0,
    Driver: 'conclave',
    DriverStatus: null,
    SystemTime: new Date().toISOString(),
    LoggingDriver: 'json-file',
    OperatingSystem: 'Conclave',
    OSType: 'linux',
    Architecture: architecture === 'amd64' ? 'x86_64' : architecture,
    Name: hostname,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: engineVersion,
    Swarm: await swarmInfo(engine, request),
    SecurityOptions: [],
    Warnings: [
      'WARNING: containers are simulated; this is Conclave, which shows how secrets travel',
    ],
  }
}

async function swarmInfo(engine: Engine, request: FastifyRequest): Promise<object> {
  const swarm = await swarmOf(engine, request)
  if (swarm === undefined) return inactive
  const caller = callerOf(engine, request)
  const { clusterId, masterId } = engine.master.status()
  const nodes = (await nodesOf(engine, caller)).map(({ object }) => object)
  const managers = nodes.filter(({ ManagerStatus }) => ManagerStatus !== undefined)
  const own = masterNodeId(clusterId, masterId)
  const address = (node: (typeof nodes)[number] | undefined): string => node?.Status.Addr ?? ''
  return {
    NodeID: own,
    NodeAddr: address(managers.find(({ ID }) => ID === own)),
    LocalNodeState: 'active',
    ControlAvailable: true,
    Error: '',
    RemoteManagers: managers.map(({ ID, ManagerStatus }) => ({
      NodeID: ID,
      Addr: ManagerStatus?.Addr ?? '',
    })),
    Nodes: nodes.length,
    Managers: managers.length,
    Cluster: await swarmObject(engine, caller, swarm),
  }
}

const inactive = {
  NodeID: '',
  NodeAddr: '',
  LocalNodeState: 'inactive',
  ControlAvailable: false,
  Error: '',
  RemoteManagers: null,
}

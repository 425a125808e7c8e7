import { derivedObjectId } from '@conclave/crypto'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { engineVersion, sendJson } from './answers.ts'
import type { Engine } from './engine.ts'
import { masterNodeId } from './nodes.ts'
import { pingHeader, swarmInfo } from './swarm-info.ts'
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
          .header('swarm', await pingHeader(engine, request))
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

/** What `docker info` shows of this machine and its swarm. */
async function infoOf(engine: Engine, request: FastifyRequest): Promise<object> {
  const swarm = await swarmInfo(engine, request)
  return {
    ID: engineId(engine),
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
    Name: engine.hostname,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: engineVersion,
    Swarm: swarm,
    SecurityOptions: [],
    Warnings: [
      'WARNING: containers are simulated; this is Conclave, which shows how secrets travel',
    ],
  }
}

/** An engine is the same whatever it is a member of. */
function engineId({ node, hostname, master }: Engine): string {
  if (node !== undefined) return derivedObjectId('engine', hostname)
  const { clusterId, masterId } = master.status()
  return masterNodeId(clusterId, masterId)
}

import { release } from 'node:os'
import { derivedObjectId } from '@conclave/crypto'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { engineVersion, sendJson } from './answers.ts'
import { callerOf, type Engine } from './engine.ts'
import { masterNodeId } from './nodes.ts'
import { pingHeader, swarmInfo } from './swarm-info.ts'
import { diskUsage } from './system/disk-usage.ts'
import { machineInfo } from './system/machine-info.ts'
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

    app.get('/system/df', async (request, reply) =>
      sendJson(reply, await diskUsage(engine, callerOf(engine, request))),
    )

    app.get('/info', async (request, reply) => sendJson(reply, await infoOf(engine, request)))
  }

const architecture = process.arch === 'x64' ? 'amd64' : process.arch

/** There is no Go here; clients print this where they print its version. */
const runsOn = `none (Node.js ${process.version})`

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
        BuildTime: '',
        GitCommit: '',
        GoVersion: runsOn,
        KernelVersion: release(),
        MinAPIVersion: apiVersionMin,
        Os: 'linux',
      },
    },
  ],
  Version: engineVersion,
  ApiVersion: apiVersion,
  MinAPIVersion: apiVersionMin,
  GitCommit: '',
  GoVersion: runsOn,
  Os: 'linux',
  Arch: architecture,
  KernelVersion: release(),
  BuildTime: '',
}

/** What `docker info` shows of this machine and its swarm. */
async function infoOf(engine: Engine, request: FastifyRequest): Promise<object> {
  const swarm = await swarmInfo(engine, request)
  return {
    ID: engineId(engine),
    ...(await machineInfo(engine, callerOf(engine, request))),
    SystemTime: new Date().toISOString(),
    Architecture: architecture === 'amd64' ? 'x86_64' : architecture,
    Name: engine.hostname,
    ServerVersion: engineVersion,
    Swarm: swarm,
  }
}

/** An engine is the same whatever it is a member of. */
function engineId({ node, hostname, master }: Engine): string {
  if (node !== undefined) return derivedObjectId('engine', hostname)
  const { clusterId, masterId } = master.status()
  return masterNodeId(clusterId, masterId)
}

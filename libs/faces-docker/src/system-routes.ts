import type { FastifyPluginAsync } from 'fastify'
import { engineVersion, sendJson } from './answers.ts'
import { apiVersion, apiVersionMin } from './versions.ts'

/** What a client asks before it asks anything else. Source: docker-swarm.md A2, A5. */
export const systemRoutes = (): FastifyPluginAsync => async (app) => {
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

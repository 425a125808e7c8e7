import {
  familiarName,
  hub,
  manifestType,
  parseImageName,
  simulatedImage,
} from '@conclave/simulated-images'
import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../answers.ts'
import { simulatedImagesOf, type Engine } from '../engine.ts'
import { noSuchPage } from '../errors.ts'
import { invalidReference, notSimulated } from './image-refusals.ts'
import { splitEnd } from './path-end.ts'

interface Whole {
  readonly Params: { readonly '*': string }
}

/**
 * What a registry would say of a name: the CLI waits for it before it creates a service. Those of other
 * registries than Docker Hub are not answered for, since agents may pull them. Source: docker-swarm.md A8.
 */
export const distributionRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    app.get<Whole>('/distribution/*', async (request, reply) => {
      const [asked, what] = splitEnd(request.params['*'])
      if (what !== 'json') throw noSuchPage()
      const name = parseImageName(asked)
      if (name === undefined) throw invalidReference()
      const image =
        name.registry === hub ? simulatedImage(name, simulatedImagesOf(engine)) : undefined
      if (image === undefined) throw notSimulated(familiarName(name))
      return sendJson(reply, {
        Descriptor: {
          mediaType: manifestType,
          digest: image.digest,
          size: image.manifest.length,
        },
        // A simulated machine is of any kind.
        Platforms: ['amd64', 'arm64'].map((architecture) => ({ architecture, os: 'linux' })),
      })
    })
  }

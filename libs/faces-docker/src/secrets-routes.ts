import type { FastifyPluginAsync } from 'fastify'
import { sealedRoutes } from './configs/sealed-routes.ts'
import type { Engine } from './engine.ts'
import { rpc } from './errors.ts'
import { isAnnotationName } from './names.ts'
import { printable } from './printable.ts'
import { secretJson, secretObject } from './secret-object.ts'

/** 500 KiB, and not one byte of it. Source: docker-swarm.md A6. */
const dataBytesMax = 500 * 1024 - 1

/** The secrets of a swarm: the cluster's own, as far as they are not in a folder. */
export const secretsRoutes = (engine: Engine): FastifyPluginAsync =>
  sealedRoutes(engine, {
    what: 'secret',
    folder: '',
    pathOf: (name) => name,
    nameAt: (path) => (isAnnotationName(path) ? path : undefined),
    dataBytesMax,
    filters: ['id', 'name', 'names', 'label'],
    show: async (_caller, metadata) => secretObject(metadata),
    jsonOf: secretJson,
    checkDriver: async (name) => {
      if ((await engine.secretDrivers?.has(name)) === true) return
      throw rpc('Unknown', `plugin "${printable(name)}" not found`)
    },
  })

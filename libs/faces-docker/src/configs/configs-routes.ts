import { wipe } from '@conclave/kernel'
import type { FastifyPluginAsync } from 'fastify'
import type { Engine } from '../engine.ts'
import { rpc } from '../errors.ts'
import { driversOf, secretObject } from '../secret-object.ts'
import { configFolder, configNameAt, configPath } from './config-path.ts'
import { sealedRoutes } from './sealed-routes.ts'

/** 1000 KiB, and not one byte of it. Source: docker-swarm.md A6. */
const dataBytesMax = 1000 * 1024 - 1

/** The configs of a swarm: as secrets are, but that their data is shown. */
export const configsRoutes = (engine: Engine): FastifyPluginAsync =>
  sealedRoutes(engine, {
    what: 'config',
    folder: configFolder,
    pathOf: configPath,
    nameAt: configNameAt,
    dataBytesMax,
    filters: ['id', 'name', 'label'],
    show: async (caller, metadata) => {
      const { bytes } = await engine.master.secrets.read(caller, metadata.path)
      try {
        const { Spec, ...object } = secretObject(metadata)
        return {
          ...object,
          Spec: {
            Name: configNameAt(metadata.path),
            Labels: Spec.Labels,
            Data: Buffer.from(bytes.reveal()).toString('base64'),
            ...driversOf(metadata.labels),
          },
        }
      } finally {
        wipe(bytes)
      }
    },
    checkDriver: async () => {
      throw rpc('InvalidArgument', 'a config has no driver')
    },
  })

import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../answers.ts'
import { noSuchPage, Refusal } from '../errors.ts'
import { parseFilters } from '../filters.ts'
import { printable } from '../printable.ts'
import { queryOf } from '../query.ts'

interface Whole {
  readonly Params: { readonly '*': string }
}

/**
 * Plugins of the Engine's own kind, in containers: there are none. Drivers of secrets are found elsewhere.
 * Source: API 1.47, Plugin; docker-swarm.md errors.json.
 */
export const pluginsRoutes: FastifyPluginAsync = async (app) => {
  app.get('/plugins', async (request, reply) => {
    parseFilters(queryOf(request).get('filters'), ['capability', 'enabled'])
    return sendJson(reply, [])
  })

  for (const url of ['/plugins/pull', '/plugins/create']) {
    app.post(url, async () => {
      throw notInstalled()
    })
  }

  app.get<Whole>('/plugins/*', async ({ params }) => {
    const path = params['*']
    if (path === 'privileges') throw notInstalled()
    if (!path.endsWith('/json')) throw noSuchPage()
    throw notThere(path.slice(0, -'/json'.length))
  })

  app.post<Whole>('/plugins/*', async ({ params }) => {
    const path = params['*']
    const at = path.lastIndexOf('/')
    if (!['enable', 'disable', 'set', 'upgrade', 'push'].includes(path.slice(at + 1))) {
      throw noSuchPage()
    }
    throw notThere(path.slice(0, Math.max(at, 0)))
  })

  app.delete<Whole>('/plugins/*', async ({ params }) => {
    throw notThere(params['*'])
  })
}

const notThere = (name: string): Refusal =>
  new Refusal(404, `plugin "${printable(name)}" not found`)

const notInstalled = (): Refusal =>
  new Refusal(501, 'plugins are not installed here: this Engine is simulated by Conclave')

import type { Caller } from '@conclave/actors'
import { equalSecrets } from '@conclave/crypto'
import { wipe, type RedactedBytes } from '@conclave/kernel'
import type { SecretMetadata } from '@conclave/model'
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { sendEmpty, sendJson } from './answers.ts'
import { readBodyWithData } from './bodies.ts'
import { callerOf, type Engine } from './engine.ts'
import { notFound, Refusal, rpc } from './errors.ts'
import { matchesAny, matchesLabels, parseFilters, type Filters } from './filters.ts'
import { lookup } from './lookup.ts'
import { checkAnnotationName } from './names.ts'
import { printable } from './printable.ts'
import { isVisible, keptLabels, ownLabels, secretObject, shownLabels } from './secret-object.ts'
import { queryOf } from './query.ts'
import { removalWarnings, warningHeader } from './services/former-specs.ts'
import { demandSwarm } from './swarm-gate.ts'

/** 500 KiB, and not one byte of it. Source: docker-swarm.md A6. */
const dataBytesMax = 500 * 1024 - 1

const Driver = z.object({ Name: z.string().nullish() })

const SecretSpec = z.object({
  Name: z.string().nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
  Driver: Driver.nullish(),
  Templating: Driver.nullish(),
})

/** The secrets of a swarm: the cluster's own, as far as they are not in a folder. */
export const secretsRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const { secrets } = engine.master
    app.addHook('preHandler', async (request) => {
      await demandSwarm(engine, request)
    })

    app.get('/secrets', async (request, reply) => {
      const filters = parseFilters(queryOf(request).get('filters'), [
        'id',
        'name',
        'names',
        'label',
      ])
      const all = await secrets.listMetadata(callerOf(engine, request), '')
      const shown = all.filter((one) => isVisible(one) && isWanted(one, filters))
      return sendJson(reply, shown.map(secretObject))
    })

    app.post('/secrets/create', async (request, reply) => {
      const caller = callerOf(engine, request)
      const { body, data } = readBodyWithData(request, SecretSpec)
      try {
        const name = body.Name ?? ''
        checkAnnotationName(name)
        const driver = body.Driver?.Name ?? ''
        if (driver === '') checkSize(data)
        else throw rpc('Unknown', `plugin "${printable(driver)}" not found`)
        const others = await secrets.find(caller, { foldedPath: name })
        if (data === undefined || others.length > 0) throw alreadyExists(name)
        const labels = keptLabels(body.Labels ?? {}, body.Templating?.Name ?? undefined)
        const created = await creating(
          name,
          secrets.create(caller, name, {
            kind: 'binary',
            bytes: data,
            labels,
          }),
        )
        return sendJson(reply, { ID: created.id }, 201)
      } finally {
        if (data !== undefined) wipe(data)
      }
    })

    app.get<Named>('/secrets/:id', async (request, reply) =>
      sendJson(
        reply,
        secretObject(await find(engine, callerOf(engine, request), request.params.id)),
      ),
    )

    app.delete<Named>('/secrets/:id', async (request, reply) => {
      const caller = callerOf(engine, request)
      const { path, id = '' } = await find(engine, caller, request.params.id)
      const users = await engine.master.workloads.usedBy(caller, path)
      if (users.length > 0) throw inUse(path, users)
      await secrets.delete(caller, path)
      const warnings = await removalWarnings(engine, caller, { what: 'secret', id, name: path })
      if (warnings.length > 0) void reply.header('warning', warningHeader(warnings))
      return sendEmpty(reply, 204)
    })

    app.post<Named>('/secrets/:id/update', async (request, reply) => {
      const caller = callerOf(engine, request)
      const version = versionIn(queryOf(request).get('version'))
      const { body, data } = readBodyWithData(request, SecretSpec)
      try {
        const known = await find(engine, caller, request.params.id)
        const isSame =
          (body.Name ?? '') === known.path &&
          (data === undefined || (await holds(caller, known, data)))
        if (!isSame) throw rpc('InvalidArgument', 'only updates to Labels are allowed')
        const labels = { ...shownLabels(body.Labels ?? {}), ...ownLabels(known.labels) }
        await secrets.relabel(caller, known.path, labels, version)
        return sendEmpty(reply)
      } finally {
        if (data !== undefined) wipe(data)
      }
    })

    /** Whether the secret's value is `data`: `docker stack deploy` sends it again with every update. */
    async function holds(
      caller: Caller,
      known: SecretMetadata,
      data: RedactedBytes,
    ): Promise<boolean> {
      const { bytes } = await secrets.read(caller, known.path)
      try {
        return equalSecrets(bytes, data)
      } finally {
        wipe(bytes)
      }
    }
  }

interface Named {
  readonly Params: { readonly id: string }
}

/** The one secret that `asked` means. @throws Refusal */
const find = ({ master }: Engine, caller: Caller, asked: string): Promise<SecretMetadata> => {
  const visible = async (
    by: Parameters<typeof master.secrets.find>[1],
  ): Promise<readonly SecretMetadata[]> => (await master.secrets.find(caller, by)).filter(isVisible)
  if (asked === '') throw notFound('secret', asked)
  return lookup('secret', asked, {
    id: (id) => visible({ id }),
    name: (foldedPath) => visible({ foldedPath }),
    idPrefix: (idPrefix) => visible({ idPrefix }),
  })
}

function checkSize(data: RedactedBytes | undefined): void {
  const size = data?.reveal().length ?? 0
  if (size > 0 && size <= dataBytesMax) return
  throw rpc('InvalidArgument', 'secret data must be larger than 0 and less than 512000 bytes')
}

const inUse = (name: string, services: readonly string[]): Refusal =>
  rpc(
    'InvalidArgument',
    `secret '${name}' is in use by the following service${services.length > 1 ? 's' : ''}: ${services.join(', ')}`,
  )

const alreadyExists = (name: string): Refusal =>
  rpc('AlreadyExists', `secret ${name} already exists`)

/** Two that create one name at the same time: the master takes the first. */
async function creating<T>(name: string, created: Promise<T>): Promise<T> {
  try {
    return await created
  } catch (error) {
    if ((error as { code?: unknown }).code === 'secret.exists') throw alreadyExists(name)
    throw error
  }
}

function versionIn(text: string | null): number {
  if (text === null || !/^\d{1,15}$/.test(text)) throw new Refusal(400, 'invalid secret version')
  return Number(text)
}

function isWanted({ id = '', path, labels }: SecretMetadata, filters: Filters): boolean {
  const name = path.toLowerCase()
  const isNamed =
    !(filters.has('id') || filters.has('name') || filters.has('names')) ||
    (filters.has('id') && matchesAny(filters, 'id', (prefix) => id.startsWith(prefix))) ||
    (filters.has('name') &&
      matchesAny(filters, 'name', (prefix) => name.startsWith(prefix.toLowerCase()))) ||
    (filters.has('names') && matchesAny(filters, 'names', (one) => one.toLowerCase() === name))
  return isNamed && matchesLabels(filters, 'label', shownLabels(labels))
}

import { SecretInUse, type Caller } from '@conclave/actors'
import { equalSecrets } from '@conclave/crypto'
import { Redacted, wipe, type RedactedBytes } from '@conclave/kernel'
import type { SecretMetadata } from '@conclave/model'
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { jsonBody, sendEmpty, sendJson, sendJsonBody, sendJsonText } from '../answers.ts'
import { readBodyWithData } from '../bodies.ts'
import { callerOf, type Engine } from '../engine.ts'
import { notFound, Refusal, rpc } from '../errors.ts'
import { matchesAny, matchesLabels, parseFilters, type Filters } from '../filters.ts'
import { lookup } from '../lookup.ts'
import { checkAnnotationName } from '../names.ts'
import { queryOf } from '../query.ts'
import { keptLabels, ownLabels, shownLabels } from '../secret-object.ts'
import { removalWarnings, warningHeader } from '../services/former-specs.ts'
import { demandSwarm } from '../swarm-gate.ts'

/** What tells secrets and configs apart: both are sealed, named, labelled and given to containers. */
export interface SealedKind {
  readonly what: 'secret' | 'config'
  /** The folder that they are in, `''` for none. */
  readonly folder: string
  readonly pathOf: (name: string) => string
  /** Its name, or nothing when what is at that path is none of them. */
  readonly nameAt: (path: string) => string | undefined
  /** They have at least one byte. */
  readonly dataBytesMax: number
  readonly filters: readonly string[]
  /** As the Engine shows it. */
  readonly show: (caller: Caller, metadata: SecretMetadata) => Promise<object>
  /** The same as JSON, where it follows from the metadata alone. */
  readonly jsonOf?: (metadata: SecretMetadata) => string
  /**
   * Whether a driver of that name can be asked for what has no data here.
   *
   * @throws Refusal
   */
  readonly checkDriver: (name: string) => Promise<void>
}

const Named = z.object({ Name: z.string().nullish() })

const Spec = z.object({
  Name: z.string().nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
  Driver: z
    .object({
      Name: z.string().nullish(),
      Options: z.record(z.string(), z.string()).nullish(),
    })
    .nullish(),
  Templating: Named.nullish(),
})

/** List, create, inspect, remove and relabel. Source: docker-swarm.md A4, A5, A6. */
export const sealedRoutes =
  (engine: Engine, kind: SealedKind): FastifyPluginAsync =>
  async (app) => {
    const { secrets } = engine.master
    const { what, show, jsonOf } = kind
    /** By the list that was shown, which is the same until a secret changes. */
    const bodies = new WeakMap<readonly SecretMetadata[], Buffer>()
    const isOne = ({ path }: SecretMetadata): boolean => kind.nameAt(path) !== undefined
    app.addHook('preHandler', async (request) => {
      await demandSwarm(engine, request)
    })

    app.get(`/${what}s`, async (request, reply) => {
      const filters = parseFilters(queryOf(request).get('filters'), kind.filters)
      const caller = callerOf(engine, request)
      const all = await secrets.listMetadata(caller, kind.folder)
      if (jsonOf !== undefined && filters.size === 0) {
        let body = bodies.get(all)
        if (body === undefined) {
          body = jsonBody(`[${all.filter(isOne).map(jsonOf).join(',')}]`)
          bodies.set(all, body)
        }
        return sendJsonBody(reply, body)
      }
      const wanted = all.filter(
        (one) => isOne(one) && (filters.size === 0 || isWanted(kind, one, filters)),
      )
      if (jsonOf !== undefined) return sendJsonText(reply, `[${wanted.map(jsonOf).join(',')}]`)
      const shown = await Promise.all(wanted.map((one) => unlessGone(show(caller, one))))
      return sendJson(
        reply,
        shown.filter((one) => one !== undefined),
      )
    })

    app.post(`/${what}s/create`, async (request, reply) => {
      const caller = callerOf(engine, request)
      const { body, data } = readBodyWithData(request, Spec)
      try {
        const name = body.Name ?? ''
        checkAnnotationName(name)
        const driver = body.Driver?.Name ?? ''
        if (driver !== '') await kind.checkDriver(driver)
        else if (body.Driver && what === 'secret') {
          throw rpc('InvalidArgument', 'secret driver must have a name')
        } else checkSize(kind, data)
        const labels = keptLabels(body.Labels ?? {}, {
          templating: body.Templating?.Name ?? '',
          driver,
          driverOptions: body.Driver?.Options ?? {},
        })
        const bytes = data ?? new Redacted(new Uint8Array(0))
        const created = await creating(
          kind,
          name,
          // The swarm was looked for freshly, so what others have created before is known here.
          secrets.create(caller, kind.pathOf(name), {
            kind: 'binary',
            bytes,
            labels,
            isAloneInAnyCase: true,
          }),
        )
        return sendJson(reply, { ID: created.id }, 201)
      } finally {
        if (data !== undefined) wipe(data)
      }
    })

    app.get<WithId>(`/${what}s/:id`, async (request, reply) => {
      const caller = callerOf(engine, request)
      return sendJson(reply, await show(caller, await find(caller, request.params.id)))
    })

    app.delete<WithId>(`/${what}s/:id`, async (request, reply) => {
      const caller = callerOf(engine, request)
      const { path, id = '' } = await find(caller, request.params.id)
      await unlessUsed(kind, path, secrets.delete(caller, path, { ifId: id, ifUnused: true }))
      const removed = { what, id, name: kind.nameAt(path) ?? '' }
      const warnings = await removalWarnings(engine, caller, removed)
      if (warnings.length > 0) void reply.header('warning', warningHeader(warnings))
      return sendEmpty(reply, 204)
    })

    app.post<WithId>(`/${what}s/:id/update`, async (request, reply) => {
      const caller = callerOf(engine, request)
      const { body, data } = readBodyWithData(request, Spec)
      try {
        const version = versionIn(kind, queryOf(request).get('version'))
        const known = await find(caller, request.params.id)
        const isSame =
          (body.Name ?? '') === kind.nameAt(known.path) &&
          (data === undefined || (await holds(caller, known, data)))
        if (!isSame) throw rpc('InvalidArgument', 'only updates to Labels are allowed')
        const labels = { ...shownLabels(body.Labels ?? {}), ...ownLabels(known.labels) }
        await secrets.relabel(caller, known.path, labels, version)
        return sendEmpty(reply)
      } finally {
        if (data !== undefined) wipe(data)
      }
    })

    /** The one that `asked` means. @throws Refusal */
    async function find(caller: Caller, asked: string): Promise<SecretMetadata> {
      const by = async (
        query: Parameters<typeof secrets.find>[1],
      ): Promise<readonly SecretMetadata[]> => (await secrets.find(caller, query)).filter(isOne)
      if (asked === '') throw notFound(what, asked)
      return lookup(what, asked, {
        id: (id) => by({ id }),
        name: (name) => by({ foldedPath: kind.pathOf(name) }),
        idPrefix: (idPrefix) => by({ idPrefix }),
      })
    }

    /** Whether its value is `data`: `docker stack deploy` sends it again with every update. */
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

interface WithId {
  readonly Params: { readonly id: string }
}

function checkSize(
  { what, dataBytesMax }: SealedKind,
  data: RedactedBytes | undefined,
): asserts data is RedactedBytes {
  const size = data?.reveal().length ?? 0
  if (size > 0 && size <= dataBytesMax) return
  throw rpc(
    'InvalidArgument',
    `${what} data must be larger than 0 and less than ${dataBytesMax + 1} bytes`,
  )
}

const inUse = ({ what, nameAt }: SealedKind, path: string, services: readonly string[]): Refusal =>
  rpc(
    'InvalidArgument',
    `${what} '${nameAt(path)}' is in use by the following service${services.length > 1 ? 's' : ''}: ${services.join(', ')}`,
  )

const alreadyExists = ({ what }: SealedKind, name: string): Refusal =>
  rpc('AlreadyExists', `${what} ${name} already exists`)

/** The master looks at services in the moment in which it removes. */
async function unlessUsed<T>(kind: SealedKind, path: string, removed: Promise<T>): Promise<T> {
  try {
    return await removed
  } catch (error) {
    if (!(error instanceof SecretInUse)) throw error
    throw inUse(kind, path, error.workloads)
  }
}

/** A name is taken in any case. Of two that create it at the same time the master takes the first. */
async function creating<T>(kind: SealedKind, name: string, created: Promise<T>): Promise<T> {
  try {
    return await created
  } catch (error) {
    if (codeOf(error) === 'secret.exists') throw alreadyExists(kind, name)
    throw error
  }
}

/** What was removed since it was listed is not listed. */
async function unlessGone<T>(shown: Promise<T>): Promise<T | undefined> {
  try {
    return await shown
  } catch (error) {
    if (codeOf(error) === 'secret.not-found') return undefined
    throw error
  }
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code

function versionIn({ what }: SealedKind, text: string | null): number {
  if (text === null || !/^\d{1,15}$/.test(text)) throw new Refusal(400, `invalid ${what} version`)
  return Number(text)
}

function isWanted(
  { nameAt }: SealedKind,
  { id = '', path, labels }: SecretMetadata,
  filters: Filters,
): boolean {
  const name = (nameAt(path) ?? '').toLowerCase()
  const isNamed =
    !(filters.has('id') || filters.has('name') || filters.has('names')) ||
    (filters.has('id') && matchesAny(filters, 'id', (prefix) => id.startsWith(prefix))) ||
    (filters.has('name') &&
      matchesAny(filters, 'name', (prefix) => name.startsWith(prefix.toLowerCase()))) ||
    (filters.has('names') && matchesAny(filters, 'names', (one) => one.toLowerCase() === name))
  return isNamed && matchesLabels(filters, 'label', shownLabels(labels))
}

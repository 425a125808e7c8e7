import {
  BytesMalformed,
  Redacted,
  readJsonField,
  utf8,
  wipe,
  writeJsonString,
} from '@conclave/kernel'
import type { Caller, MasterApi, SecretInput } from '@conclave/actors'
import {
  parseSecretFolder,
  parseSecretPath,
  superuserResource,
  type SecretKind,
  type SecretPath,
} from '@conclave/model'
import { jsonFault, wipeAtTheEnd } from '@conclave/runtime'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { refusal, type Refusal } from './errors.ts'
import { refuse } from './refuse.ts'

const base = '/secrets/v1/secret/'

/** DC/OS Secrets API v1, as the backup tool and the CLI call it. Source: dcos.md §4. */
export const secretsRoutes =
  (master: MasterApi, caller: (request: FastifyRequest) => Caller): FastifyPluginAsync =>
  async (app) => {
    const { secrets } = master

    app.get(`${base}*`, async (request, reply) => {
      const id = secretId(request)
      if (typeof id !== 'string') return refuse(reply, id)
      const query = queryOf(request)
      if (isOfTwoMinds(query)) return refuse(reply, twice)
      if (query.get('list') === 'true') {
        return list(reply, await secrets.list(caller(request), parseSecretFolder(id)))
      }
      const version = versionIn(query.get('version'))
      if (version === 'malformed') return refuse(reply, noVersion)
      const path = parseSecretPath(id)
      const { metadata, bytes } = await secrets.read(caller(request), path, version)
      return sendValue(request, reply, metadata.kind, bytes)
    })

    app.put(`${base}*`, (request, reply) =>
      write(request, reply, 201, (path, input) => secrets.create(caller(request), path, input)),
    )

    app.patch(`${base}*`, async (request, reply) => {
      const expected = versionIn(request.headers['if-match'] ?? null)
      if (expected === 'malformed') return refuse(reply, noVersion)
      return write(request, reply, 204, (path, input) =>
        secrets.update(caller(request), path, input, expected),
      )
    })

    app.delete(`${base}*`, async (request, reply) => {
      const id = secretId(request)
      if (typeof id !== 'string') return refuse(reply, id)
      await secrets.delete(caller(request), parseSecretPath(id))
      return reply.code(204).send()
    })

    app.get('/secrets/v1/store', async () => ({ array: [store] }))
    app.get<{ Params: { name: string } }>('/secrets/v1/store/:name', async ({ params }, reply) =>
      params.name === store.name ? store : refuse(reply, noSuchStore),
    )
    app.get('/secrets/v1/seal-status/default', async (request, reply) => {
      const { principal } = caller(request)
      if (master.identity.allowed(principal, superuserResource, 'full')) return sealStatus
      return refuse(reply, refusal(403, 'ERR_FORBIDDEN', 'this is for superusers'))
    })
  }

/** Stores the body at the URL's path. Whatever is wrong with either, no copy of the value stays. */
async function write(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  store: (path: SecretPath, input: SecretInput) => Promise<unknown>,
): Promise<FastifyReply> {
  const id = secretId(request)
  if (typeof id !== 'string') return refuse(reply, id)
  const path = parseSecretPath(id)
  const input = readInput(request)
  if (input === undefined) return refuse(reply, noValue)
  try {
    await store(path, input)
  } finally {
    wipe(input.bytes)
  }
  return reply.code(status).send()
}

/** Answered without a token: the only routes below `/secrets/v1` that are. */
export const pingRoutes = (): FastifyPluginAsync => async (app) => {
  for (const url of ['/ping', '/ping/backends/default', '/ping/backends/all']) {
    app.get(`/secrets/v1${url}`, async (_request, reply) => reply.type('text/plain').send('pong'))
  }
}

const store = {
  name: 'default',
  description: 'The replicated store of this cluster',
  driver: 'conclave',
  initialized: true,
  sealed: false,
}

const sealStatus = { sealed: false, threshold: 1, shares: 1, progress: 0 }

const noSuchStore = refusal(404, 'ERR_UNKNOWN_STORE', "the only store is 'default'")

const disguised = refusal(
  400,
  'ERR_INVALID_PATH',
  `write the URL up to ${base} as it is, without percent-encoding`,
)

const noValue = refusal(
  422,
  'ERR_INVALID_DATA',
  'the field "value" must be a string; send other bytes as application/octet-stream',
)

const noVersion = refusal(
  400,
  'ERR_INVALID_DATA',
  'a version is a number from 1 on, as ?version=3 or If-Match: "3"',
)

const twice = refusal(400, 'ERR_INVALID_DATA', 'give list and version once, not twice')

const notAsJson = refusal(
  406,
  'ERR_NOT_ACCEPTABLE',
  'this secret is binary and cannot be had as JSON; accept application/octet-stream',
)

/**
 * The id behind `/secret/default/`, decoded once, or why there is none. It is taken from the raw
 * URL, since a router that decodes and a rule that decodes again would not speak of the same secret
 * (threats.md AZ-01). What cannot be decoded stays as it is: its `%` is refused by the path's rules.
 */
function secretId({ raw }: FastifyRequest): string | Refusal {
  const path = pathIn(raw.url ?? '')
  // The router has decoded what it compared, so it finds this route behind `/s%65crets`, too.
  if (!path.startsWith(base)) return disguised
  const slash = path.indexOf('/', base.length)
  const end = slash < 0 ? path.length : slash
  if (path.slice(base.length, end) !== store.name) return noSuchStore
  const id = path.slice(end + 1)
  try {
    return decodeURIComponent(id)
  } catch {
    return id
  }
}

function pathIn(url: string): string {
  const mark = url.indexOf('?')
  return mark < 0 ? url : url.slice(0, mark)
}

const noQuery = new URLSearchParams()

function queryOf({ raw: { url = '' } }: FastifyRequest): URLSearchParams {
  return url.includes('?') ? new URLSearchParams(url.split('?')[1]) : noQuery
}

/** Whoever reads the other one would understand something else (threats.md AU-14). */
const isOfTwoMinds = (query: URLSearchParams): boolean =>
  query.size > 1 && ['list', 'version'].some((name) => query.getAll(name).length > 1)

/**
 * Ours, since DC/OS has no versions: `?version=3` reads an earlier one that is still kept, and
 * `If-Match: "3"` replaces only that one.
 */
function versionIn(text: string | null): number | undefined | 'malformed' {
  if (text === null) return undefined
  const digits = /^"?([1-9]\d{0,14})"?$/.exec(text)?.[1]
  return digits === undefined ? 'malformed' : Number(digits)
}

function list(reply: FastifyReply, ids: readonly string[] | undefined): FastifyReply {
  if (ids !== undefined) return reply.send({ array: ids })
  return refuse(reply, refusal(404, 'ERR_SECRET_NOT_FOUND', 'no such folder'))
}

/** Many more than the one that is looked for: each is looked at. */
const limits = { depthMax: 100, valuesMax: 20_000 }

/** The body as a value: raw bytes, or the string at `value` of a JSON object. */
function readInput({ body: sent, headers }: FastifyRequest): SecretInput | undefined {
  const body = Buffer.isBuffer(sent) ? sent : Buffer.alloc(0)
  if (mediaType(headers['content-type']) === 'application/octet-stream') {
    // The body itself: it is wiped once it is stored, and again when the request was answered.
    const bytes = new Uint8Array(body.buffer, body.byteOffset, body.length)
    return { kind: 'binary', bytes: new Redacted(bytes) }
  }
  const fault = jsonFault(body, limits)
  if (fault !== undefined) throw new BytesMalformed(`JSON that ${fault}: send less at once`)
  const field = readJsonField(body, 'value')
  return field.kind === 'string' ? { kind: 'text', bytes: new Redacted(field.bytes) } : undefined
}

/**
 * A value in the kind the client accepts. The content type of bytes is exactly
 * `application/octet-stream`: the backup tool compares it for equality.
 */
function sendValue(
  request: FastifyRequest,
  reply: FastifyReply,
  kind: SecretKind,
  bytes: Redacted<Uint8Array>,
): FastifyReply {
  const accepted = acceptedKind(request.headers.accept, kind)
  if (accepted === 'text' && kind === 'binary') {
    wipe(bytes)
    return refuse(reply, notAsJson)
  }
  const body = accepted === 'text' ? jsonValue(bytes) : bytesOf(bytes)
  wipeAtTheEnd(reply.raw, body)
  return reply
    .header('cache-control', 'no-store')
    .header('content-type', accepted === 'text' ? 'application/json' : 'application/octet-stream')
    .send(body)
}

/** The value itself, without a copy. */
function bytesOf(bytes: Redacted<Uint8Array>): Buffer {
  const { buffer, byteOffset, length } = bytes.reveal()
  return Buffer.from(buffer, byteOffset, length)
}

function jsonValue(bytes: Redacted<Uint8Array>): Buffer {
  const quoted = writeJsonString(bytes.reveal())
  const body = Buffer.concat([utf8('{"value":'), quoted, utf8('}')])
  wipe(quoted)
  wipe(bytes)
  return body
}

/** As it is stored, unless the client accepts the other kind and not this one. */
function acceptedKind(accept: string | undefined, stored: SecretKind): SecretKind {
  if (accept === undefined) return stored
  const types = accept.split(',').map(mediaType)
  const isText = types.includes('application/json')
  const isBinary = types.includes('application/octet-stream')
  if (isText === isBinary) return stored
  return isText ? 'text' : 'binary'
}

const mediaType = (header: string | undefined): string =>
  (header ?? '').split(';')[0]?.trim().toLowerCase() ?? ''

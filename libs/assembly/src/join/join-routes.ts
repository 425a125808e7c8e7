import type { TLSSocket } from 'node:tls'
import {
  LoginThrottled,
  MemberRole,
  RenewalThrottled,
  type CertificateRequest,
  type Enrolled,
  type EnrolmentApi,
  type MasterSeen,
  type Shown,
} from '@conclave/actors'
import { ConclaveError, readJsonField, Redacted, utf8Text } from '@conclave/kernel'
import {
  answerBrokenHttp,
  rootOf,
  subjectOf,
  takeBodiesAsBytes,
  unreadableOf,
} from '@conclave/runtime'
import type {
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from 'fastify'
import type { MasterAddress } from '../cluster/addresses.ts'
import { addressSeen } from '../cluster/known-masters.ts'

export interface JoinRoutesOptions {
  readonly enrolment: EnrolmentApi
  readonly clusterId: string
  /** The roots that count now. */
  readonly authorityPem: () => string
}

/** A request for a certificate has one key in it, and a token. */
const bodyBytesMax = 16 * 1024

/** One row for each code of ours: the status it is answered with. Everything else is a failure: 500. */
const statusOf: Readonly<Record<string, number>> = {
  'audit.unavailable': 503,
  'authority.missing': 503,
  'authority.throttled': 429,
  'body.broke-off': 400,
  'body.too-large': 413,
  'bytes.malformed': 400,
  'certificate.refused': 400,
  'cluster.outcome-unknown': 503,
  'cluster.unavailable': 503,
  'crypto.failure': 400,
  'join-token.invalid': 403,
  'join.request-invalid': 400,
  'login.throttled': 429,
  'holder.refused': 403,
}

/** A request to join whose shape is off. Names the field and the mend. */
export class JoinRequestInvalid extends ConclaveError {
  readonly code = 'join.request-invalid'
}

export const joinServerOptions = {
  frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  clientErrorHandler: answerBrokenHttp(({ message }) => ({
    type: 'application/json',
    body: JSON.stringify({ error: { code: 'join.request-invalid', message } }),
  })),
} as const satisfies FastifyServerOptions

/** How one becomes and stays a member (docs/formats/links.md): the words of the `join` port. */
export const joinRoutes =
  ({ enrolment, clusterId, authorityPem }: JoinRoutesOptions): FastifyPluginAsync =>
  async (app) => {
    takeBodiesAsBytes(app, bodyBytesMax)
    app.setErrorHandler((error, request, reply) => answerError(error, request, reply))
    app.setNotFoundHandler((_request, reply) =>
      refuse(reply, 404, 'route.not-found', 'there is nothing at this address'),
    )
    app.addHook('onSend', async (_request, reply) => {
      // One request to a connection (see JoinListener): the next one shows its certificate anew.
      void reply.headers({ 'cache-control': 'no-store', connection: 'close' })
    })

    app.get('/v1/authority', async () => {
      const { rootPem } = await enrolment.root()
      return { clusterId, authority: rootPem }
    })

    app.post('/v1/certificate', async (request) => {
      const body = bodyOf(request)
      const token = new Redacted(fieldOf(body, 'token'))
      const enrolled = await enrolment.enrol({
        token,
        role: roleOf(body),
        source: request.ip,
        ...wantedBy(request),
      })
      return enrolledAnswer(enrolled)
    })

    app.post('/v1/promotion', async (request) => {
      const shown = whoShows(request, clusterId, authorityPem())
      return enrolledAnswer(await enrolment.promote(shown, wantedBy(request)))
    })

    app.post('/v1/renewal', async (request) => {
      const shown = whoShows(request, clusterId, authorityPem())
      const { certificatePem, authorityPem: authority } = await enrolment.renew(
        shown,
        wantedBy(request),
      )
      return { certificate: certificatePem, authority }
    })

    app.post('/v1/confirmation', async (request) => {
      return { authority: await enrolment.confirm(whoShows(request, clusterId, authorityPem())) }
    })

    app.post('/v1/standing', async (request) => {
      const shown = whoShows(request, clusterId, authorityPem())
      const { masters, isPromoted } = await enrolment.standing(shown)
      return { masters: seen(masters), isPromoted }
    })

    app.post('/v1/kek', async (request) => {
      const shown = whoShows(request, clusterId, authorityPem())
      const publicKey = Buffer.from(textOf(bodyOf(request), 'publicKey'), 'base64')
      const box = await enrolment.kek(shown, publicKey, request.id)
      return { box: Buffer.from(box).toString('base64') }
    })
  }

const enrolledAnswer = ({ certificatePem, authorityPem, masters, ...who }: Enrolled): object => ({
  ...who,
  certificate: certificatePem,
  authority: authorityPem,
  masters: seen(masters),
})

const seen = (masters: readonly MasterSeen[]): readonly MasterAddress[] =>
  masters.flatMap((master) => addressSeen(master) ?? [])

/** Who is at the other end, as TLS has proven it. @throws JoinRequestInvalid */
function whoShows({ raw }: FastifyRequest, clusterId: string, authorityPem: string): Shown {
  const socket = raw.socket as TLSSocket
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
  const subject = certificate && subjectOf(certificate.toLegacyObject())
  const role =
    subject?.role === 'conclave-master'
      ? 'master'
      : subject?.role === 'conclave-agent'
        ? 'agent'
        : undefined
  if (certificate === undefined || subject?.clusterId !== clusterId || role === undefined) {
    throw new JoinRequestInvalid('come with the certificate of a member of this cluster')
  }
  const certificatePem = certificate.toString()
  return { id: subject.id, role, certificatePem, issuerPem: rootOf(certificatePem, authorityPem) }
}

function bodyOf({ body }: FastifyRequest): Buffer {
  if (Buffer.isBuffer(body) && body.length > 0) return body
  throw new JoinRequestInvalid('the body must be a JSON object; see docs/formats/links.md')
}

/** The certificate that is asked for. @throws JoinRequestInvalid */
function wantedBy(request: FastifyRequest): CertificateRequest {
  const body = bodyOf(request)
  return { requestPem: textOf(body, 'request'), hosts: hostsOf(body), requestId: request.id }
}

function fieldOf(body: Buffer, name: string): Uint8Array {
  const field = readJsonField(body, name)
  if (field.kind === 'string') return field.bytes
  throw new JoinRequestInvalid(`${name}: a text is needed`)
}

function textOf(body: Buffer, name: string): string {
  return utf8Text(fieldOf(body, name))
}

/** Undefined: whatever the token says. */
function roleOf(body: Buffer): MemberRole | undefined {
  if (readJsonField(body, 'role').kind === 'absent') return undefined
  const role = MemberRole.safeParse(textOf(body, 'role')).data
  if (role !== undefined) return role
  throw new JoinRequestInvalid('role: master or agent')
}

/** One text, with commas between: it may be left out. */
function hostsOf(body: Buffer): readonly string[] {
  const field = readJsonField(body, 'hosts')
  if (field.kind !== 'string') return []
  return utf8Text(field.bytes)
    .split(',')
    .filter((host) => host !== '')
}

const refuse = (
  reply: FastifyReply,
  status: number,
  code: string,
  message: string,
): FastifyReply => {
  // What is left of a body that nobody reads to its end would be taken for the next request.
  if (status === 413) void reply.header('connection', 'close')
  return reply.code(status).send({ error: { code, message } })
}

function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof ConclaveError) {
    const status = statusOf[error.code]
    if (error instanceof LoginThrottled || error instanceof RenewalThrottled)
      void reply.header('retry-after', error.retryAfterSeconds)
    if (status !== undefined) return refuse(reply, status, error.code, error.message)
  } else {
    const unreadable = unreadableOf(error, request)
    if (unreadable !== undefined) {
      return refuse(reply, unreadable.status, 'join.request-invalid', unreadable.message)
    }
  }
  request.log.error({ err: error }, 'a request failed')
  const where = `this is a fault of ours; the log has it as request ${request.id}`
  return refuse(reply, 500, 'internal', where)
}

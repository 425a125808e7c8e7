import { BytesMalformed, ConclaveError } from '@conclave/kernel'
import { unreadableOf } from '@conclave/runtime'
import type { FastifyRequest } from 'fastify'

/** How the Engine says no: a status, and a message that the CLI prints. Source: docker-swarm.md A3, A6. */
export class Refusal extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The codes of gRPC that SwarmKit's errors carry, and the status that dockerd makes of each. */
const codes = {
  InvalidArgument: 400,
  NotFound: 404,
  AlreadyExists: 409,
  PermissionDenied: 403,
  FailedPrecondition: 400,
  OutOfRange: 400,
  Unauthenticated: 401,
  Unimplemented: 501,
  Unavailable: 503,
  Unknown: 500,
} as const

/** A refusal in SwarmKit's words, as they come out of the Engine. */
export const rpc = (code: keyof typeof codes, text: string): Refusal =>
  new Refusal(codes[code], `rpc error: code = ${code} desc = ${text}`)

export const notFound = (what: string, name: string): Refusal =>
  new Refusal(404, `${what} ${name} not found`)

export const outOfSequence = (): Refusal => rpc('Unknown', 'update out of sequence')

export const noSuchPage = (): Refusal => new Refusal(404, 'page not found')

const noLeader =
  "The swarm does not have a leader. It's possible that too few managers are online. " +
  'Make sure more than half of the managers are online.'

/** One row for each code of ours that may come out of a master. */
const table: Readonly<Record<string, (error: ConclaveError) => Refusal>> = {
  'access.denied': ({ message }) => rpc('PermissionDenied', message),
  'audit.unavailable': ({ message }) => rpc('Unavailable', message),
  'body.broke-off': ({ message }) => new Refusal(400, message),
  'body.too-large': ({ message }) => new Refusal(400, message),
  'cluster.not-leader': (error) =>
    rpc(
      'FailedPrecondition',
      `this manager does not lead, and cannot ask ${leaderIn(error)}: use the socket of that one`,
    ),
  'cluster.unavailable': () => rpc('Unknown', noLeader),
  'cluster.outcome-unknown': () => rpc('Unknown', 'context deadline exceeded'),
  'authority.rotating': ({ message }) => rpc('FailedPrecondition', message),
  'authority.validity-invalid': ({ message }) => rpc('InvalidArgument', message),
  'cluster.no-free-port': ({ message }) => new Refusal(500, message),
  'document.changed': outOfSequence,
  'document.invalid': ({ message }) => rpc('InvalidArgument', message),
  'face.exposed': ({ message }) => new Refusal(400, message),
  'face.listen-failed': ({ message }) => new Refusal(500, message),
  'engine.place-unusable': ({ message }) => new Refusal(400, message),
  'join-token.invalid': () => new Refusal(500, 'invalid join token'),
  'join.authority-not-pinned': ({ message }) =>
    new Refusal(500, `remote CA does not match fingerprint: ${message}`),
  'join.refused': joinRefused,
  'join.unreachable': ({ message }) => rpc('Unavailable', message),
  'link.listen-failed': ({ message }) => new Refusal(500, message),
  'lock.refused': () => new Refusal(401, 'swarm could not be unlocked: invalid key provided'),
  'login.throttled': ({ message }) => new Refusal(429, message),
  'member.begin-anew-refused': ({ message }) => rpc('FailedPrecondition', message),
  'member.busy': ({ message }) => rpc('FailedPrecondition', message),
  'member.join-refused': ({ message }) => rpc('FailedPrecondition', message),
  'member.refused': ({ message }) => rpc('FailedPrecondition', inSwarmKitsWords(message)),
  'node.not-found': ({ message }) => new Refusal(404, message),
  'secret.changed': outOfSequence,
  'secret.labels-invalid': ({ message }) => rpc('InvalidArgument', message),
  'spec.invalid': ({ message }) => rpc('InvalidArgument', message),
  'workload.version-conflict': outOfSequence,
}

/** As `docker node ls` calls it, where that is known. */
const leaderIn = (error: ConclaveError): string => {
  const { leader } = error as { readonly leader?: unknown }
  return typeof leader === 'string' ? `${leader}, which does` : 'the one that does'
}

/** What the master that was asked to join said: it names its own code. */
function joinRefused(error: ConclaveError): Refusal {
  const { reason } = error as { readonly reason?: unknown }
  return reason === 'join-token.invalid'
    ? rpc('InvalidArgument', 'A valid join token is necessary to join this cluster')
    : rpc('FailedPrecondition', error.message)
}

/** The masters refuse as SwarmKit does, with our nouns. */
const inSwarmKitsWords = (text: string): string =>
  text.replace('last master of the cluster', 'last manager of the swarm')

type Asked = Pick<FastifyRequest, 'headers'>

/** The refusal for `error`, or undefined when it is no decision but a failure of ours. */
export function refusalOf(error: unknown, request: Asked = { headers: {} }): Refusal | undefined {
  if (error instanceof Refusal) return error
  // A malformed body is described by its parser's offsets, never by what stands there.
  if (error instanceof BytesMalformed) return new Refusal(400, `the body is ${error.message}`)
  if (error instanceof ConclaveError) return table[error.code]?.(error)
  const unreadable = unreadableOf(error, request)
  return unreadable && new Refusal(unreadable.status, unreadable.message)
}

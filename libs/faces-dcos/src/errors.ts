import { BytesMalformed, ConclaveError } from '@conclave/kernel'
import { secretSizeBytesMax } from '@conclave/model'
import { BodyTooLarge, unreadableOf } from '@conclave/runtime'
import type { FastifyRequest } from 'fastify'

/** How DC/OS says no. Source: dcos.md §1, §2, §4. */
export interface Refusal {
  readonly status: number
  readonly title: string
  readonly description: string
  readonly code: string
}

/** One row for each code of ours: the status and code that DC/OS clients match. */
const table: Readonly<Record<string, readonly [status: number, code: string]>> = {
  'access.denied': [403, 'ERR_FORBIDDEN'],
  'audit.unavailable': [503, 'ERR_UNAVAILABLE'],
  'body.broke-off': [400, 'ERR_INVALID_DATA'],
  'body.too-large': [413, 'ERR_SECRET_TOO_LARGE'],
  'bytes.malformed': [400, 'ERR_INVALID_DATA'],
  'cluster.not-leader': [503, 'ERR_UNAVAILABLE'],
  'cluster.outcome-unknown': [503, 'ERR_OUTCOME_UNKNOWN'],
  'cluster.unavailable': [503, 'ERR_UNAVAILABLE'],
  'login.throttled': [429, 'ERR_TOO_MANY_LOGINS'],
  'secret.exists': [409, 'ERR_SECRET_EXISTS'],
  'secret.labels-invalid': [400, 'ERR_INVALID_DATA'],
  'secret.not-found': [404, 'ERR_SECRET_NOT_FOUND'],
  'secret.path-invalid': [400, 'ERR_INVALID_PATH'],
  'secret.too-large': [413, 'ERR_SECRET_TOO_LARGE'],
  'secret.version-conflict': [409, 'ERR_SECRET_VERSION'],
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  406: 'Not Acceptable',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  422: 'Unprocessable Entity',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

export const refusal = (status: number, code: string, description: string): Refusal => ({
  status,
  title: titles[status] ?? 'Error',
  description,
  code,
})

/** The refusal for `error`, or undefined when it is no decision but a failure of ours. */
export function refusalOf(error: unknown, request: FastifyRequest): Refusal | undefined {
  // A login: how large a secret may be is nothing to it.
  if (error instanceof BodyTooLarge && error.isOfStranger) {
    return refusal(413, 'ERR_INVALID_DATA', error.message)
  }
  if (error instanceof ConclaveError) {
    const row = table[error.code]
    if (row === undefined) return undefined
    const [status, code] = row
    return refusal(status, code, descriptionOf(error))
  }
  const unreadable = unreadableOf(error, request)
  return unreadable && refusal(unreadable.status, 'ERR_INVALID_DATA', unreadable.message)
}

function descriptionOf(error: ConclaveError): string {
  // A malformed body is described by its parser's offsets, never by what stands there.
  if (error instanceof BytesMalformed) return `the body is ${error.message}`
  if (error instanceof BodyTooLarge)
    return `${error.message}; a secret may have ${secretSizeBytesMax}`
  return error.message
}

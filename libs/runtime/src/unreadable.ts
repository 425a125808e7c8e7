import { ConclaveError } from '@conclave/kernel'
import type { FastifyRequest } from 'fastify'

/** A request that the framework refused before any face saw it. */
export interface Unreadable {
  /** 400 to 499. */
  readonly status: number
  readonly message: string
}

/** What is said of the rest: the framework's own words may quote the request. */
export const couldNotBeRead = 'the request could not be read'

/** Headers that no face can go on with. As the framework's own errors it has a status, and is each face's to word. */
export class HeadersRefused extends Error {
  readonly statusCode: number

  constructor({ status, message }: Unreadable) {
    super(message)
    this.statusCode = status
  }
}

export const hostMissing: Unreadable = {
  status: 400,
  message: 'there is no Host header, which HTTP/1.1 wants: send one, such as "Host: localhost"',
}

export const expectationUnknown: Unreadable = {
  status: 417,
  message: 'only "Expect: 100-continue" can be met: send that, or no Expect header',
}

const shownLengthMax = 40

/** Undefined: it was not the framework that refused. Its own words may quote the request, so these are ours. */
export function unreadableOf(
  error: unknown,
  { headers }: Pick<FastifyRequest, 'headers'>,
): Unreadable | undefined {
  const { statusCode: status } = error as { statusCode?: unknown }
  if (error instanceof ConclaveError || typeof status !== 'number') return undefined
  if (status < 400 || status > 499) return undefined
  if (error instanceof HeadersRefused) return { status, message: error.message }
  const isOfType = status === 415
  const message = isOfType ? noType(headers['content-type']) : couldNotBeRead
  return { status, message }
}

/** Bodies stay bytes, so every type is read that is one. */
const noType = (given = ''): string =>
  `the Content-Type has the shape "${shapeOf(given)}", which is no type/subtype: any of these is read, ` +
  'such as application/json or application/octet-stream, and a body without a Content-Type is, too'

/** What it looks like and not what it says: a value may have come into the wrong header. */
function shapeOf(text: string): string {
  const shape = text
    .slice(0, shownLengthMax)
    .replaceAll(/[a-z]/gi, 'a')
    .replaceAll(/\d/g, '0')
    .replaceAll(/[^a0/;=+. -]/g, '?')
  return text.length > shownLengthMax ? `${shape}...` : shape
}

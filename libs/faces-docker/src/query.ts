import type { FastifyRequest } from 'fastify'

export const queryOf = (request: FastifyRequest): URLSearchParams =>
  new URLSearchParams((request.raw.url ?? '').split('?')[1] ?? '')

/** Go's `strconv.ParseBool`, and a name alone, as clients send `?force=1`. */
export const isSet = (request: FastifyRequest, name: string): boolean =>
  isSetIn(queryOf(request), name)

export const isSetIn = (query: URLSearchParams, name: string): boolean =>
  ['', '1', 't', 'true', 'True', 'TRUE', 'T'].includes(query.get(name) ?? 'false')

import type { FastifyRequest } from 'fastify'
import { Refusal } from './errors.ts'
import { printable } from './printable.ts'

export const queryOf = (request: FastifyRequest): URLSearchParams =>
  new URLSearchParams((request.raw.url ?? '').split('?')[1] ?? '')

/** Go's `strconv.ParseBool`, and a name alone, as clients send `?force=1`. */
export const isSet = (request: FastifyRequest, name: string): boolean =>
  isSetIn(queryOf(request), name)

export const isSetIn = (query: URLSearchParams, name: string): boolean =>
  ['', '1', 't', 'true', 'True', 'TRUE', 'T'].includes(query.get(name) ?? 'false')

const yes: readonly string[] = ['1', 't', 'T', 'true', 'TRUE', 'True']
const no: readonly string[] = ['', '0', 'f', 'F', 'false', 'FALSE', 'False']

/** Where the Engine minds what is neither true nor false. @param why whether it says which function minded */
export function booleanIn(query: URLSearchParams, name: string, why = false): boolean {
  const value = query.get(name) ?? ''
  if (yes.includes(value)) return true
  if (no.includes(value)) return false
  const shown = printable(value)
  const parsing = why ? `: strconv.ParseBool: parsing "${shown}": invalid syntax` : ''
  throw new Refusal(400, `invalid value for ${name}: ${shown}${parsing}`)
}

/** Of an object of the swarm, as whoever changes it has read it. @throws Refusal */
export function versionIn(what: 'node' | 'service' | 'swarm', query: URLSearchParams): number {
  const text = query.get('version') ?? ''
  if (/^\d{1,15}$/.test(text)) return Number(text)
  const shown = printable(text)
  throw new Refusal(
    400,
    `invalid ${what} version '${shown}': strconv.ParseUint: parsing "${shown}": invalid syntax`,
  )
}

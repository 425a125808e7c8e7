import type { FastifyRequest } from 'fastify'
import { RequestInvalid } from './errors.ts'

/**
 * The value of `name` in the URL's query, or undefined when it is not there.
 *
 * @throws RequestInvalid when it is there twice: whoever reads the other one would understand
 * something else (threats.md AU-14)
 */
export function queryOf({ raw }: FastifyRequest, name: string): string | undefined {
  const [, query = ''] = (raw.url ?? '').split('?', 2)
  const values = new URLSearchParams(query).getAll(name)
  if (values.length > 1) throw new RequestInvalid(`give ${name} once, not ${values.length} times`)
  return values[0]
}

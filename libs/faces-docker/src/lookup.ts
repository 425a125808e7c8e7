import { notFound, Refusal } from './errors.ts'

/**
 * The one object that a client means: by its id, else by its name, else by how its id begins.
 * Source: docker-swarm.md A4.
 *
 * @throws Refusal
 */
export async function lookup<T>(
  what: string,
  asked: string,
  by: {
    readonly id: (id: string) => Promise<readonly T[]>
    readonly name: (name: string) => Promise<readonly T[]>
    readonly idPrefix: (prefix: string) => Promise<readonly T[]>
  },
): Promise<T> {
  for (const find of [by.id, by.name, by.idPrefix]) {
    const found = await find(asked)
    const [only] = found
    if (found.length > 1) {
      throw new Refusal(400, `${what} ${asked} is ambiguous (${found.length} matches found)`)
    }
    if (only !== undefined) return only
  }
  throw notFound(what, asked)
}

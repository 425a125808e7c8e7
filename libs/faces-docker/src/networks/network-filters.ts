import { matchesAny, matchesLabels, parseFilters, type Filters } from '../filters.ts'
import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'
import type { NetworkObject } from './network-object.ts'
import { predefinedNames } from './predefined.ts'

/* What a list of networks may be asked for. Source: API 1.47, NetworkList. */

/** @throws Refusal */
export function parseNetworkFilters(text: string | null): Filters {
  const filters = parseFilters(text, ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'])
  const unknown = filters.get('type')?.find((type) => type !== 'builtin' && type !== 'custom')
  if (unknown === undefined) return filters
  throw new Refusal(400, `invalid filter: 'type'='${printable(unknown)}'`)
}

/** @param isUsed whether a service names it; asked where it matters */
export async function isNetworkWanted(
  network: NetworkObject,
  filters: Filters,
  isUsed: () => Promise<boolean>,
): Promise<boolean> {
  const { Name, Id, Driver, Scope, Labels } = network
  const type = predefinedNames.includes(Name) ? 'builtin' : 'custom'
  const isFitting =
    matchesAny(filters, 'name', (name) => Name.includes(name)) &&
    matchesAny(filters, 'id', (prefix) => Id.startsWith(prefix)) &&
    matchesAny(filters, 'driver', (driver) => driver === Driver) &&
    matchesAny(filters, 'scope', (scope) => scope === Scope) &&
    matchesAny(filters, 'type', (one) => one === type) &&
    matchesLabels(filters, 'label', Labels)
  const [dangling] = filters.get('dangling') ?? []
  if (!isFitting || dangling === undefined) return isFitting
  const isDangling = type === 'custom' && !(await isUsed())
  return isDangling === ['1', 't', 'true'].includes(dangling.toLowerCase())
}

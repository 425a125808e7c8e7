import type { WorkloadView } from '@conclave/actors'
import { matchesAny, matchesLabels, parseFilters, type Filters } from '../filters.ts'
import { writtenSpec } from './service-object.ts'

/* What a list of services may be asked for. Source: docker-swarm.md A4. */

/** @throws Refusal */
export const parseServiceFilters = (text: string | null): Filters =>
  parseFilters(text, ['id', 'name', 'label', 'mode', 'runtime'])

export function isServiceWanted(view: WorkloadView, filters: Filters): boolean {
  const { id, name, spec } = view
  const folded = name.toLowerCase()
  const isNamed =
    !(filters.has('id') || filters.has('name')) ||
    (filters.has('id') && matchesAny(filters, 'id', (prefix) => id.startsWith(prefix))) ||
    (filters.has('name') &&
      matchesAny(filters, 'name', (prefix) => folded.startsWith(prefix.toLowerCase())))
  return (
    isNamed &&
    matchesAny(filters, 'mode', (mode) => mode === spec.mode.kind) &&
    matchesAny(filters, 'runtime', (runtime) => runtime === 'container') &&
    matchesLabels(filters, 'label', writtenSpec(spec).Labels ?? {})
  )
}

import { matchesAny, matchesLabels, parseFilters, type Filters } from '../filters.ts'
import type { EngineEvent, EventType } from './event.ts'

/* What a stream of events may be asked for. Source: docker-swarm.md A10; moby, `daemon/events/filter.go`. */

const objects = ['container', 'service', 'secret', 'config', 'network', 'node'] as const
const others = ['daemon', 'image', 'plugin', 'volume'] as const

/** @throws Refusal */
export const parseEventFilters = (text: string | null): Filters =>
  parseFilters(text, ['event', 'label', 'scope', 'type', ...objects, ...others])

export function isEventWanted(event: EngineEvent, filters: Filters): boolean {
  const { type, action, scope, attributes } = event
  return (
    matchesAny(
      filters,
      'event',
      (wanted) => action === wanted || action.startsWith(`${wanted}:`),
    ) &&
    matchesAny(filters, 'type', (wanted) => type === wanted) &&
    matchesAny(filters, 'scope', (wanted) => scope === wanted) &&
    matchesLabels(filters, 'label', attributes) &&
    objects.every((kind) => matchesAny(filters, kind, (wanted) => isAbout(event, kind, wanted))) &&
    others.every((kind) => !filters.has(kind) || kind === 'image' || kind === 'daemon') &&
    matchesAny(filters, 'image', (wanted) => isOfImage(attributes['image'] ?? '', wanted)) &&
    !filters.has('daemon')
  )
}

const isAbout = ({ type, id, attributes }: EngineEvent, kind: EventType, wanted: string): boolean =>
  type === kind && (id === wanted || attributes['name'] === wanted || id.startsWith(wanted))

const isOfImage = (image: string, wanted: string): boolean =>
  image === wanted || image.split(':')[0] === wanted

import { parseImageName } from '@conclave/simulated-images'
import { matchesAny, matchesPairs, parseEngineFilters, type Filters } from '../filters.ts'
import type { EngineEvent } from './event.ts'

/* What a stream of events may be asked for. Source: docker-swarm.md A10; moby, `daemon/events/filter.go`. */

/** Each asks for what its object is called, of whatever type the event is. */
const objects = [
  'config',
  'container',
  'daemon',
  'network',
  'node',
  'plugin',
  'secret',
  'service',
  'volume',
]

/** Of actions that say more behind a colon, such as `exec_create: ls`. */
const longActions = ['exec_create', 'exec_start', 'health_status']

/** What is not known asks for nothing, as in the Engine. @throws Refusal */
export const parseEventFilters = (text: string | null): Filters =>
  parseEngineFilters(text, undefined)

export function isEventWanted(event: EngineEvent, filters: Filters): boolean {
  const { type, action, scope, id, attributes } = event
  const isByPrefix = filters.get('event')?.some((wanted) => longActions.includes(wanted)) ?? false
  const name = attributes['name'] ?? ''
  return (
    matchesAny(filters, 'event', (wanted) =>
      isByPrefix ? action.startsWith(wanted) : action === wanted,
    ) &&
    matchesAny(filters, 'type', (wanted) => type === wanted) &&
    matchesAny(filters, 'scope', (wanted) => scope === wanted) &&
    matchesPairs(filters, 'label', attributes) &&
    objects.every((kind) =>
      matchesAny(filters, kind, (wanted) => id.startsWith(wanted) || name.startsWith(wanted)),
    ) &&
    matchesAny(filters, 'image', (wanted) => isOfImage(event, wanted))
  )
}

function isOfImage({ id, attributes }: EngineEvent, wanted: string): boolean {
  const image = attributes['image'] ?? ''
  return [id, image, withoutTag(image)].includes(wanted)
}

const withoutTag = (image: string): string => parseImageName(image)?.familiar ?? image

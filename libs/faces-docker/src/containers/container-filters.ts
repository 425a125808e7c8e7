import type { SimulatedImagesMode } from '@conclave/simulated-images'
import { Refusal } from '../errors.ts'
import {
  demandBoolean,
  isTrue,
  matchesAny,
  matchesLabels,
  parseFilters,
  type Filters,
} from '../filters.ts'
import { printable } from '../printable.ts'
import { exitCodeOf, type Container } from './container.ts'
import { healthOf, imageIdOf } from './container-object.ts'

/* What a list of containers may be asked for. Source: docker-swarm.md A8; moby, `daemon/list.go`. */

const keys = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]

const states = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']
const healths = ['starting', 'healthy', 'unhealthy', 'none']

/** @throws Refusal */
export function parseContainerFilters(text: string | null): Filters {
  const filters = parseFilters(text, keys)
  demandKnown(filters, 'status', states)
  const health = filters.get('health')?.find((value) => !healths.includes(value))
  if (health !== undefined) {
    throw new Refusal(400, `unrecognized filter value for health: ${printable(health)}`)
  }
  const code = filters.get('exited')?.find((value) => !/^[-+]?\d{1,9}$/.test(value))
  if (code !== undefined) {
    throw new Refusal(400, `strconv.Atoi: parsing "${printable(code)}": invalid syntax`)
  }
  demandBoolean(filters, 'is-task')
  return filters
}

function demandKnown(filters: Filters, key: string, known: readonly string[]): void {
  const other = filters.get(key)?.find((value) => !known.includes(value))
  if (other === undefined) return
  throw new Refusal(400, `invalid filter '${key}=${printable(other)}'`)
}

/** Whether somebody asks for containers that do not run, without saying `all`. */
export const asksForEnded = (filters: Filters): boolean =>
  ['status', 'exited', 'before', 'since'].some((key) => filters.has(key))

export function isContainerWanted(
  container: Container,
  filters: Filters,
  all: readonly Container[],
  mode: SimulatedImagesMode,
): boolean {
  const { id, name, state, labels, image } = container
  return (
    matchesAny(filters, 'id', (prefix) => id.startsWith(prefix.replace(/^\^/, ''))) &&
    matchesAny(filters, 'name', (pattern) => matchesName(name, pattern)) &&
    matchesAny(filters, 'status', (wanted) => state === wanted) &&
    matchesAny(filters, 'exited', (code) => state === 'exited' && isCode(container, code)) &&
    matchesAny(filters, 'health', (wanted) => (healthOf(container) ?? 'none') === wanted) &&
    matchesAny(filters, 'ancestor', (wanted) =>
      isImage(image, imageIdOf(container, mode), wanted),
    ) &&
    matchesAny(filters, 'before', (asked) => isOlder(container, named(all, asked))) &&
    matchesAny(filters, 'since', (asked) => isOlder(named(all, asked), container)) &&
    matchesAny(filters, 'is-task', isTrue) &&
    matchesAny(filters, 'isolation', (wanted) => wanted === 'default') &&
    // Simulated containers have no networks, ports or volumes that could be asked for.
    ['network', 'publish', 'expose', 'volume'].every((key) => !filters.has(key)) &&
    matchesLabels(filters, 'label', labels)
  )
}

/**
 * Part of a name, or all of it between `^` and `$`. The Engine takes any regular expression, which a client
 * could write so that it never ends.
 */
export function matchesName(name: string, pattern: string): boolean {
  const isFromStart = /^\^?\//.test(pattern) || pattern.startsWith('^')
  const isToEnd = pattern.endsWith('$')
  const text = pattern
    .replace(/^\^/, '')
    .replace(/^\//, '')
    .replace(/\$$/, '')
    .replaceAll('\\.', '.')
  if (isFromStart && isToEnd) return name === text
  if (isFromStart) return name.startsWith(text)
  return isToEnd ? name.endsWith(text) : name.includes(text)
}

const isCode = (container: Container, code: string): boolean =>
  String(exitCodeOf(container)) === code

function isImage(image: string, imageId: string, wanted: string): boolean {
  const isNamed = image === wanted || image === `${wanted}:latest`
  return isNamed || imageId === wanted || imageId.startsWith(`sha256:${wanted}`)
}

const named = (all: readonly Container[], asked: string): Container | undefined => {
  const found = all.find(
    ({ id, name }) => id.startsWith(asked) || name === asked || `/${name}` === asked,
  )
  if (found === undefined) throw new Refusal(404, `No such container: ${printable(asked)}`)
  return found
}

const isOlder = (one: Container | undefined, other: Container | undefined): boolean =>
  one !== undefined && other !== undefined && one.createdAtMs < other.createdAtMs

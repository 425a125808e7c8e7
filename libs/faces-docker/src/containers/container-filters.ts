import type { Caller } from '@conclave/actors'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import type { Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import {
  demandBoolean,
  isTrue,
  matchesAny,
  matchesPairs,
  parseEngineFilters,
  type Filters,
} from '../filters.ts'
import { imageIdsNamed } from '../images/local-images.ts'
import { printable } from '../printable.ts'
import { exitCodeOf, noSuchContainer, type Container } from './container.ts'
import { healthOf, imageIdOf } from './container-object.ts'
import { portsIn } from './port-range.ts'
import type { SurroundingsOf } from './surroundings.ts'

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

/** What is wrong with them is told in the Engine's order. @throws Refusal */
export function parseContainerFilters(text: string | null): Filters {
  const filters = parseEngineFilters(text, keys)
  const code = filters.get('exited')?.find((value) => !/^[-+]?\d{1,18}$/.test(value))
  if (code !== undefined) {
    const shown = printable(code)
    throw new Refusal(
      400,
      `invalid filter 'exited=${shown}': strconv.Atoi: parsing "${shown}": invalid syntax`,
    )
  }
  const status = filters.get('status')?.find((value) => !states.includes(value))
  if (status !== undefined) throw new Refusal(400, `invalid filter 'status=${printable(status)}'`)
  demandBoolean(filters, 'is-task')
  const health = filters.get('health')?.find((value) => !healths.includes(value))
  if (health !== undefined) {
    throw new Refusal(400, `unrecognized filter value for health: ${printable(health)}`)
  }
  return filters
}

/** What the filters mean among the containers that there are. */
interface Wanted {
  readonly filters: Filters
  readonly mode: SimulatedImagesMode
  readonly ids: ReadonlySet<string>
  /** Of the images that `ancestor` asks for. */
  readonly imageIds: ReadonlySet<string>
  readonly expose: ReadonlySet<string>
  readonly surroundingsOf: SurroundingsOf
}

/**
 * Those of `all`, the newest first, that the filters ask for.
 *
 * @throws Refusal for what names no container, and for what is no port
 */
export async function containersWanted(
  engine: Engine,
  caller: Caller,
  all: readonly Container[],
  filters: Filters,
  {
    isAll,
    mode,
    surroundingsOf,
  }: {
    readonly isAll: boolean
    readonly mode: SimulatedImagesMode
    readonly surroundingsOf: SurroundingsOf
  },
): Promise<readonly Container[]> {
  // Of several the Engine takes any.
  const [before, since] = (['before', 'since'] as const).map((key) =>
    filters.get(key)?.map((asked) => placeOf(all, asked)),
  )
  const imageIds = await imageIdsNamed(engine, caller, filters.get('ancestor') ?? [])
  for (const value of filters.get('publish') ?? []) portsIn('publish', value)
  const expose = new Set((filters.get('expose') ?? []).flatMap((value) => portsIn('expose', value)))
  const ids = new Set((filters.get('id') ?? []).flatMap((prefix) => onlyOf(all, prefix)))
  const wanted: Wanted = { filters, mode, ids, imageIds, expose, surroundingsOf }
  const isEndedWanted = isAll || filters.has('status')
  return all
    .slice(before === undefined ? 0 : Math.max(...before) + 1, since && Math.min(...since))
    .filter(({ state }) => isEndedWanted || state === 'running')
    .filter((container) => isWanted(container, wanted))
}

function isWanted(
  container: Container,
  { filters, mode, ids, imageIds, expose, surroundingsOf }: Wanted,
): boolean {
  const { id, name, state, labels, task } = container
  const isOfItself =
    (!filters.has('id') || ids.has(id)) &&
    matchesAny(filters, 'name', (pattern) => matchesName(name, pattern)) &&
    matchesAny(filters, 'is-task', isTrue) &&
    matchesPairs(filters, 'label', labels) &&
    matchesAny(
      filters,
      'exited',
      (code) =>
        state === 'exited' &&
        task.startedAtMs !== undefined &&
        exitCodeOf(container) === Number(code),
    ) &&
    matchesAny(filters, 'status', (wanted) => state === wanted) &&
    matchesAny(filters, 'health', (wanted) => (healthOf(container) ?? 'none') === wanted) &&
    (!filters.has('ancestor') || imageIds.has(imageIdOf(container, mode)))
  if (!isOfItself) return false
  const { networks, ports, mounts } = surroundingsOf(container)
  const isPortWanted = filters.has('expose') || filters.has('publish')
  return (
    matchesAny(filters, 'volume', (wanted) =>
      mounts.some(({ Destination }) => Destination === wanted),
    ) &&
    matchesAny(filters, 'network', (wanted) =>
      networks.some(({ Id, Name }) => Name === wanted || Id.startsWith(wanted)),
    ) &&
    // No port of the machine leads to a container: what is published is nobody's.
    (!isPortWanted || ports.some(({ PrivatePort, Type }) => expose.has(`${PrivatePort}/${Type}`)))
  )
}

/** By an id or a name, whole: not by how one begins. @throws Refusal */
function placeOf(all: readonly Container[], asked: string): number {
  const name = asked.replace(/^\//, '')
  const at = all.findIndex((one) => one.id === asked || one.name === name)
  if (at < 0) throw noSuchContainer(asked)
  return at
}

/** The one whose id begins so; of several it is none. */
function onlyOf(all: readonly Container[], prefix: string): readonly string[] {
  const found = prefix === '' ? [] : all.filter(({ id }) => id.startsWith(prefix))
  return found.length === 1 ? found.map(({ id }) => id) : []
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

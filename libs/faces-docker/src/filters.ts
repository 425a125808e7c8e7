import { Refusal } from './errors.ts'
import { printable } from './printable.ts'

/** What a list is asked for: values by key. Values of one key are alternatives. */
export type Filters = ReadonlyMap<string, readonly string[]>

/**
 * `filters=` of a list, in both forms that clients write: `{"name":{"a":true}}` and `{"name":["a"]}`.
 * Source: docker-swarm.md A4.
 *
 * @throws Refusal
 */
export function parseFilters(text: string | null, known: readonly string[]): Filters {
  if (text === null || text === '') return new Map()
  const first = printable(text.slice(0, 1))
  const notJson = new Refusal(500, `invalid character '${first}' looking for beginning of value`)
  const filters = filtersIn(text, notJson)
  const other = [...filters.keys()].find((key) => !known.includes(key))
  if (other === undefined) return filters
  throw new Refusal(400, `Invalid filter '${printable(other)}'`)
}

/**
 * The same of lists of the Engine's own, in the words of Engines since 23.0.
 *
 * @param known undefined where it does not mind what it does not know
 * @throws Refusal
 */
export function parseEngineFilters(
  text: string | null,
  known: readonly string[] | undefined,
): Filters {
  if (text === null || text === '') return new Map()
  const filters = filtersIn(text, new Refusal(400, 'invalid filter'))
  const other = [...filters.keys()].find((key) => known?.includes(key) === false)
  if (other === undefined) return filters
  throw new Refusal(400, `invalid filter '${printable(other)}'`)
}

function filtersIn(text: string, notJson: Refusal): Filters {
  const filters = new Map<string, readonly string[]>()
  for (const [key, asked] of Object.entries(parse(text, notJson))) {
    const values = valuesOf(asked)
    if (values === undefined) throw new Refusal(400, 'invalid filter')
    if (values.length > 0) filters.set(key, values)
  }
  return filters
}

function parse(text: string, notJson: Refusal): object {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw notJson
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal(400, 'invalid filter')
  }
  return value
}

function valuesOf(asked: unknown): readonly string[] | undefined {
  if (Array.isArray(asked)) return asked.every((one) => typeof one === 'string') ? asked : undefined
  if (typeof asked !== 'object' || asked === null) return undefined
  return Object.entries(asked).flatMap(([value, isWanted]) => (isWanted === false ? [] : [value]))
}

/** Whether no filter of this key was given, or `fits` one of its values. */
export const matchesAny = (
  filters: Filters,
  key: string,
  fits: (value: string) => boolean,
): boolean => filters.get(key)?.some((value) => fits(value)) ?? true

/** `k` asks for the label, `k=v` for its value, `k=` for the label again; all must be met. */
export const matchesLabels = (
  filters: Filters,
  key: string,
  labels: Readonly<Record<string, string>>,
): boolean =>
  filters.get(key)?.every((wanted) => {
    const at = wanted.indexOf('=')
    const name = at === -1 ? wanted : wanted.slice(0, at)
    const value = at === -1 ? '' : wanted.slice(at + 1)
    return Object.hasOwn(labels, name) && (value === '' || labels[name] === value)
  }) ?? true

/** As the Engine itself reads labels, where SwarmKit does not: `k=` asks for an empty value. */
export const matchesPairs = (
  filters: Filters,
  key: string,
  labels: Readonly<Record<string, string>>,
): boolean =>
  filters.get(key)?.every((wanted) => {
    const at = wanted.indexOf('=')
    if (at === -1) return Object.hasOwn(labels, wanted)
    const name = wanted.slice(0, at)
    return Object.hasOwn(labels, name) && labels[name] === wanted.slice(at + 1)
  }) ?? true

/** Of what {@link demandBoolean} lets pass. */
export const isTrue = (value: string): boolean => value === 'true' || value === '1'

/** @throws Refusal for what is neither true nor false to the Engine: `true`, `1`, `false` and `0` are */
export function demandBoolean(filters: Filters, key: string): void {
  const values = filters.get(key) ?? []
  if (values.every((value) => ['true', '1', 'false', '0'].includes(value))) return
  throw new Refusal(400, `invalid filter '${key}=[${values.map(printable).join(' ')}]'`)
}

import { utf8 } from '@conclave/kernel'

/** What fields lead to: a text, or more fields. */
export type Fields = { readonly [name: string]: string | Fields }

/** What a pipeline comes to. A text is bytes: it may be a secret. */
export type Value = Uint8Array | Fields | boolean | number

export const isText = (value: Value): value is Uint8Array => value instanceof Uint8Array

export const isFields = (value: Value): value is Fields =>
  typeof value === 'object' && !isText(value)

/** The element of a map, or one of the context's parts. */
export const ofField = (value: string | Fields): Value =>
  typeof value === 'string' ? utf8(value) : value

/** Whether `if` and `with` take it for true: it is not the empty value of its kind. */
export function isTrue(value: Value): boolean {
  if (typeof value === 'boolean') return value
  if (typeof value === 'number') return value !== 0
  return isText(value) ? value.length > 0 : Object.keys(value).length > 0
}

/** As Go calls the kind of it. */
export function kindOf(value: Value): 'string' | 'bool' | 'int' | 'map' {
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return 'int'
  return isText(value) ? 'string' : 'map'
}

/** As Go calls its type; maps of texts are what is left once the structures have names. */
export function typeOf(value: Value, structures: ReadonlyMap<Fields, string> | undefined): string {
  if (!isFields(value)) return kindOf(value)
  return structures?.get(value) ?? 'map[string]string'
}

/** In the order in which Go goes through a map. */
export const entriesOf = (fields: Fields): readonly (readonly [string, string | Fields])[] =>
  Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1))

/** As an action that is nothing but this value prints it. */
export const printed = (value: Value): Uint8Array =>
  isText(value) ? value : utf8(isFields(value) ? mapText(value) : String(value))

const mapText = (fields: Fields): string =>
  `map[${entriesOf(fields)
    .map(([name, value]) => `${name}:${typeof value === 'string' ? value : mapText(value)}`)
    .join(' ')}]`

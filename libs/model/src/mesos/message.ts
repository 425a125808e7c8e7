import { ConclaveError, Redacted, type RedactedBytes } from '@conclave/kernel'
import { z } from 'zod'
import { fromBase64, NotBase64 } from './base64.ts'

/*
 * Mesos messages as tables of fields. One table reads JSON as leniently as Mesos does, writes it with
 * the defaults Mesos writes, and finds every secret in a message, so no place can be forgotten.
 * Source: reference/mesos.md §1.
 */

/** JSON that does not fit its message. The message is Mesos' own text, and never quotes a secret. */
export class CallMalformed extends ConclaveError {
  readonly code = 'mesos.malformed'
}

declare const valueType: unique symbol
interface Valued<T> {
  readonly [valueType]?: T
}

type Label = 'required' | 'optional' | 'repeated'

/**
 * Who gets to see a field. `hidden` ones are read but never written by {@link toJson}; `internal` ones
 * are ours, and whoever sends them from outside is not heard.
 */
type Reach = 'open' | 'hidden' | 'internal'

export type AnyKind =
  | { readonly is: 'text' | 'double' | 'int' | 'uint' | 'boolean' | 'bytes' | 'plaintext' }
  | { readonly is: 'enumeration'; readonly names: readonly string[] }
  | { readonly is: 'map'; readonly of: AnyKind }
  | AnyMessage

export interface AnyMessage {
  readonly is: 'message'
  readonly name: string
  fields(): Fields
}

export type Kind<T> = AnyKind & Valued<T>
export type Message<T> = AnyMessage & Valued<T>

export interface Field<T, L extends Label = Label> extends Valued<T> {
  readonly label: L
  readonly kind: AnyKind
  readonly reach: Reach
  /** Required of whoever sends it from outside; ours has something else in its place. */
  readonly isDemanded?: boolean
  /** A repeated field that JSON has even when it is empty. */
  readonly isListed?: boolean
  /** Written when the field is unset: the proto's explicit default. */
  readonly fallback?: string | number | boolean
}

type Fields = Readonly<Record<string, Field<unknown>>>

type Value<F> = F extends Valued<infer T> ? T : never
type Named<F, L extends Label> = {
  [K in keyof F]: F[K] extends { readonly label: L } ? K : never
}[keyof F]

/** The type of a message, from its table: repeated fields are always there, maybe empty. */
export type Shape<F> = {
  readonly [K in Named<F, 'required'>]: Value<F[K]>
} & {
  readonly [K in Named<F, 'optional'>]?: Value<F[K]> | undefined
} & {
  readonly [K in Named<F, 'repeated'>]: readonly Value<F[K]>[]
} extends infer S
  ? { readonly [K in keyof S]: S[K] }
  : never

export type Infer<M> = M extends Valued<infer T> ? T : never

export const text: Kind<string> = { is: 'text' }
export const double: Kind<number> = { is: 'double' }
export const int: Kind<number> = { is: 'int' }
export const uint: Kind<number> = { is: 'uint' }
export const boolean: Kind<boolean> = { is: 'boolean' }
/** Bytes that are no secret: checked, and kept as their base64 text. */
export const bytes: Kind<string> = { is: 'bytes' }
/** Bytes of a secret: decoded once, into the only copy there is. */
export const plaintext: Kind<RedactedBytes> = { is: 'plaintext' }

export const enumeration = <const N extends readonly string[]>(...names: N): Kind<N[number]> => ({
  is: 'enumeration',
  names,
})

export const map = <T>(of: Kind<T>): Kind<Readonly<Record<string, T>>> => ({ is: 'map', of })

export const required = <T>(kind: Kind<T>): Field<T, 'required'> => ({
  label: 'required',
  kind,
  reach: 'open',
})

export const optional = <T>(
  kind: Kind<T>,
  fallback?: T & (string | number | boolean),
): Field<T, 'optional'> => ({
  label: 'optional',
  kind,
  reach: 'open',
  ...(fallback === undefined ? {} : { fallback }),
})

export const repeated = <T>(kind: Kind<T>): Field<T, 'repeated'> => ({
  label: 'repeated',
  kind,
  reach: 'open',
})

/** A repeated field of an answer that Mesos writes by hand: an empty array, rather than none. */
export const listed = <T>(kind: Kind<T>): Field<T, 'repeated'> => ({
  ...repeated(kind),
  isListed: true,
})

export const hidden = <T>(kind: Kind<T>): Field<T, 'optional'> => ({
  label: 'optional',
  kind,
  reach: 'hidden',
})

/** A {@link hidden} field that nobody outside may leave out. */
export const demanded = <T>(kind: Kind<T>): Field<T, 'optional'> => ({
  ...hidden(kind),
  isDemanded: true,
})

export const internal = <T>(kind: Kind<T>): Field<T, 'optional'> => ({
  label: 'optional',
  kind,
  reach: 'internal',
})

export function message<F extends Fields>(name: string, fields: F): Message<Shape<F>> {
  return { is: 'message', name, fields: () => fields }
}

/** For a message that contains itself: its type is written out, its table made on demand. */
export function recursive<T>(name: string, fields: () => Fields): Message<T> {
  return { is: 'message', name, fields }
}

type Json = Readonly<Record<string, unknown>>

const isObject = (json: unknown): json is Json =>
  typeof json === 'object' && json !== null && !Array.isArray(json)

/** As deep as protobuf goes. */
export const depthMax = 100

interface Reading {
  readonly isOurs: boolean
  readonly depth: number
}

/**
 * Reads JSON from outside, as Mesos would.
 *
 * @throws CallMalformed with Mesos' text
 */
export function parse<T>(kind: Message<T>, json: unknown): T {
  return readRoot(kind, json, false)
}

/** Reads what we wrote ourselves, a record or a message between master and agent. */
export function parseOurs<T>(kind: Message<T>, json: unknown): T {
  return readRoot(kind, json, true)
}

function readRoot<T>(kind: Message<T>, json: unknown, isOurs: boolean): T {
  if (!isObject(json)) throw new CallMalformed('Expecting a JSON object')
  const value = readMessage(kind, json, { isOurs, depth: 0 })
  demandFields(kind, value, isOurs)
  return value as T
}

/** @throws CallMalformed when a required field of `value` is unset, however deep */
export function demandFields(kind: AnyMessage, value: JsonObject, isOurs = false): void {
  const missing = missingFields(kind, value, '', isOurs)
  if (missing.length === 0) return
  throw new CallMalformed(`Missing required fields: ${missing.join(', ')}`)
}

function readMessage(kind: AnyMessage, json: Json, reading: Reading): Json {
  if (reading.depth > depthMax) throw new CallMalformed(`Nested deeper than ${depthMax} messages`)
  const value: Record<string, unknown> = {}
  // Mesos keeps a JSON object's members sorted, so this is the order in which it meets mistakes.
  for (const [name, field] of Object.entries(kind.fields()).toSorted(byName)) {
    const isHeard = field.reach !== 'internal' || reading.isOurs
    const found = isHeard && Object.hasOwn(json, name) ? json[name] : undefined
    if (field.label === 'repeated') {
      value[name] = readRepeated(field, name, found, reading)
    } else {
      const read = readOne(field, name, found, reading)
      if (read !== undefined) value[name] = read
    }
  }
  return value
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1)

function readRepeated(
  field: Field<unknown>,
  name: string,
  json: unknown,
  reading: Reading,
): unknown[] {
  const items = Array.isArray(json) ? json : [json]
  return items
    .map((item: unknown) => readOne(field, name, item, reading))
    .filter((item) => item !== undefined)
}

function readOne(field: Field<unknown>, name: string, json: unknown, reading: Reading): unknown {
  if (json === null || json === undefined) return undefined
  const { kind } = field
  if (Array.isArray(json)) throw mismatch('array', name)
  if (isObject(json)) return readObject(kind, name, json, reading)
  if (typeof json === 'string') return readText(field, name, json)
  if (typeof json === 'number') return readNumber(kind, name, json)
  if (kind.is !== 'boolean') throw mismatch('boolean', name)
  return json
}

function mismatch(what: string, name: string): CallMalformed {
  return new CallMalformed(`Not expecting a JSON ${what} for field '${name}'`)
}

function readObject(kind: AnyKind, name: string, json: Json, reading: Reading): unknown {
  const deeper = { ...reading, depth: reading.depth + 1 }
  if (kind.is === 'message') return readMessage(kind, json, deeper)
  if (kind.is !== 'map') throw mismatch('object', name)
  const field: Field<unknown> = { label: 'optional', kind: kind.of, reach: 'open' }
  const entries = Object.entries(json).map(([key, item]): [string, unknown] => [
    key,
    readOne(field, name, item, deeper),
  ])
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined))
}

function readText(field: Field<unknown>, name: string, json: string): unknown {
  const { kind } = field
  switch (kind.is) {
    case 'text':
      return json
    case 'bytes':
      decode(name, json)
      return json
    case 'plaintext':
      return new Redacted(decode(name, json))
    case 'enumeration':
      if (kind.names.includes(json)) return json
      if (field.label === 'required') throw new CallMalformed(`Failed to find enum for '${json}'`)
      return undefined
    case 'double':
    case 'int':
    case 'uint':
      return readNumber(kind, name, numberIn(kind, name, json))
    case 'boolean':
      if (json === 'true') return true
      if (json === 'false') return false
      throw new CallMalformed(`Failed to parse '${json}' as a JSON boolean for field '${name}'`)
    case 'message':
    case 'map':
      break
  }
  throw mismatch('string', name)
}

function decode(name: string, json: string): Uint8Array {
  try {
    return fromBase64(json)
  } catch (error) {
    if (!(error instanceof NotBase64)) throw error
    throw new CallMalformed(`Failed to base64 decode bytes field '${name}': ${error.message}`, {
      cause: error,
    })
  }
}

const jsonNumber = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/

function numberIn(kind: AnyKind, name: string, json: string): number {
  if (kind.is === 'double' && json === 'Infinity') return Infinity
  if (kind.is === 'double' && json === '-Infinity') return -Infinity
  if (jsonNumber.test(json)) return Number(json)
  throw new CallMalformed(
    `Failed to parse '${json}' as a JSON number for field '${name}': it is not one`,
  )
}

function readNumber(kind: AnyKind, name: string, json: number): number {
  if (kind.is === 'double') return json
  if (kind.is !== 'int' && kind.is !== 'uint') throw mismatch('number', name)
  const whole = Math.trunc(json)
  if (!Number.isFinite(whole) || (kind.is === 'uint' && whole < 0)) {
    throw new CallMalformed(`Failed to parse '${json}' as a JSON number for field '${name}'`)
  }
  return whole + 0 // -0 is not a number that protobuf knows
}

/** Dotted paths of required fields that are unset: a message's own first, then its parts'. */
function missingFields(
  kind: AnyMessage,
  value: Json,
  prefix: string,
  isOurs: boolean,
): readonly string[] {
  const fields = Object.entries(kind.fields())
  const isNeeded = ({ label, isDemanded = false }: Field<unknown>): boolean =>
    label === 'required' || (isDemanded && !isOurs)
  const own = fields
    .filter(([name, field]) => isNeeded(field) && value[name] === undefined)
    .map(([name]) => prefix + name)
  const nested = fields.flatMap(([name, { kind: of }]) => {
    if (of.is === 'map' && of.of.is === 'message') {
      return missingIn(of.of, Object.entries(value[name] ?? {}), `${prefix}${name}`, isOurs)
    }
    if (of.is !== 'message' || value[name] === undefined) return []
    if (!Array.isArray(value[name])) {
      return missingFields(of, value[name] as Json, `${prefix}${name}.`, isOurs)
    }
    return missingIn(of, Object.entries(value[name]), `${prefix}${name}`, isOurs)
  })
  return [...own, ...nested]
}

function missingIn(
  kind: AnyMessage,
  items: readonly [string, unknown][],
  path: string,
  isOurs: boolean,
): readonly string[] {
  return items.flatMap(([key, item]) =>
    missingFields(kind, item as Json, `${path}[${key}].`, isOurs),
  )
}

export type JsonObject = { readonly [name: string]: unknown }

/** How much of a message is written. */
export interface Writing {
  /** Values of secrets, too: as Mesos does it, for whoever teaches what that leads to. */
  readonly withHidden: boolean
}

export const openly: Writing = { withHidden: false }

/** Whether a field of this reach is written. What is ours alone never is. */
export const isWritten = (reach: Reach, { withHidden }: Writing): boolean =>
  reach === 'open' || (reach === 'hidden' && withHidden)

/**
 * The public JSON form: set fields, and unset ones that have a default in the proto. A secret keeps
 * its type and reference and loses its value, unless `writing` says otherwise.
 */
export function toJson<T>(kind: Message<T>, value: T, writing: Writing = openly): JsonObject {
  return writeMessage(kind, value as Json, writing)
}

function writeMessage(kind: AnyMessage, value: Json, writing: Writing): JsonObject {
  const json: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(kind.fields())) {
    if (!isWritten(field.reach, writing)) continue
    const item = value[name]
    if (item === undefined) {
      if (field.fallback !== undefined) json[name] = field.fallback
    } else if (!Array.isArray(item)) {
      json[name] = write(field.kind, item, writing)
    } else if (item.length > 0 || field.isListed === true) {
      json[name] = item.map((one: unknown) => write(field.kind, one, writing))
    }
  }
  return json
}

function write(kind: AnyKind, value: unknown, writing: Writing): unknown {
  if (kind.is === 'message') return writeMessage(kind, value as Json, writing)
  if (kind.is === 'plaintext') {
    return Buffer.from((value as RedactedBytes).reveal()).toString('base64')
  }
  if (kind.is !== 'map') return value
  return Object.fromEntries(
    Object.entries(value as Json).map(([key, item]) => [key, write(kind.of, item, writing)]),
  )
}

/** Compact JSON on one line, ASCII only: a real client compares string length with byte length. */
export function asciiJson(json: unknown): string {
  return JSON.stringify(json).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * `value` with every `part` in it replaced by what `change` makes of it, however deep it lies. What
 * contains no such part stays the same object.
 */
export function mapParts<T, P>(
  kind: Message<T>,
  value: T,
  part: Message<P>,
  change: (part: P) => P,
): T {
  return mapValue(kind, value, part, change as (part: unknown) => unknown) as T
}

function mapValue(
  kind: AnyKind,
  value: unknown,
  part: AnyMessage,
  change: (part: unknown) => unknown,
): unknown {
  if (value === undefined) return undefined
  if (kind === part) return change(value)
  const within = (of: AnyKind, item: unknown): unknown => {
    if (!Array.isArray(item)) return mapValue(of, item, part, change)
    const items = item.map((one: unknown) => mapValue(of, one, part, change))
    return items.every((one, index) => one === item[index]) ? item : items
  }
  if (kind.is === 'map') return mapMembers(value as Json, () => kind.of, within)
  if (kind.is !== 'message') return value
  const ways = waysTo(kind, part)
  return mapMembers(value as Json, (name) => ways.get(name), within)
}

function mapMembers(
  value: Json,
  kindOf: (name: string) => AnyKind | undefined,
  within: (of: AnyKind, item: unknown) => unknown,
): Json {
  let changed: Record<string, unknown> | undefined
  for (const name of Object.keys(value)) {
    const of = kindOf(name)
    if (of === undefined) continue
    const item = within(of, value[name])
    if (item !== value[name]) (changed ??= { ...value })[name] = item
  }
  return changed ?? value
}

/** Which fields of a message lead to a part, by part and message: most lead nowhere near a secret. */
const knownWays = new WeakMap<AnyMessage, WeakMap<AnyMessage, ReadonlyMap<string, AnyKind>>>()

function waysTo(kind: AnyMessage, part: AnyMessage): ReadonlyMap<string, AnyKind> {
  const ofPart = knownWays.get(part) ?? new WeakMap<AnyMessage, ReadonlyMap<string, AnyKind>>()
  knownWays.set(part, ofPart)
  const known = ofPart.get(kind)
  if (known !== undefined) return known
  const ways = new Map<string, AnyKind>()
  for (const [name, field] of Object.entries(kind.fields())) {
    if (reaches(field.kind, part, new Set())) ways.set(name, field.kind)
  }
  ofPart.set(kind, ways)
  return ways
}

/** @param seen messages on the way here: one that contains itself leads nowhere new */
function reaches(kind: AnyKind, part: AnyMessage, seen: ReadonlySet<AnyKind>): boolean {
  if (kind === part) return true
  if (kind.is === 'map') return reaches(kind.of, part, seen)
  if (kind.is !== 'message' || seen.has(kind)) return false
  const deeper = new Set([...seen, kind])
  return Object.values(kind.fields()).some((field) => reaches(field.kind, part, deeper))
}

/** Every `part` in `value`, in a fixed order. */
export function partsIn<T, P>(kind: Message<T>, value: T, part: Message<P>): readonly P[] {
  const found: P[] = []
  mapParts(kind, value, part, (one) => {
    found.push(one)
    return one
  })
  return found
}

/** A message of ours as a zod schema, for records and for messages between master and agent. */
export function schemaOf<T>(kind: Message<T>): z.ZodType<T> {
  return z.unknown().transform((json, context): T => {
    try {
      return parseOurs(kind, json)
    } catch (error) {
      if (!(error instanceof CallMalformed)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  })
}

import type { ByteString } from '../../byte-string.ts'
import { formatFloat } from '../printf.ts'

/** Text of input that looks like a number: it compares as one, and prints as it came. */
export interface NumericText {
  readonly text: ByteString
  readonly value: number
}

/** A value of awk; nothing is both zero and the empty string. */
export type Value = number | ByteString | NumericText | undefined

export type Table = Map<ByteString, Value>

/**
 * What a name stands for: a value, or a table once it is used as one. A parameter that was given a
 * name without a value makes that name a table when it becomes one itself.
 */
export interface Cell {
  value: Value
  table: Table | undefined
  readonly origin: Cell | undefined
}

export const cell = (value?: Value, origin?: Cell): Cell => ({ value, table: undefined, origin })

export function tableOf(of: Cell): Table {
  of.table ??= of.origin === undefined ? new Map() : tableOf(of.origin)
  return of.table
}

const numberText = /^[ \t\n\r\v\f]*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)[ \t\n\r\v\f]*$/

const numberPrefix = /^[ \t\n\r\v\f]*([-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)/

/** A field, a line or an assignment of the command line as a value. */
export function inputValue(text: ByteString): Value {
  const match = numberText.exec(text)
  return match === null ? text : { text, value: Number(match[1]) }
}

export function toNumber(value: Value): number {
  if (typeof value === 'number') return value
  if (value === undefined) return 0
  if (typeof value !== 'string') return value.value
  return Number(numberPrefix.exec(value)?.[1] ?? 0)
}

const precisionOf = (format: string): number => Number(/^%\.(\d{1,2})g$/.exec(format)?.[1] ?? 6)

/** @param format what `CONVFMT` or `OFMT` says, of which `%.Ng` is understood */
export function numberToText(value: number, format: string): ByteString {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return String(value + 0)
  return formatFloat(value, 'g', { flags: '', width: 0, precision: precisionOf(format) })
}

export function toText(value: Value, format: string): ByteString {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberToText(value, format)
  return value === undefined ? '' : value.text
}

export function isTrue(value: Value): boolean {
  if (typeof value === 'number') return value !== 0
  if (typeof value === 'string') return value !== ''
  return value !== undefined && value.value !== 0
}

/** Below zero, zero or above: as numbers when both are, as text otherwise. */
export function compareValues(left: Value, right: Value, format: string): number {
  if (typeof left !== 'string' && typeof right !== 'string') return toNumber(left) - toNumber(right)
  const one = toText(left, format)
  const two = toText(right, format)
  return one < two ? -1 : one > two ? 1 : 0
}

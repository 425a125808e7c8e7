import { inspect } from 'node:util'
import type { Canary } from './canary.ts'
import { findCanaries } from './find-canary.ts'

/** A canary was found where none may be, or the search could not have found one. */
export class LeakFound extends Error {
  override readonly name = 'LeakFound'
}

/**
 * For tests: fails when one of `canaries` can be read off one of `places`, which are named texts,
 * bytes or any values: errors, answers, events, whatever a printer would make of them.
 *
 * @throws LeakFound which says where, as what and whose, and never what
 */
export function expectNoLeak(
  places: Readonly<Record<string, unknown>>,
  canaries: readonly Canary[],
): void {
  if (canaries.length === 0 || Object.keys(places).length === 0) {
    throw new LeakFound('nothing was searched: name a place and a canary')
  }
  const leaks = Object.entries(places).flatMap(([place, value]) =>
    printedForms(value).flatMap((bytes) =>
      findCanaries(bytes, canaries).map(
        ({ canary, form, offset }) => `${place}: ${canary.toString()} as ${form} at ${offset}`,
      ),
    ),
  )
  if (leaks.length > 0) throw new LeakFound([...new Set(leaks)].join('\n'))
}

/** What somebody who gets hold of `value` may print of it. */
function printedForms(value: unknown): readonly Uint8Array[] {
  if (value instanceof Uint8Array) return [value]
  if (typeof value === 'string') return [Buffer.from(value)]
  const inspected = inspect(value, {
    depth: 20,
    showHidden: true,
    getters: true,
    maxArrayLength: null,
    maxStringLength: null,
  })
  return [inspected, String(value), jsonOf(value)].map((text) => Buffer.from(text))
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? ''
  } catch {
    // A circle or a bigint: what has no JSON form leaks none.
    return ''
  }
}

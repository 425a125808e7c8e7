import { isDeepStrictEqual } from 'node:util'
import type { Identities } from './identities.ts'
import { tokensIn } from './tokens.ts'

export interface Difference {
  /** Such as `[0].Spec.Name`; empty for the whole. */
  readonly path: string
  readonly expected: string
  readonly got: string
}

/** Fields that say which machine and which engine it was, as text. */
const ofTheMachine = new Set(['Hostname', 'EngineVersion', 'KernelVersion'])
/** Numbers that say when, how much or in which order: of these the kind counts. */
const counted = new Set(['Index', 'Created', 'time', 'PID', 'Pid', 'NanoCPUs', 'MemoryBytes'])

export interface DiffOptions {
  /** Where the recording left fields out, ours may have more of them. */
  readonly isTrimmed?: boolean
}

/**
 * Where `got` is made otherwise than `expected`, which was recorded of another swarm: tokens (see there)
 * agree by kind, the ids among them one by one, lists in any order. What it learns of ids it tells `identities`.
 */
export function differencesOf(
  expected: unknown,
  got: unknown,
  identities: Identities,
  options: DiffOptions = {},
): readonly Difference[] {
  const found: Difference[] = []
  const differ = (path: string, wanted: unknown, has: unknown): void => {
    found.push({ path, expected: shown(wanted), got: shown(has) })
  }

  const compare = (path: string, wanted: unknown, has?: unknown): void => {
    if (typeof wanted === 'string' && typeof has === 'string') {
      if (!ofTheMachine.has(lastOf(path)) && !isSameText(wanted, has, identities))
        differ(path, wanted, has)
    } else if (Array.isArray(wanted) && Array.isArray(has)) compareLists(path, wanted, has)
    else if (isObject(wanted) && isObject(has)) compareObjects(path, wanted, has)
    else if (counted.has(lastOf(path)) && isCount(wanted) && isCount(has)) {
      if (lastOf(path) === 'Index') identities.bindVersion(wanted, has)
      if (wanted > 0 !== has > 0) differ(path, wanted, has)
    } else if (!isDeepStrictEqual(wanted, has)) differ(path, wanted, has)
  }

  const compareObjects = (path: string, wanted: JsonObject, has: JsonObject): void => {
    for (const [key, value] of Object.entries(wanted)) compare(`${path}.${key}`, value, has[key])
    if (options.isTrimmed === true) return
    for (const key of Object.keys(has)) {
      if (!Object.hasOwn(wanted, key)) differ(`${path}.${key}`, undefined, has[key])
    }
  }

  const compareLists = (
    path: string,
    wanted: readonly unknown[],
    has: readonly unknown[],
  ): void => {
    const rest = [...has]
    const pair = (one: unknown, at: number, costMax: number): boolean => {
      const costs = rest.map(
        (other) => differencesOf(one, other, identities.copy(), options).length,
      )
      const cost = Math.min(...costs)
      if (cost > costMax || rest.length === 0) return false
      compare(`${path}[${at}]`, one, ...rest.splice(costs.indexOf(cost), 1))
      return true
    }
    // First those that agree, then the most alike.
    const others = [...wanted.entries()].filter(([at, one]) => !pair(one, at, 0))
    for (const [at, one] of others) {
      if (!pair(one, at, Number.POSITIVE_INFINITY)) differ(`${path}[${at}]`, one, undefined)
    }
    for (const [at, one] of rest.entries()) differ(`${path}[${wanted.length + at}]`, undefined, one)
  }

  compare('', expected, got)
  return found
}

type JsonObject = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isCount = (value: unknown): value is number => Number.isSafeInteger(value)

const lastOf = (path: string): string => path.slice(path.lastIndexOf('.') + 1)

/** The same around the tokens, the same kinds of tokens, and the same ids. */
function isSameText(wanted: string, has: string, identities: Identities): boolean {
  const a = tokensIn(wanted)
  const b = tokensIn(has)
  if (!isDeepStrictEqual(a.fixed, b.fixed)) return false
  return a.tokens.every(({ kind, isIdentity, text }, at) => {
    const other = b.tokens[at]
    return other?.kind === kind && (!isIdentity || identities.bind(text, other.text))
  })
}

const shown = (value: unknown): string => {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

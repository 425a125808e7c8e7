import { readFile } from 'node:fs/promises'

import { ConclaveError, Redacted, utf8, type RedactedBytes } from '@conclave/kernel'
import type { z } from 'zod'

/** One thing that can be configured. The field's name gives its flag and its variable. */
export interface Setting<T> {
  readonly schema: z.ZodType<T>
  /** What would be right, for whoever got it wrong, such as `a port from 1 to 65535`. */
  readonly wanted: string
  readonly isSecret: boolean
  /** Heard from a command line alone: nobody is to have it by a variable or a file that they came to have. */
  readonly isFlagOnly?: boolean
  readonly otherwise?: T
}

type Settings = Readonly<Record<string, Setting<unknown>>>

/** The value of each setting. What is secret comes as bytes that nothing prints. */
export type Config<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends SecretSetting
    ? RedactedBytes
    : S[K] extends Setting<infer T>
      ? T
      : never
}

export interface SecretSetting extends Setting<string> {
  readonly isSecret: true
}

export interface Sources {
  /** By field name, as a command-line parser gives them. `undefined` was not given. */
  readonly flags?: Readonly<Record<string, unknown>>
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Path of a JSON file, read only if named. */
  readonly file?: string | undefined
}

export interface ConfigProblem {
  readonly field: string
  /** Such as `--agent-port`, `CONCLAVE_AGENT_PORT` or the file's path. */
  readonly from: string
  readonly why: string
}

/** Everything that is wrong with a configuration, at once, and how to mend it. */
export class ConfigInvalid extends ConclaveError {
  readonly code = 'config.invalid'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ field, from, why }) => `${field} (${from}): ${why}`).join('\n'))
    this.problems = problems
  }
}

/** Declares a setting. One without `otherwise` must be given. */
export const setting = <T>(schema: z.ZodType<T>, wanted: string, otherwise?: T): Setting<T> => ({
  schema,
  wanted,
  isSecret: false,
  ...(otherwise === undefined ? {} : { otherwise }),
})

/** Declares a setting whose value no message repeats. `otherwise` is no secret. */
export const secretSetting = (
  schema: z.ZodType<string>,
  wanted: string,
  otherwise?: string,
): SecretSetting => ({
  schema,
  wanted,
  isSecret: true,
  ...(otherwise === undefined ? {} : { otherwise }),
})

/** A {@link setting} that a variable or a file cannot change: each start says it anew. */
export const flagSetting = <T>(schema: z.ZodType<T>, wanted: string, otherwise: T): Setting<T> => ({
  ...setting(schema, wanted, otherwise),
  isFlagOnly: true,
})

/** `dataDirectory` is `CONCLAVE_DATA_DIRECTORY` in the environment. */
export const variableOf = (field: string): string =>
  `CONCLAVE_${field.replace(/[A-Z]/g, '_$&').toUpperCase()}`

/** `dataDirectory` is `--data-directory` on the command line. */
export const flagOf = (field: string): string =>
  `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/**
 * Takes each setting from the first that has it: flags, environment (`CONCLAVE_…`), file, default.
 *
 * @throws ConfigInvalid with one problem per bad field
 */
export async function loadConfig<S extends Settings>(
  settings: S,
  sources: Sources,
): Promise<{
  readonly config: Config<S>
  /** Where each value came from. */
  readonly origins: Readonly<Record<keyof S, string>>
}> {
  const problems: ConfigProblem[] = []
  const inFile = await readConfigFile(settings, sources.file, problems)
  const config: Record<string, unknown> = {}
  const origins: Record<string, string> = {}
  for (const [field, wanted] of Object.entries(settings)) {
    const given = find(field, wanted, sources, inFile)
    const outcome = onlyByFlag(field, wanted, given) ?? check(wanted, given)
    origins[field] = given.from
    if ('why' in outcome) problems.push({ field, from: given.from, why: outcome.why })
    else config[field] = outcome.value
  }
  if (problems.length > 0) throw new ConfigInvalid(problems)
  return { config: config as Config<S>, origins: origins as Record<keyof S, string> }
}

interface Given {
  readonly from: string
  readonly value: unknown
  /** Text from a command line or a variable may stand for a number, a truth or a list. */
  readonly isText: boolean
}

function find(
  field: string,
  { otherwise }: Setting<unknown>,
  { flags = {}, environment = {}, file }: Sources,
  inFile: Readonly<Record<string, unknown>>,
): Given {
  const flag = Object.hasOwn(flags, field) ? flags[field] : undefined
  if (flag !== undefined) return { from: flagOf(field), value: flag, isText: true }
  const variable = environment[variableOf(field)]
  if (variable !== undefined) return { from: variableOf(field), value: variable, isText: true }
  if (Object.hasOwn(inFile, field)) {
    return { from: file ?? 'file', value: inFile[field], isText: false }
  }
  return { from: otherwise === undefined ? 'missing' : 'default', value: otherwise, isText: false }
}

function onlyByFlag(
  field: string,
  wanted: Setting<unknown>,
  given: Given,
): { why: string } | undefined {
  if (wanted.isFlagOnly !== true || given.from === flagOf(field)) return undefined
  const outcome = check(wanted, given)
  if ('why' in outcome || outcome.value === wanted.otherwise) return undefined
  return { why: `it is for the command line alone: say ${flagOf(field)} there, at each start` }
}

function check(
  { schema, wanted, isSecret }: Setting<unknown>,
  given: Given,
): { value: unknown } | { why: string } {
  if (given.value === undefined) return { why: `it must be given: ${wanted}` }
  for (const reading of readings(given)) {
    const parsed = schema.safeParse(reading)
    if (parsed.success) {
      return { value: isSecret ? new Redacted(utf8(String(parsed.data))) : parsed.data }
    }
  }
  const what = isSecret ? shapeOf(given.value) : shown(given.value)
  return { why: `${what} is not ${wanted}` }
}

/** What a given value may mean, the most literal first: `0042` stays text where text is wanted. */
function readings({ value, isText }: Given): unknown[] {
  if (!isText || typeof value !== 'string') return [value]
  const meanings: unknown[] = [value]
  try {
    meanings.push(JSON.parse(value))
  } catch {
    // Not every text is JSON, and then it stands for itself.
  }
  const list = value.split(',').map((item) => item.trim())
  return [...meanings, list.filter((item) => item !== '')]
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? typeof value
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

function shapeOf(value: unknown): string {
  if (typeof value === 'string') return `a text of ${value.length} characters`
  if (Array.isArray(value)) return `a list of ${value.length}`
  return value === null ? 'null' : `a ${typeof value}`
}

async function readConfigFile(
  settings: Settings,
  file: string | undefined,
  problems: ConfigProblem[],
): Promise<Readonly<Record<string, unknown>>> {
  if (file === undefined) return {}
  const blame = (why: string): Record<string, unknown> => {
    problems.push({ field: 'config', from: file, why })
    return {}
  }
  const text = await readFile(file, 'utf8').catch((error: unknown) => error as Error)
  if (text instanceof Error) {
    return blame(`it cannot be read (${(text as { code?: string }).code ?? text.name})`)
  }
  const parsed = parseObject(text)
  if (parsed === undefined) return blame('it is not one JSON object')
  for (const field of Object.keys(parsed)) {
    if (Object.hasOwn(settings, field)) continue
    problems.push({ field, from: file, why: `no such setting${nearest(field, settings)}` })
  }
  return parsed
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
    return isObject ? (parsed as Record<string, unknown>) : undefined
  } catch {
    // The caller says so in its own words: the parser's would quote the file.
    return undefined
  }
}

const plain = (text: string): string => text.toLowerCase().replace(/[^a-z]/g, '')

function nearest(field: string, settings: Settings): string {
  const found = Object.keys(settings).find((name) => editDistance(plain(name), plain(field)) <= 2)
  return found === undefined ? '' : `: did you mean ${found}?`
}

/** How many letters must be changed, put in or left out. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [index, letter] of Array.from(from).entries()) {
    const next = [index + 1]
    for (let at = 0; at < to.length; at++) {
      const change = (row[at] ?? 0) + (letter === to[at] ? 0 : 1)
      next.push(Math.min(change, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}

import { parseArgs } from 'node:util'
import { flagOf, variableOf, type Setting } from '@conclave/runtime'

export type Settings = Readonly<Record<string, Setting<unknown>>>

export type CommandLine =
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly why: string }
  | {
      readonly kind: 'start'
      readonly flags: Readonly<Record<string, string>>
      readonly file: string | undefined
    }

const nameOf = (field: string): string => flagOf(field).slice(2)

/** Whoever comes from Mesos writes `--secret_resolver=NAME`. A value is left as it is. */
const withDashes = (arg: string): string =>
  arg.replace(/^--[a-z_]+(?==|$)/, (flag) => flag.replaceAll('_', '-'))

/** Every setting is a flag with a value; beside them there are `--config FILE` and `--help`. */
export function readCommandLine(settings: Settings, argv: readonly string[]): CommandLine {
  const options = Object.fromEntries(
    Object.keys(settings).map((field) => [nameOf(field), { type: 'string' as const }]),
  )
  try {
    const { values }: { values: Record<string, unknown> } = parseArgs({
      args: argv.map(withDashes),
      options: { ...options, config: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
      strict: true,
    })
    if (values['help'] === true) return { kind: 'help' }
    const given = Object.keys(settings).flatMap((field) => {
      const value = values[nameOf(field)]
      return typeof value === 'string' ? [[field, value] as const] : []
    })
    const { config } = values
    return {
      kind: 'start',
      flags: Object.fromEntries(given),
      file: typeof config === 'string' ? config : undefined,
    }
  } catch (error) {
    return { kind: 'wrong', why: error instanceof Error ? error.message : 'unreadable' }
  }
}

export interface Described {
  readonly name: string
  readonly summary: string
  readonly settings: Settings
  readonly example: string
}

/** What `--help` prints: each setting with its flag, its variable, what is right and what is usual. */
export function helpText({ name, summary, settings, example }: Described): string {
  const lines = Object.entries(settings).map(([field, { wanted, otherwise, isFlagOnly }]) => {
    const usual = otherwise === undefined ? 'must be given' : `default ${JSON.stringify(otherwise)}`
    const elsewhere = isFlagOnly === true ? 'the command line alone' : variableOf(field)
    return `  ${flagOf(field)} VALUE\n      ${wanted} (${usual}; ${elsewhere})`
  })
  return [
    `${name}: ${summary}`,
    '',
    `Usage: ${name} [--config FILE] [--flag VALUE ...]`,
    '',
    ...lines,
    '  --config FILE',
    '      a JSON object with any of these, by their names in camelCase',
    '',
    'A flag wins over its variable, a variable over the file.',
    'One line of JSON on standard output says when it is ready; the log goes to standard error.',
    'Exit codes: 0 stopped as it was told, 1 failed, 2 wrong configuration.',
    '',
    `Example:\n  ${example}`,
    '',
  ].join('\n')
}

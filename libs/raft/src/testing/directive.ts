import { ConclaveError } from '@conclave/kernel'

/** A script that does not follow the grammar, or asks for what its runner does not know. */
export class ScriptMalformed extends ConclaveError {
  readonly code = 'raft.script-malformed'
}

/** One argument: a plain word has no values, `key=a` has one, `key=(a,b)` has several. */
export interface Argument {
  readonly key: string
  readonly values: readonly string[]
}

/** A command, its input, and what it is expected to print. Source: reference raft.md §5.1. */
export interface Directive {
  /** Where the command stands, counted from 1. */
  readonly line: number
  readonly command: string
  readonly args: readonly Argument[]
  readonly input: readonly string[]
  readonly expected: string
  /** Everything before the expectation, as it was written: comments, command, input. */
  readonly source: readonly string[]
}

export interface Script {
  readonly directives: readonly Directive[]
  /** What follows the last directive. */
  readonly rest: readonly string[]
}

const separator = '----'

const isBetween = (line: string): boolean => line.trim() === '' || line.startsWith('#')

export function parseScript(text: string): Script {
  const lines = text.replace(/\n$/, '').split('\n')
  const directives: Directive[] = []
  let at = 0
  let start = 0
  const peek = (): string | undefined => lines[at]

  for (;;) {
    while (at < lines.length && isBetween(peek() ?? '')) at++
    const line = peek()
    if (line === undefined) return { directives, rest: lines.slice(start) }

    const number = at + 1
    let whole = line
    while (whole.endsWith('\\')) {
      at++
      whole = `${whole.slice(0, -1)} ${peek() ?? ''}`
    }
    at++
    const inputFrom = at
    while (at < lines.length && peek() !== separator) at++
    if (at === lines.length) throw new ScriptMalformed(`line ${number}: no ${separator} follows`)
    const input = lines.slice(inputFrom, at)
    const source = lines.slice(start, at)
    at++
    const isFenced = peek() === separator
    const expected: string[] = []
    if (isFenced) {
      at++
      while (at < lines.length && !(peek() === separator && lines[at + 1] === separator)) {
        expected.push(peek() ?? '')
        at++
      }
      at += 2
    } else {
      while (at < lines.length && peek() !== '') {
        expected.push(peek() ?? '')
        at++
      }
    }
    start = at
    const [command, ...args] = parseArguments(whole)
    if (command === undefined) throw new ScriptMalformed(`line ${number}: no command`)
    directives.push({
      line: number,
      command: command.key,
      args,
      input,
      expected: expected.join('\n'),
      source,
    })
  }
}

/** The script with other expectations. */
export function renderScript(script: Script, outputs: readonly string[]): string {
  const lines: string[] = []
  for (const [at, directive] of script.directives.entries()) {
    const output = outputs[at] ?? ''
    lines.push(...directive.source, separator)
    if (/^$/m.test(output) && output !== '') {
      lines.push(separator, output, separator, separator)
    } else if (output !== '') lines.push(output)
  }
  lines.push(...script.rest)
  return `${lines.join('\n')}\n`
}

function parseArguments(line: string): Argument[] {
  return Array.from(line.matchAll(/([^\s=]+)=\(([^)]*)\)|(\S+)/g), ([, key, list, word]) => {
    if (key !== undefined) {
      return { key, values: (list ?? '').split(/[\s,]+/).filter((value) => value !== '') }
    }
    const [name = '', value] = (word ?? '').split(/=(.*)/s)
    return { key: name, values: value === undefined ? [] : [value] }
  })
}

// Reading the arguments of one directive

export const words = (directive: Directive): readonly string[] =>
  directive.args.filter(({ values }) => values.length === 0).map(({ key }) => key)

export const valuesOf = (directive: Directive, key: string): readonly string[] | undefined =>
  directive.args.find((argument) => argument.key === key && argument.values.length > 0)?.values

export const valueOf = (directive: Directive, key: string): string | undefined =>
  valuesOf(directive, key)?.[0]

export function numberFrom(directive: Directive, text: string | undefined): number {
  const number = Number(text)
  if (text === undefined || text === '' || !Number.isSafeInteger(number)) {
    throw new ScriptMalformed(`line ${directive.line}: ${text ?? 'nothing'} is no number`)
  }
  return number
}

export const flagOf = (directive: Directive, key: string): boolean =>
  valueOf(directive, key) === 'true' || words(directive).includes(key)

import { ConfChangeRunner } from './conf-change-runner.ts'
import { type Directive, parseScript, renderScript } from './directive.ts'
import { InteractionRunner } from './interaction-runner.ts'
import { runQuorumDirective } from './quorum-runner.ts'
import type { TraceEvent, TraceSink } from './trace.ts'

export interface CorpusFile {
  readonly path: string
  readonly text: string
}

export interface Difference {
  readonly path: string
  readonly line: number
  readonly command: string
  readonly expected: string
  readonly actual: string
}

export interface CorpusReport {
  readonly fileCount: number
  /** Files without any difference. */
  readonly agreeCount: number
  readonly directiveCount: number
  readonly differences: readonly Difference[]
}

export interface CorpusOptions {
  /** Compares behaviour alone, not what is logged about it. */
  readonly ignoreLogLines?: boolean
  /** Is told of each step of each member, with the file and the line that it comes from. */
  readonly trace?: (path: string, line: number, event: TraceEvent) => void
}

/** Runs data-driven tests of the three kinds, and says where they and this core disagree. */
export function runCorpus(
  files: readonly CorpusFile[],
  { ignoreLogLines = false, trace }: CorpusOptions = {},
): CorpusReport {
  const normalize = ignoreLogLines ? withoutLogLines : withoutLastNewline
  const differences: Difference[] = []
  let directiveCount = 0
  for (const { path, text } of files) {
    let at = 0
    const handle = runnerFor(trace && ((event) => trace(path, at, event)))
    for (const directive of parseScript(text).directives) {
      directiveCount++
      at = directive.line
      const actual = normalize(attempt(handle, directive))
      const expected = normalize(directive.expected)
      if (actual === expected) continue
      const { line, command } = directive
      differences.push({ path, line, command, expected, actual })
    }
  }
  const disagreeing = new Set(differences.map(({ path }) => path))
  const agreeCount = files.length - disagreeing.size
  return { fileCount: files.length, agreeCount, directiveCount, differences }
}

/** A report for people: each difference with its place, then one line that counts. */
export function describeReport(report: CorpusReport): string {
  const { fileCount, agreeCount, directiveCount, differences } = report
  const lines = differences.flatMap(({ path, line, command, expected, actual }) => [
    `${path}:${line}: ${command}`,
    ...indented('expected', expected),
    ...indented('actual', actual),
  ])
  const wrong = differences.length
  lines.push(
    `${agreeCount} of ${fileCount} files agree, ${directiveCount - wrong} of ${directiveCount} directives`,
  )
  return lines.join('\n')
}

const indented = (title: string, text: string): string[] => [
  `  ${title}:`,
  ...text.split('\n').map((line) => `    ${line}`),
]

/** The same script with what this core prints, to be read line by line before it is believed. */
export function rewriteScript(text: string): string {
  const script = parseScript(text)
  const handle = runnerFor()
  return renderScript(
    script,
    script.directives.map((directive) => attempt(handle, directive)),
  )
}

/** Each file starts from nothing. The commands of the three kinds do not overlap. */
function runnerFor(trace?: TraceSink): (directive: Directive) => string {
  const confChange = new ConfChangeRunner()
  const interaction = new InteractionRunner(trace)
  return (directive) => {
    switch (directive.command) {
      case 'simple':
      case 'enter-joint':
      case 'leave-joint':
        return confChange.handle(directive)
      case 'committed':
      case 'vote':
        return runQuorumDirective(directive)
      default:
        return interaction.handle(directive)
    }
  }
}

/** What breaks is a difference like any other, so that one bug does not hide the rest. */
function attempt(handle: (directive: Directive) => string, directive: Directive): string {
  try {
    return handle(directive)
  } catch (error) {
    return `threw ${String(error)}`
  }
}

const withoutLastNewline = (text: string): string => text.replace(/\n$/, '')

const withoutLogLines = (text: string): string => {
  const kept = text
    .split('\n')
    .filter((line) => !/^ *(DEBUG|INFO|WARN|ERROR|FATAL) /.test(line) && line.trim() !== 'ok')
  return withoutLastNewline(kept.join('\n'))
}

import type { RaftLogger, RaftLogLevel } from '../logger.ts'
import { ScriptMalformed } from './directive.ts'

const levels = ['debug', 'info', 'warn', 'error', 'fatal', 'none'] as const

export type OutputLevel = (typeof levels)[number]

/** What one directive prints: results and log lines, indented where a step consists of others. */
export class InteractionOutput implements RaftLogger {
  #lines: string[] = []
  #indent = ''
  #level: OutputLevel = 'debug'

  get level(): OutputLevel {
    return this.#level
  }

  setLevel(name: string | undefined): void {
    const level = levels.find((one) => one === name?.toLowerCase())
    if (level === undefined) throw new ScriptMalformed(`unknown log level ${name ?? ''}`)
    this.#level = level
  }

  log(level: RaftLogLevel, text: string): void {
    if (levels.indexOf(level) >= levels.indexOf(this.#level)) {
      this.print(`${level.toUpperCase()} ${text}`)
    }
  }

  print(text: string): void {
    for (const line of text.split('\n')) this.#lines.push(this.#indent + line)
  }

  indented(print: () => void): void {
    const before = this.#indent
    this.#indent = `${before}  `
    print()
    this.#indent = before
  }

  /** Everything since the last call. At level none only errors are heard of. */
  take(error: string | undefined): string {
    const lines = this.#level === 'none' ? [] : this.#lines
    this.#lines = []
    if (error !== undefined) lines.push(error)
    return lines.length === 0 ? 'ok' : lines.join('\n')
  }
}

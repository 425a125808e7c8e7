import type { Log } from './log.ts'

/** From quiet to loud. */
const levels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
type Level = (typeof levels)[number]

const delayMsMax = 2 ** 31 - 1

/** What Mesos' numbers are here; a log that tells more than that already goes on as it is. */
const levelOf = (verbosity: number): Level => (verbosity > 1 ? 'trace' : 'debug')

/**
 * Lets a log tell more for a while, as Mesos' SET_LOGGING_LEVEL does: 0 is what it was told to tell, 1 is
 * `debug`, and from 2 on `trace`. A log without levels is left alone.
 */
export class LogVerbosity {
  readonly #log: { level: string } | undefined
  readonly #usual: string
  #level = 0
  #timer: NodeJS.Timeout | undefined

  constructor(log: Log) {
    this.#log = hasLevel(log) ? log : undefined
    this.#usual = this.#log?.level ?? 'silent'
  }

  get level(): number {
    return this.#level
  }

  set(level: number, durationMs: number): void {
    this.reset()
    if (this.#log === undefined || level === 0) return
    this.#level = level
    const wanted = levelOf(level)
    if (loudness(wanted) > loudness(this.#usual)) this.#log.level = wanted
    this.#timer = setTimeout(() => this.reset(), Math.min(durationMs, delayMsMax))
    this.#timer.unref()
  }

  reset(): void {
    clearTimeout(this.#timer)
    this.#level = 0
    if (this.#log !== undefined) this.#log.level = this.#usual
  }
}

const loudness = (level: string): number => levels.findIndex((one) => one === level)

const hasLevel = (log: Log): log is Log & { level: string } =>
  'level' in log && typeof log.level === 'string'

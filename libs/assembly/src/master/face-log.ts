import type { Log } from '@conclave/runtime'
import type { FastifyBaseLogger } from 'fastify'

/** What of a request may stand in a line: never its headers, its body or its query. */
const shown: readonly string[] = ['err', 'streamId', 'framework', 'agent', 'why']

const nothing = (): void => undefined

type Level = 'debug' | 'info' | 'warn' | 'error'

/** Our log in the shape that Fastify wants. Whole requests and answers that it would log are dropped. */
export const faceLog = (log: Log, bindings: Readonly<Record<string, string>>): FastifyBaseLogger =>
  new FaceLog(log, [bindings])

/** Made for each request, and nearly never asked for anything: so it keeps what it is given, and no more. */
class FaceLog implements FastifyBaseLogger {
  readonly level = 'info'
  readonly silent = nothing
  readonly trace = nothing
  readonly #log: Log
  readonly #bindings: readonly object[]

  constructor(log: Log, bindings: readonly object[]) {
    this.#log = log
    this.#bindings = bindings
  }

  child(more: object): FaceLog {
    return new FaceLog(this.#log, [...this.#bindings, more])
  }

  debug(first?: unknown, second?: unknown): void {
    this.#tell('debug', first, second)
  }

  info(first?: unknown, second?: unknown): void {
    this.#tell('info', first, second)
  }

  warn(first?: unknown, second?: unknown): void {
    this.#tell('warn', first, second)
  }

  error(first?: unknown, second?: unknown): void {
    this.#tell('error', first, second)
  }

  fatal(first?: unknown, second?: unknown): void {
    this.#tell('error', first, second)
  }

  #tell(level: Level, first: unknown, second: unknown): void {
    const isText = typeof first === 'string'
    const message = isText ? first : typeof second === 'string' ? second : 'a request'
    const bindings: object = Object.assign({}, ...this.#bindings.map(textsOf))
    this.#log[level]({ ...bindings, ...(isText ? {} : fieldsOf(first)) }, message)
  }
}

function fieldsOf(told: unknown): Record<string, unknown> {
  if (told instanceof Error) return { err: told }
  if (typeof told !== 'object' || told === null) return {}
  return Object.fromEntries(Object.entries(told).filter(([name]) => shown.includes(name)))
}

/** Such as `reqId`, by which a line is found. */
const textsOf = (bindings: object): Record<string, string> =>
  Object.fromEntries(
    Object.entries(bindings).filter(([, value]): boolean => typeof value === 'string'),
  )

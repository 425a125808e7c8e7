import type { Log } from '@conclave/runtime'
import type { FastifyBaseLogger } from 'fastify'

/** What of a request may stand in a line: never its headers, its body or its query. */
const shown: readonly string[] = ['err', 'streamId', 'framework', 'agent', 'why']

/** Our log in the shape that Fastify wants. Whole requests and answers that it would log are dropped. */
export function faceLog(log: Log, bindings: Readonly<Record<string, string>>): FastifyBaseLogger {
  const to =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (first?: unknown, second?: unknown): void => {
      const isText = typeof first === 'string'
      const message = isText ? first : typeof second === 'string' ? second : 'a request'
      log[level]({ ...bindings, ...(isText ? {} : fieldsOf(first)) }, message)
    }
  return {
    level: 'info',
    trace: nothing,
    debug: to('debug'),
    info: to('info'),
    warn: to('warn'),
    error: to('error'),
    fatal: to('error'),
    silent: nothing,
    child: (more) => faceLog(log, { ...bindings, ...textsOf(more) }),
  }
}

const nothing = (): void => undefined

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

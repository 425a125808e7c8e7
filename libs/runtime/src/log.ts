import { Writable } from 'node:stream'

import { ConclaveError } from '@conclave/kernel'
import { destination, pino, type Logger } from 'pino'

/** What an edge needs of a log: fields first, then one sentence. Pino's logger has this shape. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const nothing = (): void => undefined

/** A log that keeps nothing. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing }

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LogOptions {
  readonly level?: LogLevel
  /** Default `stdout`. A file is created 0600 and appended to. */
  readonly to?: 'stdout' | 'stderr' | { readonly file: string } | Writable
  /** Stands in every line, such as `{ source: 'master-1' }`. */
  readonly base?: Readonly<Record<string, string>>
}

/**
 * Fields that never reach a line, wherever a caller put them. Not the defence (what may be logged has
 * no field for a value), but the net below it.
 */
const redacted = [
  'value',
  'data',
  'password',
  'token',
  'secret',
  'key',
  'privateKey',
  'unlockKey',
  'body',
  'authorization',
].flatMap((field) => [field, `*.${field}`])

const redactedHeaders = [
  'req.headers.authorization',
  'req.headers.cookie',
  'req.headers["x-vault-token"]',
  'req.headers["x-registry-auth"]',
  'headers.authorization',
  'headers.cookie',
  'headers["x-vault-token"]',
  'headers["x-registry-auth"]',
  'res.headers["set-cookie"]',
]

/**
 * A logger of JSON lines: one event is one line, whatever the text in it. No worker and no transport,
 * because these do not survive bundling.
 */
export function createLogger(options: LogOptions = {}): Logger {
  return pino(
    {
      level: options.level ?? 'info',
      base: options.base ?? null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: [...redacted, ...redactedHeaders], censor: '[redacted]' },
      formatters: { level: (label) => ({ level: label }), log: withoutBytes },
      serializers: { err: describeError, error: describeError, cause: describeError },
    },
    { write: harmlessInto(sinkOf(options.to ?? 'stdout')) },
  )
}

interface Sink {
  write(line: string): unknown
}

function sinkOf(to: NonNullable<LogOptions['to']>): Sink {
  if (to === 'stdout') return destination({ dest: 1, sync: true })
  if (to === 'stderr') return destination({ dest: 2, sync: true })
  if (to instanceof Writable) return to
  return destination({ dest: to.file, sync: true, append: true, mode: 0o600 })
}

/**
 * JSON already escapes what is below U+0020. A terminal also obeys DEL and the C1 controls (U+009B
 * begins an escape sequence), and line and direction marks make one line look like two. Written as
 * `\uXXXX` they are the same JSON.
 */
const harmful = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

const harmlessInto =
  (sink: Sink) =>
  (line: string): void => {
    sink.write(
      line.replace(harmful, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`),
    )
  }

/** Bytes may be anybody's secret: only their number is told. */
function withoutBytes(fields: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(fields)
  if (!entries.some(([, value]) => ArrayBuffer.isView(value))) return fields
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      ArrayBuffer.isView(value) ? `[${value.byteLength} bytes]` : value,
    ]),
  )
}

/**
 * The fixed fields of an error, and no other: foreign errors carry requests with their headers, or
 * the input that did not parse.
 */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : typeof error
  const code = (error as { code?: unknown }).code
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    message: isForeign(error) ? undefined : error.message,
    stack: frames(error.stack),
    ...(error.cause !== undefined && depth < 4
      ? { cause: describeError(error.cause, depth + 1) }
      : {}),
  }
}

/** A JSON.parse error quotes its input, and a schema's error may list what it was given. */
const isForeign = (error: Error): boolean =>
  !(error instanceof ConclaveError) && (error instanceof SyntaxError || error.name === 'ZodError')

/** Where it happened; the first lines of a stack repeat the message. */
const frames = (stack: string | undefined): string | undefined =>
  stack
    ?.split('\n')
    .filter((line) => line.startsWith('    at '))
    .map((line) => line.trim())
    .join('\n')

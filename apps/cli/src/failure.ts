import { ConclaveError } from '@conclave/kernel'

/** What the shell is told. 0 is success; `run`, `exec` and `task logs` answer with the task's own code. */
export const exitCode = {
  failed: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  unavailable: 5,
  conflict: 6,
} as const

export type Failure = keyof typeof exitCode

/** A command that could not do what it was asked. Its message says what to do next. */
export class CommandFailed extends ConclaveError {
  readonly code = 'command.failed'
  readonly failure: Failure

  constructor(failure: Failure, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.failure = failure
  }
}

/** The failure that an HTTP status stands for. */
export function failureOf(status: number): Failure {
  if (status === 401 || status === 403) return 'denied'
  if (status === 404) return 'notFound'
  if (status === 409) return 'conflict'
  if (status === 429 || status >= 500) return 'unavailable'
  return status === 400 || status === 413 || status === 422 ? 'usage' : 'failed'
}

/** The failure that an error stands for which no command has put into its own words. */
export function failureIn(error: ConclaveError): Failure {
  if (error instanceof CommandFailed) return error.failure
  return failureByCode[error.code] ?? 'failed'
}

const failureByCode: Readonly<Record<string, Failure>> = {
  'cluster.directory-unusable': 'usage',
  'config.invalid': 'usage',
  'http.failed': 'unavailable',
  'journal.locked': 'conflict',
  'secret.path-invalid': 'usage',
  'cluster.outcome-unknown': 'unavailable',
  'cluster.unavailable': 'unavailable',
  'etcd.url-invalid': 'usage',
  'export.passphrase-too-short': 'usage',
  'transfer.target-not-empty': 'conflict',
}

import { ConclaveError } from '@conclave/kernel'

/**
 * What to tell people of an error that is no fault of the program: one of ours, or the operating system's, such as a full
 * disk. What the system said of one of ours stands behind it. Undefined for anything else.
 */
export function reasonOf(error: unknown): string | undefined {
  if (isOfTheSystem(error)) return withPlace(error)
  if (!(error instanceof ConclaveError)) return undefined
  const cause = systemCauseOf(error)
  if (cause === undefined || error.message.includes(cause.code)) return error.message
  return `${error.message}: ${withPlace(cause)}`
}

interface SystemError extends Error {
  readonly code: string
  readonly syscall: string
  readonly path?: string
}

const isOfTheSystem = (error: unknown): error is SystemError => {
  if (!(error instanceof Error)) return false
  const { code, syscall } = error as Partial<SystemError>
  return typeof code === 'string' && typeof syscall === 'string'
}

function systemCauseOf(error: Error): SystemError | undefined {
  let { cause } = error
  for (let depth = 0; depth < 8 && cause instanceof Error; depth++) {
    if (isOfTheSystem(cause)) return cause
    ;({ cause } = cause)
  }
  return undefined
}

/** Writes of a file that was open say no name. */
const withPlace = ({ message, path }: SystemError): string =>
  path === undefined || message.includes(path) ? message : `${message} '${path}'`

import { ConclaveError } from '@conclave/kernel'

/** Source: reference/isolators.md §10. `SPEC_INVALID` is for what Mesos refuses in its own words. */
export type RefusalCode =
  | 'SECRET_TOO_LARGE'
  | 'SECRET_PATH_INVALID'
  | 'SECRET_ENV_INVALID'
  | 'ISOLATOR_CONFLICT'
  | 'PRIVILEGED_REFUSED'
  | 'SPEC_INVALID'

/**
 * A container cannot have its secrets as its spec wants them. Refused before anything is placed, and
 * never softened to something weaker. The message may be shown: it has names, sizes and no value.
 */
export class PlanRefused extends ConclaveError {
  readonly code: RefusalCode

  constructor(code: RefusalCode, message: string) {
    super(message)
    this.code = code
  }
}

const shownLength = 200

/** `text` in quotes, its control characters escaped, and no longer than a status may be. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > shownLength ? `${text.slice(0, shownLength)}…` : text)

import { ConclaveError } from '@conclave/kernel'

/**
 * A template that is none, or that cannot be expanded where it is. Go's words as far as Go has them; of what
 * the template says, names alone are repeated, for a template may itself be a secret.
 */
export class TemplateInvalid extends ConclaveError {
  readonly code = 'template.invalid'

  constructor(line: number, fault: string) {
    super(`template: expansion:${line}: ${fault}`)
  }
}

/** A name as an error may say it. */
export const shownName = (name: string): string =>
  /^[\w./-]{1,128}$/.test(name) ? name : 'that is no usual name'

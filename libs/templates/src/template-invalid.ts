import { ConclaveError } from '@conclave/kernel'

/**
 * A template that is none, or that cannot be expanded where it is. Go's words as far as Go has them; of what
 * the template says, names alone are repeated, for a template may itself be a secret.
 */
export class TemplateInvalid extends ConclaveError {
  readonly code = 'template.invalid'

  /** @param where the line, or line and column as Go has it once a template is one: `1:14` */
  constructor(where: number | string, fault: string) {
    super(`template: expansion:${where}: ${fault}`)
  }
}

/** A name as an error may say it. */
export const shownName = (name: string): string =>
  /^[\w./-]{1,128}$/.test(name) ? name : 'that is no usual name'

import { ConclaveError } from '@conclave/kernel'

/**
 * A script did what a shell does not forgive: bad syntax, `${x?}` of nothing, division by zero, a
 * string above the limit. It ends the shell (or the builtin) with `status`, never the machine.
 */
export class ScriptFault extends ConclaveError {
  readonly code = 'shell.script'
  readonly status: number

  constructor(message: string, status = 2) {
    super(message)
    this.status = status
  }
}

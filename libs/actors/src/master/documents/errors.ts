import { ConclaveError } from '@conclave/kernel'

export class DocumentExists extends ConclaveError {
  readonly code = 'document.exists'

  constructor(kind: string, name: string) {
    super(`there is a ${kind} ${name} already`)
  }
}

export class DocumentNotFound extends ConclaveError {
  readonly code = 'document.not-found'

  constructor(kind: string, id: string) {
    super(`no ${kind} ${id}`)
  }
}

/** Somebody wrote it since it was read. */
export class DocumentChanged extends ConclaveError {
  readonly code = 'document.changed'

  constructor(kind: string, id: string) {
    super(`${kind} ${id} was changed meanwhile; read it again, then change that`)
  }
}

export class DocumentInvalid extends ConclaveError {
  readonly code = 'document.invalid'
}

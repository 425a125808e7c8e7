import { ConclaveError } from '@conclave/kernel'

/**
 * Something sealed, signed or wrapped did not prove itself. One class, one message and no cause: a
 * wrong key, a changed byte, another path and a foreign layout look the same from outside.
 */
export class CryptographicFailure extends ConclaveError {
  readonly code = 'crypto.failure'

  constructor() {
    super('the sealed bytes do not open')
  }
}

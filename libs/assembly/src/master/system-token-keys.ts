import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { TokenKeys } from '@conclave/actors'
import { Redacted, utf8, type RedactedBytes } from '@conclave/kernel'

/** RSA keys from the operating system's dice. */
export class SystemTokenKeys implements TokenKeys {
  async generate(): Promise<RedactedBytes> {
    const { privateKey } = await promisify(generateKeyPair)('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    return new Redacted(utf8(privateKey))
  }
}

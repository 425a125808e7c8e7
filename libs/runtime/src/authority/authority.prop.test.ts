import 'reflect-metadata'
import { assert, asyncProperty, nat, string, uint8Array } from 'fast-check'
import { beforeAll, describe, test } from 'vitest'

import { authorityOf } from '../testing/certificates.ts'
import {
  CertificateRefused,
  createCertificateRequest,
  signRequest,
  type Authority,
} from './authority.ts'

const wanted = { id: 'agent-7', role: 'conclave-agent' } as const

let authority: Authority
let requestPem: string
beforeAll(async () => {
  authority = await authorityOf()
  requestPem = (await createCertificateRequest('agent-7')).requestPem
})

/** Signed, or refused by us: nothing else may come of what a stranger sends. */
async function isAnswered(pem: string): Promise<void> {
  try {
    await signRequest(authority, pem, wanted)
  } catch (error) {
    if (!(error instanceof CertificateRefused)) throw error
  }
}

const pemOf = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`

describe('any request', () => {
  test('RT3: of letters is signed or refused', async () => {
    await assert(asyncProperty(string({ maxLength: 2000 }), isAnswered), { numRuns: 200 })
  })

  test('RT3: of bytes in the dress of a request is signed or refused', async () => {
    await assert(
      asyncProperty(uint8Array({ maxLength: 600 }), (der) => isAnswered(pemOf(der))),
      { numRuns: 200 },
    )
  })

  test('RT3: that is one but for a byte or its end is signed or refused', async () => {
    const der = Buffer.from(requestPem.replaceAll(/-----[^-]+-----|\n/g, ''), 'base64')
    await assert(
      asyncProperty(
        nat({ max: der.length - 1 }),
        nat({ max: 255 }),
        nat({ max: der.length }),
        async (at, byte, length) => {
          const changed = Uint8Array.from(der)
          changed[at] = byte
          await isAnswered(pemOf(changed))
          await isAnswered(pemOf(changed.subarray(0, length)))
        },
      ),
      { numRuns: 200 },
    )
  })
})

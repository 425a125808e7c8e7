import 'reflect-metadata'
import { X509Certificate } from '@peculiar/x509'
import { expect, test } from 'vitest'
import { identityOf } from '../testing/certificates.ts'
import { createAuthority } from './authority.ts'
import { subjectDerOf } from './certificate.ts'

const hexOf = (bytes: ArrayBuffer | Uint8Array): string =>
  Buffer.from(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)).toString('hex')

test.each([1, 36, 64])(
  'the subject of a root whose cluster id has %i letters is what another reader of DER finds',
  async (length) => {
    const { certificatePem } = await createAuthority({ clusterId: 'c'.repeat(length) })

    const { subjectName } = new X509Certificate(certificatePem)
    expect(hexOf(subjectDerOf(certificatePem))).toBe(hexOf(subjectName.toArrayBuffer()))
  },
)

test('the subject of a certificate is its own, not that of the root', async () => {
  const authority = await createAuthority({ clusterId: 'c'.repeat(64) })
  const { certificatePem } = await identityOf(authority, 'm'.repeat(64))

  const { subjectName } = new X509Certificate(certificatePem)
  expect(hexOf(subjectDerOf(certificatePem))).toBe(hexOf(subjectName.toArrayBuffer()))
})

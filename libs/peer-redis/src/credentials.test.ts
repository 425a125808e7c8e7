import { utf8 } from '@conclave/kernel'
import {
  createAuthority,
  crossSign,
  issueCertificate,
  type Authority,
  type TlsIdentity,
} from '@conclave/runtime'
import { beforeAll, describe, expect, test } from 'vitest'

import { certificateCredentials, type Credentials } from './credentials.ts'

const clusterId = '5c6a1c1e-0000-4000-8000-000000000001'
const statement = utf8('a statement')

let old: Authority
let next: Authority
let crossPem: string
beforeAll(async () => {
  old = await createAuthority({ clusterId })
  next = await createAuthority({ clusterId })
  crossPem = await crossSign(old, next.certificatePem)
})

const issued = (by: Authority, id: string): Promise<TlsIdentity> =>
  issueCertificate(by, { id, role: 'conclave-master' })

const of = (identity: TlsIdentity): Credentials => certificateCredentials(clusterId, identity)

describe('while one root replaces the other', () => {
  test('who trusts only the old one believes a certificate of the new one that shows the way', async () => {
    const behind = of(await issued(old, 'master-1'))
    const alone = await issued(next, 'master-2')
    const ahead = of({ ...alone, certificatePem: alone.certificatePem + crossPem })

    expect(behind.doubt('master-2', statement, ahead.prove(statement))).toBeUndefined()
    expect(behind.doubt('master-2', statement, of(alone).prove(statement))).toBe(
      'its certificate is not of our authority',
    )
  })

  test('who stands behind a certificate must be an authority, and certified by ours', async () => {
    const behind = of(await issued(old, 'master-1'))
    const stranger = await createAuthority({ clusterId })
    const theirs = await issued(stranger, 'master-2')
    const member = await issued(old, 'master-3')

    for (const way of [stranger.certificatePem, crossPem, member.certificatePem, 'garbage']) {
      const shown = of({ ...theirs, certificatePem: theirs.certificatePem + way })
      expect(behind.doubt('master-2', statement, shown.prove(statement))).toBe(
        'its certificate is not of our authority',
      )
    }
  })
})

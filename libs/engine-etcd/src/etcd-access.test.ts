import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redacted, utf8 } from '@conclave/kernel'
import { createAuthority, issueCertificate } from '@conclave/runtime'
import { Unavailable } from '@conclave/store'
import { EtcdCluster, SeededRandom } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { EtcdClient, type EtcdClientOptions } from './client/etcd-client.ts'
import { EtcdRefused, grpcCode } from './errors.ts'
import { EtcdStore } from './etcd-store.ts'
import { whyNoEtcd } from './testing/real-etcd.ts'
import type { EtcdTls } from './wire/grpc-connection.ts'
import { MessageWriter } from './wire/protobuf.ts'

const password = (text: string): Redacted<Uint8Array> => new Redacted(utf8(text))
const once = 'write'
const named = (text: string): MessageWriter => new MessageWriter().text(1, text)

describe.skipIf(whyNoEtcd !== undefined)(`etcd behind TLS and a login ${whyNoEtcd ?? ''}`, () => {
  let cluster: EtcdCluster
  let directory: string
  let tls: EtcdTls

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'conclave-etcd-tls-'))
    const authority = await createAuthority({ clusterId: 'etcd-tls' })
    const member = await issueCertificate(authority, { id: 'etcd', role: 'conclave-master' })
    const client = await issueCertificate(authority, { id: 'client', role: 'conclave-master' })
    const file = async (name: string, content: string | Uint8Array): Promise<string> => {
      await writeFile(join(directory, name), content, { mode: 0o600 })
      return join(directory, name)
    }
    cluster = await EtcdCluster.start({
      size: 1,
      isTls: true,
      flags: {
        'client-cert-auth': 'true',
        'trusted-ca-file': await file('ca.pem', authority.certificatePem),
        'cert-file': await file('cert.pem', member.certificatePem),
        'key-file': await file('key.pem', member.privateKey.reveal()),
      },
    })
    tls = {
      ca: authority.certificatePem,
      cert: client.certificatePem,
      key: Buffer.from(client.privateKey.reveal()),
    }
  })
  afterAll(async () => {
    await cluster.stop()
    await rm(directory, { recursive: true, force: true })
  })

  const connect = (options: Partial<EtcdClientOptions>): EtcdClient => {
    const client = new EtcdClient({ endpoints: cluster.endpoints, deadlineMs: 500, ...options })
    onTestFinished(() => client.close())
    return client
  }

  test('EE5: nobody comes in without a certificate of the right authority', async () => {
    const other = await createAuthority({ clusterId: 'other' })

    await expect(connect({}).revision()).rejects.toThrow(Unavailable)
    await expect(connect({ tls: { ca: tls.ca } }).revision()).rejects.toThrow(Unavailable)
    await expect(connect({ tls: { ...tls, ca: other.certificatePem } }).revision()).rejects.toThrow(
      Unavailable,
    )
    expect(await connect({ tls, deadlineMs: 20_000 }).revision()).toBeGreaterThan(0)
  })

  test('EE5: a user logs in, logs in again when the token ends, and is refused with a wrong password', async () => {
    const admin = connect({ tls, deadlineMs: 20_000 })
    await admin.call('Auth/UserAdd', named('root').text(2, 'right'), once)
    await admin.call('Auth/UserGrantRole', named('root').text(2, 'root'), once)
    await admin.call('Auth/AuthEnable', new MessageWriter(), once)

    const client = connect({
      tls,
      deadlineMs: 20_000,
      user: { name: 'root', password: password('right') },
    })
    const store = new EtcdStore({ client, prefix: '/x', random: new SeededRandom(1) })
    await store.put('a', utf8('1'))
    // A change of the users makes every token one of an older time.
    await client.call('Auth/UserAdd', named('other').text(2, 'other'), once)
    await store.put('a', utf8('2'))
    expect(await store.get('a')).toMatchObject({ version: 2 })

    const wrong = connect({ tls, user: { name: 'root', password: password('wrong') } })
    const refused = await wrong.revision().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(EtcdRefused)
    expect(refused).toMatchObject({ grpcCode: grpcCode.invalidArgument })
    expect((refused as Error).message).not.toContain('wrong')
    const other = connect({ tls, user: { name: 'other', password: password('other') } })
    await expect(other.range({ key: utf8('/x/k/a') })).rejects.toMatchObject({
      grpcCode: grpcCode.permissionDenied,
    })
  })
})

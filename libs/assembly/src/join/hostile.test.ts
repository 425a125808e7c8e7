import { once } from 'node:events'
import { createServer } from 'node:https'
import { connect as connectSocket, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { utf8 } from '@conclave/kernel'
import { createAuthority, issueCertificate, loadTlsIdentity, tlsOptions } from '@conclave/runtime'
import { SeededRandom } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { devCaller, TestCluster } from '../testing/test-cluster.ts'
import { enrol } from './enrol.ts'
import { askToJoin, JoinRefused, JoinUnreachable } from './join-client.ts'

let cluster: TestCluster
beforeAll(async () => {
  cluster = await TestCluster.start({ masters: 1 })
})
afterAll(() => cluster.remove())

const at = () => ({ host: '127.0.0.1', port: cluster.leader.place.ports.join })
const token = () => cluster.leader.api.authority.joinToken(devCaller, 'agent')

const connectPlainly = (port: number, localAddress = '127.0.0.1'): Socket =>
  connectSocket({ host: '127.0.0.1', port, localAddress }).on('error', () => undefined)

async function tlsTo(socket: Socket): Promise<string | null> {
  const secured = connect({ socket, rejectUnauthorized: false })
  await once(secured, 'secureConnect')
  return secured.getProtocol()
}

describe('the port where one joins', () => {
  test('AS10: who stands in between with another authority hears neither token nor request', async () => {
    const { clusterId } = cluster.prepared.manifest
    const { rootPem } = await cluster.leader.api.authority.status(devCaller)
    const foreign = await createAuthority({ clusterId })
    const identity = await issueCertificate(foreign, { id: 'master-1', role: 'conclave-master' })
    const heard: string[] = []
    const middle = createServer(
      { ...tlsOptions(identity), rejectUnauthorized: false },
      (request, response) => {
        request.on('data', (chunk: Buffer) => heard.push(chunk.toString()))
        heard.push(`${request.method} ${request.url}`)
        // The root itself is no secret, so whoever is in between can pass it on.
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ clusterId, authority: rootPem }))
      },
    )
    await new Promise<void>((resolve) => {
      middle.listen(0, '127.0.0.1', resolve)
    })
    try {
      const { port } = middle.address() as AddressInfo
      const joining = enrol({
        address: { host: '127.0.0.1', port },
        token: await token(),
        directory: join(cluster.directory, 'deceived'),
        role: 'agent',
      })

      await expect(joining).rejects.toThrow(JoinUnreachable)
      expect(heard).toEqual(['GET /v1/authority'])
    } finally {
      middle.close()
      middle.closeAllConnections()
    }
  }, 30_000)

  test('AS10: garbage is refused with a code, and nothing of it makes a failure of ours', async () => {
    const random = new SeededRandom(23)
    const paths = ['certificate', 'renewal', 'confirmation', 'kek', 'authority', 'x']
    const bodies = (): Uint8Array[] => [
      random.bytes(random.below(300)),
      utf8('{'),
      utf8('{"token":7}'),
      utf8('{"token":"x","role":"agent"}'),
      utf8('{"token":"x","role":"queen","request":"y"}'),
      utf8('{"token":"\\ud800","role":"agent","request":"y"}'),
      utf8(`{"token":"${'z'.repeat(20_000)}"}`),
    ]
    for (const path of paths) {
      for (const body of bodies()) {
        const asked = { method: 'POST', path: `/v1/${path}`, body }
        const refusal: unknown = await askToJoin(at(), { kind: 'none' }, asked).catch(
          (error: unknown) => error,
        )
        expect(refusal).toBeInstanceOf(JoinRefused)
        const { status } = refusal as JoinRefused
        expect(status).toBeGreaterThanOrEqual(400)
        expect(status).toBeLessThan(500)
      }
    }
    expect(cluster.lines.filter((line) => line.includes('a request failed'))).toEqual([])
  }, 60_000)

  test('AS10 threat:RF-06: a certificate is looked at for each request, so who was removed keeps no connection', async () => {
    const directory = join(cluster.directory, 'patient')
    await enrol({ address: at(), token: await token(), directory, role: 'agent' })
    const socket = connect({
      ...tlsOptions(await loadTlsIdentity(directory)),
      ...at(),
      checkServerIdentity: () => undefined,
    })
    const heard: Buffer[] = []
    socket.on('data', (chunk: Buffer) => heard.push(chunk))

    socket.write('POST /v1/confirmation HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n')
    await once(socket, 'close')

    expect(Buffer.concat(heard).toString()).toMatch(/^HTTP\/1\.1 200 [^{]*\nconnection: close/i)
  })

  test('AS10 threat:NT-02: who holds very many connections keeps nobody else from joining', async () => {
    const held: Socket[] = []
    for (let count = 0; count < 64; count++) held.push(connectPlainly(at().port))
    await Promise.all(held.map((socket) => once(socket, 'connect')))

    const further = connectPlainly(at().port)
    await once(further.resume(), 'close')

    // From the other address of this machine: somebody else, as far as anybody can tell.
    const elsewhere = connectPlainly(at().port, '127.0.0.2')
    await once(elsewhere, 'connect')
    await expect(tlsTo(elsewhere)).resolves.toBe('TLSv1.3')
    expect(held.every(({ destroyed }) => !destroyed)).toBe(true)
    for (const socket of [...held, elsewhere]) socket.destroy()
    await expect.poll(() => tlsTo(connectPlainly(at().port)).catch(() => '')).toBe('TLSv1.3')
  })

  test('AS10: what is sent behind a request is not even looked at', async () => {
    const socket = connect({ ...at(), rejectUnauthorized: false })
    const heard: Buffer[] = []
    socket.on('data', (chunk: Buffer) => heard.push(chunk))

    socket.write('GET /v1/authority HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(20))
    await once(socket, 'close')

    const answers =
      Buffer.concat(heard)
        .toString()
        .match(/HTTP\/1\.1 200/g) ?? []
    expect(answers.length).toBeLessThanOrEqual(1)
  })

  test('AS10: a request that is none is refused even with a token', async () => {
    const text = Buffer.from((await token()).reveal()).toString()
    const body = utf8(JSON.stringify({ token: text, role: 'agent', request: 'no request' }))
    const asked = askToJoin(
      at(),
      { kind: 'none' },
      { method: 'POST', path: '/v1/certificate', body },
    )

    await expect(asked).rejects.toMatchObject({ status: 400, reason: 'certificate.refused' })
  })
})

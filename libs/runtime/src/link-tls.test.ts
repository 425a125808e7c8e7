import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

import { expect, test } from 'vitest'

import { createAuthority } from './authority/authority.ts'
import { LinkListener } from './link-tls.ts'
import { clusterId, identityOf } from './testing/certificates.ts'

test('RT5 threat:NT-02: who never gets beyond the handshake cannot use up all connections', async () => {
  const authority = await createAuthority({ clusterId })
  const listener = new LinkListener({
    identity: await identityOf(authority, 'master-1'),
    expected: { role: 'conclave-master', clusterId },
    onSocket: () => undefined,
    onRefused: () => undefined,
    connectionsMax: 1,
  })
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 })
  const opened = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }

  const first = await opened()
  const second = await opened()
  await once(second.resume(), 'close')

  expect(first.destroyed).toBe(false)
  first.destroy()
  listener.destroy()
})

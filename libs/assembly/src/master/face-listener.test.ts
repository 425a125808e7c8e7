import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { silentLog } from '@conclave/runtime'
import { expect, test } from 'vitest'
import { FaceListener } from './face-listener.ts'

test('AS5 threat:NT-02: strangers cannot use up all that a master may open', async () => {
  const listener = await FaceListener.start({
    face: 'dcos',
    plugin: async () => undefined,
    server: {},
    host: '127.0.0.1',
    port: 0,
    requestSeconds: 120,
    connectionsMax: 2,
    log: silentLog,
    onAnswered: () => undefined,
  })
  const opened = async (): Promise<Socket> => {
    const socket = connect(listener.port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }

  const kept = [await opened(), await opened()]
  const third = await opened()
  await once(third.resume(), 'close')

  expect(kept.every(({ destroyed }) => !destroyed)).toBe(true)
  for (const socket of kept) socket.destroy()
  await listener.close()
})

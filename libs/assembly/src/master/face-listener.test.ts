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

test('AS5: a lane answers what it takes, counted like any other', async () => {
  const counted: string[] = []
  const asked: string[] = []
  const held = Promise.withResolvers<void>()
  const listener = await FaceListener.start({
    face: 'dcos',
    plugin: async (app) => void app.get('/*', async () => 'the route'),
    server: {},
    lane: (host) => (request, response) => {
      asked.push(request.url ?? '')
      if (request.url === '/route') return false
      host.run(() => response.end('the lane'))
      response.on('finish', () => host.onAnswered('GET', 200, 0))
      return true
    },
    host: '127.0.0.1',
    port: 0,
    requestSeconds: 120,
    log: silentLog,
    onAnswered: (...told) => {
      counted.push(told.slice(0, 3).join(' '))
      if (counted.length === 2) held.resolve()
    },
  })
  const at = `http://127.0.0.1:${listener.port}`
  const answers = [await fetch(`${at}/lane`), await fetch(`${at}/route`)]
  const texts = await Promise.all(answers.map((answer) => answer.text()))
  await held.promise
  await listener.close()

  expect(texts).toEqual(['the lane', 'the route'])
  expect(asked).toEqual(['/lane', '/route'])
  expect(counted).toEqual(['dcos GET 200', 'dcos GET 200'])
})

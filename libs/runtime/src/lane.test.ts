import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { putLane } from './lane.ts'

test('RT23: a lane takes what it knows and leaves the rest, until it is closed', async () => {
  const server = createServer((request, response) => {
    response.end(`the server has ${request.url}`)
  })
  const close = putLane(server, (request, response) => {
    if (request.url !== '/known') return false
    response.end('the lane has it')
    return true
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ask = async (path: string): Promise<string> => {
    const [answer] = (await once(get({ port, path, agent: false }), 'response')) as [
      IncomingMessage,
    ]
    return (await answer.setEncoding('utf8').toArray()).join('')
  }

  expect(await ask('/known')).toBe('the lane has it')
  expect(await ask('/other')).toBe('the server has /other')
  close()
  expect(await ask('/known')).toBe('the server has /known')
  server.close()
})

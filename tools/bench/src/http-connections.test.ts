import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerIn, HttpConnections } from './http-connections.ts'

describe('the lean HTTP client', () => {
  const server = createServer((request, response) => {
    request.resume()
    request.once('end', () => {
      response.statusCode = request.method === 'PUT' ? 201 : 200
      if (request.url === '/chunked') response.write('two ')
      response.end('parts')
    })
  })
  const client = new HttpConnections()
  const urlOf = (path: string): URL =>
    new URL(path, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)

  beforeAll(() => new Promise<void>((done) => void server.listen(0, '127.0.0.1', done)))
  afterAll(() => {
    client.close()
    server.close()
  })

  test('gives status and body, whole or in chunks, on the same connection', async () => {
    const body = Buffer.from('value')
    const ask = (method: string, path: string) =>
      client.request({ method, url: urlOf(path), headers: {}, ...(method === 'PUT' && { body }) })

    const whole = await ask('PUT', '/')
    const chunked = await ask('GET', '/chunked')

    expect([whole.status, whole.body.toString()]).toEqual([201, 'parts'])
    expect([chunked.status, chunked.body.toString()]).toEqual([200, 'two parts'])
  })

  test('waits for an answer that came in part', () => {
    const whole = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody')

    for (let length = 0; length < whole.length; length++) {
      expect(answerIn(whole.subarray(0, length))).toBeUndefined()
    }
    expect(answerIn(whole)?.body.toString()).toBe('body')
  })

  test('refuses what is no HTTP', () => {
    expect(() => answerIn(Buffer.from('SSH-2.0\r\n\r\n'))).toThrow('status')
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StoreCluster, type StoreProcess } from './store-cluster.ts'
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from './store-frames.ts'

const value = new Uint8Array(256).fill(1)
const frameOf = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts))

test('requests and answers come back as they were', () => {
  const requests = [
    { kind: 'put', id: 300, key: 'a/ä', value },
    { kind: 'get', id: 0, key: 'a' },
  ] as const
  for (const request of requests)
    expect(decodeRequest(frameOf(encodeRequest(request)))).toEqual(request)
  const answer = { id: 2 ** 40, isDone: false, value }
  expect(decodeAnswer(frameOf(encodeAnswer(answer)))).toEqual(answer)
})

describe('three store members as processes', () => {
  let cluster: StoreCluster
  let leader: StoreProcess
  beforeAll(async () => {
    cluster = await StoreCluster.start()
    leader = await cluster.leader()
  }, 60_000)
  afterAll(() => cluster.stop())

  test('give back through any of them what was put through any other', async () => {
    const clients = cluster.members.map((member) => member.client())

    await Promise.all(clients.map((client, at) => client.put(`key-${at}`, value)))
    const read = await Promise.all(clients.map((client, at) => client.get(`key-${(at + 1) % 3}`)))

    expect(read).toEqual(clients.map(() => value))
    for (const client of clients) client.close()
  })

  test('go on without their leader, and it comes back to all that it missed', async () => {
    const other = cluster.members.find((member) => member !== leader)
    const client = other?.client()

    await leader.kill()
    await client?.put('after', value)
    client?.close()
    await leader.start()

    const again = leader.client()
    expect(await again.get('after')).toEqual(value)
    again.close()
    // Processes are killed and started, on a machine that may have others to run.
  }, 60_000)
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EtcdClient } from './etcd-client.ts'
import { EtcdCluster, etcdVersion } from './etcd-cluster.ts'

const isHere = etcdVersion() !== undefined
if (!isHere && process.env['CONCLAVE_REQUIRE_PEERS'] === '1') {
  throw new Error('etcd is needed here: install Debian’s etcd-server')
}

describe.skipIf(!isHere)('the lean client, at a real etcd (skipped without one)', () => {
  let cluster: EtcdCluster
  let client: EtcdClient
  beforeAll(async () => {
    cluster = await EtcdCluster.start()
    client = new EtcdClient('127.0.0.1', (await cluster.leader()).clientPort)
  }, 60_000)
  afterAll(async () => {
    client.close()
    await cluster.stop()
  })

  test('reads what it wrote, with many requests under way', async () => {
    const names = Array.from({ length: 300 }, (_, n) => Buffer.from(`key-${n}`))

    await Promise.all(names.map((name) => client.put(name, Buffer.concat([name, name]))))
    const read = await Promise.all(names.map((name) => client.get(name)))

    expect(read.map((bytes) => Buffer.from(bytes ?? []).toString())).toEqual(
      names.map((name) => `${name.toString()}${name.toString()}`),
    )
  })

  test('tells a key that is not there, and a request that is refused', async () => {
    expect(await client.get(Buffer.from('nobody'))).toBeUndefined()
    await expect(client.put(new Uint8Array(), new Uint8Array())).rejects.toThrow('refused')
  })
})

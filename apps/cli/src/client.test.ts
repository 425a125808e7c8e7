import { afterEach, beforeEach, expect, test } from 'vitest'
import { Client } from './client.ts'
import { ScriptedCluster } from './testing/scripted-masters.ts'

let cluster: ScriptedCluster
beforeEach(async () => {
  cluster = await ScriptedCluster.start()
})
afterEach(() => {
  cluster.stop()
})

test('one login is for all masters, however many are asked at once', async () => {
  const url = `http://127.0.0.1:${cluster.port}`
  const masters = ['a', 'b', 'c'].map((masterId) => ({
    masterId,
    conclave: url,
    dcos: url,
    mesos: url,
  }))
  const client = new Client({ clusterId: 'c', masters, uid: 'dev', password: 'the-password' })
  cluster.on('GET /conclave/v1/masters', { body: { role: 'leader' } })

  await Promise.all(
    masters.map(({ masterId }) =>
      client.only(masterId).json('conclave', 'GET', '/conclave/v1/masters'),
    ),
  )

  const paths = cluster.asked.map(({ path }) => path)
  expect(paths.filter((path) => path.endsWith('/auth/login'))).toHaveLength(1)
  expect(paths.filter((path) => path.endsWith('/masters'))).toHaveLength(3)
  client.close()
})

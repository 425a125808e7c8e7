import { availableParallelism, totalmem } from 'node:os'
import { describe, expect, test } from 'vitest'
import { masterNow } from '../master-now.ts'
import { Front } from '../testing/front.ts'
import { ScriptedNode } from '../testing/scripted-node.ts'
import type { NetworkObject } from '../networks/network-object.ts'

/** A machine whose master, if it had one, nobody may ask. */
const machine = (node: ScriptedNode): Front => {
  const master = masterNow(() => {
    throw new Error('a master was asked')
  })
  return new Front({ node, master })
}

describe('DK29: a machine that is no manager', () => {
  const worker = {
    is: 'worker',
    nodeId: 'x',
    address: '10.0.0.1',
    managers: [],
  } as const

  test.each([
    [{ is: 'inactive' } as const, ['bridge', 'host', 'none']],
    [{ is: 'locked' } as const, ['bridge', 'host', 'none']],
    [worker, ['bridge', 'docker_gwbridge', 'host', 'ingress', 'none']],
  ])('that is %j tells of itself', async (state, networks) => {
    const front = machine(new ScriptedNode(state))
    const info = (await front.ask('GET', '/info')).json<object>()
    expect(info).toMatchObject({
      Containers: 0,
      Images: 6,
      NCPU: availableParallelism(),
      MemTotal: totalmem(),
    })
    const listed = (await front.ask('GET', '/networks')).json<NetworkObject[]>()
    expect(listed.map(({ Name }) => Name)).toEqual(networks)
    expect((await front.ask('GET', '/system/df')).json()).toMatchObject({ Containers: [] })
    expect((await front.ask('GET', '/images/redis/json')).statusCode).toBe(200)
    expect((await front.ask('POST', '/images/create?fromImage=redis')).statusCode).toBe(200)
  })

  test('remembers nothing', async () => {
    const front = machine(new ScriptedNode({ is: 'inactive' }))
    const pulled = await front.ask('POST', '/images/create?fromImage=some/app')
    const made = await front.ask('POST', '/networks/create', { Name: 'apart' })
    for (const answer of [pulled, made]) {
      expect(answer.statusCode).toBe(503)
      expect(answer.body).toContain('are remembered by the managers of a swarm')
    }
    const overlay = await front.ask('POST', '/networks/create', { Name: 'x', Driver: 'overlay' })
    expect(overlay.body).toContain('This node is not a swarm manager.')
  })
})

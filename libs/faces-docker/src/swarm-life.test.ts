import { describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'
import { ScriptedNode } from './testing/scripted-node.ts'
import type { SwarmState } from './swarm-node.ts'

/*
 * A machine that comes into a swarm and leaves it, in the Engine's words. Source: docker-swarm.md A2, A6 and
 * errors.json.
 */

const outside =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
const worker = {
  is: 'worker',
  nodeId: 'mbt85upsa5veh0jtcmf5io0sz',
  address: '10.0.0.3',
  managers: [{ nodeId: 'j2cddcae4vp0johmbsyb6fqcc', address: '10.0.0.1:2377' }],
} as const
const token =
  'SWMTKN-1-1oj7r062ic0c7vron3yr2ztd35s002cdg70ptz7ertt4ucvmfj-19mnrol2g0v9ag39udaj1ir66'

const at = (state: SwarmState): { front: Front; node: ScriptedNode } => {
  const node = new ScriptedNode(state)
  return { front: new Front({ node }), node }
}
const answer = async (asked: ReturnType<Front['ask']>): Promise<[number, unknown]> => {
  const { statusCode, payload } = await asked
  return [statusCode, payload === '' ? '' : (JSON.parse(payload) as unknown)]
}

const swarmOf = async (state: SwarmState): Promise<object> =>
  (await at(state).front.ask('GET', '/info')).json<{ Swarm: object }>().Swarm
const unlock = (front: Front, UnlockKey: string): Promise<[number, unknown]> =>
  answer(front.ask('POST', '/v1.41/swarm/unlock', { UnlockKey }))

describe('DK6: a node that is no manager', () => {
  test.each([
    [{ is: 'inactive' }, 'inactive', outside],
    [
      { is: 'locked' },
      'locked',
      'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to unlock it.',
    ],
    [
      worker,
      'active/worker',
      "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager.",
    ],
    [
      { is: 'pending' },
      'pending',
      'This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.',
    ],
  ] as const)(
    'that is %j says so to whoever asks for the swarm',
    async (state, header, message) => {
      const { front } = at(state)
      for (const [method, path] of [
        ['GET', '/secrets'],
        ['GET', '/nodes'],
        ['GET', '/swarm'],
        ['POST', '/secrets/create'],
      ] as const) {
        expect(await answer(front.ask(method, `/v1.41${path}`, {}))).toEqual([503, { message }])
      }
      const ping = await front.ask('HEAD', '/_ping')
      expect([ping.statusCode, ping.headers['swarm']]).toEqual([200, header])
    },
  )

  test('is told of by docker info', async () => {
    expect(await swarmOf({ is: 'inactive' })).toEqual({
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    })
    expect(await swarmOf({ is: 'locked' })).toMatchObject({ LocalNodeState: 'locked' })
    expect(await swarmOf({ is: 'error', why: 'it broke' })).toMatchObject({
      LocalNodeState: 'error',
      Error: 'it broke',
    })
    expect(await swarmOf(worker)).toMatchObject({
      NodeID: worker.nodeId,
      NodeAddr: '10.0.0.3',
      LocalNodeState: 'active',
      ControlAvailable: false,
      RemoteManagers: [{ NodeID: 'j2cddcae4vp0johmbsyb6fqcc', Addr: '10.0.0.1:2377' }],
    })
  })
})

describe('DK30: a machine', () => {
  test('begins a swarm, and is its manager from then on', async () => {
    const { front, node } = at({ is: 'inactive' })
    const begun = await front.ask('POST', '/v1.41/swarm/init', {
      ListenAddr: '0.0.0.0:2377',
      AdvertiseAddr: '192.168.99.100',
      Availability: 'drain',
      Spec: { Orchestration: { TaskHistoryRetentionLimit: 3 } },
    })
    expect([begun.statusCode, begun.json()]).toEqual([200, expect.stringMatching(/^[0-9a-z]{25}$/)])
    expect(node.asked).toEqual([
      { init: { at: { host: '192.168.99.100', port: 2377 }, availability: 'drain' } },
    ])
    expect((await front.ask('GET', '/swarm')).json()).toMatchObject({
      Spec: { Orchestration: { TaskHistoryRetentionLimit: 3 } },
    })
    const again = await front.ask('POST', '/swarm/init', { ListenAddr: '0.0.0.0:2377' })
    expect([again.statusCode, again.json()]).toEqual([
      503,
      {
        message:
          'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
      },
    ])
  })

  test('joins with a token, which nobody sees', async () => {
    const { front, node } = at({ is: 'inactive' })
    const asked = {
      ListenAddr: '0.0.0.0:2377',
      AdvertiseAddr: '',
      RemoteAddrs: ['10.0.0.1:2377'],
      JoinToken: token,
      Availability: 'active',
    }
    expect(await answer(front.ask('POST', '/v1.41/swarm/join', asked))).toEqual([200, ''])
    expect(node.asked).toEqual([
      {
        join: {
          at: { host: '', port: 2377 },
          availability: 'active',
          remotes: ['10.0.0.1:2377'],
          token,
        },
      },
    ])
    expect(front.log.text).not.toContain(token)
    expect(await answer(front.ask('POST', '/swarm/join', asked))).toEqual([
      503,
      {
        message:
          'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
      },
    ])
  })

  test.each(['SWMTKN-1-xx', '', 'garbage'])('joins with no token such as %j', async (JoinToken) => {
    const { front, node } = at({ is: 'inactive' })
    const refused = front.ask('POST', '/swarm/join', { JoinToken, RemoteAddrs: ['10.0.0.1:2377'] })
    expect(await answer(refused)).toEqual([500, { message: 'invalid join token' }])
    expect(node.asked).toEqual([])
  })

  test('leaves as a worker without more ado, and as a manager by force', async () => {
    const lone = at(worker)
    expect(await answer(lone.front.ask('POST', '/swarm/leave'))).toEqual([200, ''])
    expect(lone.node.asked).toEqual(['leave'])
    expect(await answer(lone.front.ask('POST', '/swarm/leave'))).toEqual([
      503,
      { message: 'This node is not part of a swarm' },
    ])

    const { front, node } = at({ is: 'manager' })
    const [status, body] = await answer(front.ask('POST', '/swarm/leave'))
    expect([status, body]).toEqual([
      503,
      {
        message:
          'You are attempting to leave the swarm on a node that is participating as a manager. Removing the last manager erases all current state of the swarm. Use `--force` to ignore this message. ',
      },
    ])
    const { members } = front.master
    members.views = members.views.flatMap((one) => [one, { ...one, masterId: 'master-2' }])
    expect((await answer(front.ask('POST', '/swarm/leave')))[1]).toEqual({
      message:
        'You are attempting to leave the swarm on a node that is participating as a manager. Removing this node leaves 1 managers out of 2. Without a Raft quorum your swarm will be inaccessible. The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.',
    })
    expect(node.asked).toEqual([])
    expect(await answer(front.ask('POST', '/swarm/leave?force=1'))).toEqual([200, ''])
    expect(node.asked).toEqual(['leave'])
  })
})

describe('DK31: a locked node', () => {
  test('is opened by the unlock key, which nobody sees', async () => {
    const { front, node } = at({ is: 'locked' })
    expect(await unlock(front, 'garbage')).toEqual([400, { message: 'invalid key string' }])
    expect(await unlock(front, `SWMKEY-1-${'A'.repeat(43)}`)).toEqual([
      401,
      { message: 'swarm could not be unlocked: invalid key provided' },
    ])
    expect(await unlock(front, node.key)).toEqual([200, ''])
    expect(node.state).toEqual({ is: 'manager' })
    expect(front.log.text).not.toContain(node.key)
    expect(await unlock(front, node.key)).toEqual([409, { message: 'swarm is not locked' }])
  })

  test('that is in no swarm has nothing to open', async () => {
    const { front, node } = at({ is: 'inactive' })
    expect(await unlock(front, node.key)).toEqual([
      503,
      { message: 'This node is not part of a swarm' },
    ])
  })
})

describe('DK19: a swarm that is begun anew by force', () => {
  const init = { ForceNewCluster: true, ListenAddr: '0.0.0.0:2377' }

  test('is one of a manager, of which the machine is told', async () => {
    const node = new ScriptedNode({ is: 'manager' })
    const front = await new Front({ node }).withSwarm()
    const [status, id] = await answer(front.ask('POST', '/swarm/init', init))
    expect([status, id]).toEqual([200, expect.stringMatching(/^[0-9a-z]{25}$/)])
    expect(node.asked).toEqual(['begin anew'])
  })

  test('is none of a worker, and of a master by itself when it starts', async () => {
    const { front, node } = at(worker)
    expect(await answer(front.ask('POST', '/swarm/init', init))).toEqual([
      503,
      { message: expect.stringContaining("Worker nodes can't be used to view") as unknown },
    ])
    expect(node.asked).toEqual([])
    const alone = await new Front().withSwarm()
    expect(await answer(alone.ask('POST', '/swarm/init', init))).toEqual([
      501,
      { message: expect.stringContaining('conclave master begin-anew') as unknown },
    ])
  })
})

import { beforeEach, describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'
import { recordedRoot } from './testing/recorded-root.ts'

let front: Front

beforeEach(() => {
  front = new Front()
})

const init = (body: object = {}) =>
  front.ask('POST', '/v1.41/swarm/init', { ListenAddr: '0.0.0.0:2377', ...body })

interface Swarm {
  readonly Version: { readonly Index: number }
  readonly Spec: { readonly Orchestration: { readonly TaskHistoryRetentionLimit: number } }
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string }
}
const swarm = async (): Promise<Swarm> => (await front.ask('GET', '/swarm')).json<Swarm>()

describe('DK6: a swarm', () => {
  test('is begun once, and answers with the id of the node that it was begun on', async () => {
    const begun = await init({ AdvertiseAddr: '192.168.99.100' })
    expect([begun.statusCode, begun.json()]).toEqual([200, expect.stringMatching(/^[0-9a-z]{25}$/)])
    const again = await init()
    expect([again.statusCode, again.json()]).toEqual([
      503,
      {
        message:
          'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.',
      },
    ])
  })

  test.each(['10.9.9.9.9', '0.0.0.0', '::', '1.2.3.4.5:2377'])(
    'is not advertised at %s',
    async (AdvertiseAddr) => {
      const refused = await init({ AdvertiseAddr })
      expect([refused.statusCode, refused.json()]).toEqual([
        400,
        {
          message:
            'advertise address must be a non-zero IP address or network interface (with optional port number)',
        },
      ])
    },
  )

  test.each(['192.168.99.100:2377', 'eth0', 'fe80::1', '[fe80::1]:2377', ''])(
    'is advertised at %s',
    async (AdvertiseAddr) => {
      expect((await init({ AdvertiseAddr })).statusCode).toBe(200)
    },
  )

  test('shows the root that its members trust as the Engine shows it', async () => {
    await init()
    expect(await swarm()).toMatchObject({ TLSInfo: recordedRoot })
  })

  test('is updated as it was read', async () => {
    await init()
    const { Version, Spec } = await swarm()
    const update = (version: number) =>
      front.ask('POST', `/swarm/update?version=${version}`, {
        ...Spec,
        Orchestration: { TaskHistoryRetentionLimit: 3 },
      })
    expect((await update(Version.Index)).statusCode).toBe(200)
    expect((await swarm()).Spec.Orchestration.TaskHistoryRetentionLimit).toBe(3)
    const late = await update(Version.Index)
    expect([late.statusCode, late.json()]).toEqual([
      500,
      { message: 'rpc error: code = Unknown desc = update out of sequence' },
    ])
  })

  test('has certificates of an hour at least, and nodes of roles that there are', async () => {
    await init()
    const { Version, Spec } = (await front.ask('GET', '/swarm')).json<{
      Version: { Index: number }
      Spec: object
    }>()
    const path = `/swarm/update?version=${Version.Index}`
    const short = await front.ask('POST', path, { ...Spec, CAConfig: { NodeCertExpiry: 1e9 } })
    expect([short.statusCode, short.json()]).toEqual([
      400,
      {
        message:
          'rpc error: code = InvalidArgument desc = minimum certificate expiry time is: 1h0m0s',
      },
    ])
    for (const [key, message] of [
      ['role', "Invalid role filter: 'nope'"],
      ['membership', "Invalid membership filter: 'nope'"],
    ]) {
      const answer = await front.ask('GET', `/nodes?filters={"${key}":["nope"]}`)
      expect([answer.statusCode, answer.json()]).toEqual([400, { message }])
    }
  })

  test('is left by force alone, and then is none', async () => {
    const none = await front.ask('POST', '/swarm/leave')
    expect([none.statusCode, none.json()]).toEqual([
      503,
      { message: 'This node is not part of a swarm' },
    ])
    await init()
    const refused = await front.ask('POST', '/swarm/leave')
    expect(refused.statusCode).toBe(503)
    expect(refused.json<{ message: string }>().message).toMatch(
      /`--force` to ignore this message\. $/,
    )
    expect((await front.ask('POST', '/swarm/leave?force=1')).statusCode).toBe(200)
    expect((await front.ask('GET', '/swarm')).statusCode).toBe(503)
  })
})

describe('DK8: a node', () => {
  interface NodeShown {
    readonly ID: string
    readonly Spec: { readonly Role: string; readonly Availability: string }
    readonly Version: { readonly Index: number }
    readonly Description: { readonly Hostname: string }
    readonly ManagerStatus?: { readonly Leader?: boolean }
  }
  const nodes = async (filters?: object): Promise<readonly NodeShown[]> => {
    const query =
      filters === undefined ? '' : `?filters=${encodeURIComponent(JSON.stringify(filters))}`
    return (await front.ask('GET', `/nodes${query}`)).json<NodeShown[]>()
  }

  beforeEach(async () => {
    await init()
  })

  test('is a master, as a manager that runs nothing', async () => {
    const [manager] = await nodes({ role: ['manager'] })
    expect(manager).toMatchObject({
      Spec: { Role: 'manager', Availability: 'drain' },
      Description: { Hostname: 'master-1' },
      ManagerStatus: { Leader: true, Reachability: 'reachable' },
    })
    const info = (await front.ask('GET', '/info')).json<{ Swarm: { NodeID: string } }>()
    expect(info.Swarm.NodeID).toBe(manager?.ID)
  })

  test('that there is not is not found', async () => {
    const answer = await front.ask('GET', '/nodes/nosuch')
    expect([answer.statusCode, answer.json()]).toEqual([404, { message: 'node nosuch not found' }])
  })

  test('is updated only to what there is', async () => {
    const [manager] = await nodes()
    const version = manager?.Version.Index ?? 0
    const update = (spec: object) =>
      front.ask('POST', `/nodes/${manager?.ID}/update?version=${version}`, spec)
    expect((await update({ Role: 'manager', Availability: 'foo' })).json()).toEqual({
      message: 'invalid Availability: "foo"',
    })
    expect((await update({ Role: 'boss', Availability: 'drain' })).statusCode).toBe(400)
  })

  test('that votes is not removed', async () => {
    const [manager] = await nodes()
    const refused = await front.ask('DELETE', '/nodes/master-1')
    expect([refused.statusCode, refused.json()]).toEqual([
      400,
      {
        message: `rpc error: code = FailedPrecondition desc = node ${manager?.ID} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
      },
    ])
  })
})

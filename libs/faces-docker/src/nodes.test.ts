import type { MemberView, NodeView } from '@conclave/actors'
import { beforeEach, describe, expect, test } from 'vitest'
import { engineAttribute, keepEngine } from './engine-nodes.ts'
import { masterNow } from './master-now.ts'
import { Front } from './testing/front.ts'
import { recordedRoot } from './testing/recorded-root.ts'

const caller = { principal: { uid: 'admin' }, requestId: 'test' }

let front: Front

interface NodeShown {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: {
    readonly Role: string
    readonly Availability: string
    readonly Labels: Readonly<Record<string, string>>
  }
  readonly Description: {
    readonly Hostname: string
    readonly Engine: object
    readonly TLSInfo: { readonly TrustRoot: string }
  }
  readonly Status: { readonly State: string }
  readonly ManagerStatus?: { readonly Leader?: boolean }
}

const nodes = async (): Promise<readonly NodeShown[]> =>
  (await front.ask('GET', '/nodes')).json<NodeShown[]>()
const node = async (name: string): Promise<NodeShown> => {
  const found = (await nodes()).find(({ Description }) => Description.Hostname === name)
  if (found === undefined) throw new Error(`no node is called ${name}`)
  return found
}
const update = async (name: string, spec: object): Promise<[number, unknown]> => {
  const { ID, Version, Spec } = await node(name)
  const path = `/nodes/${ID}/update?version=${Version.Index}`
  const { statusCode, payload } = await front.ask('POST', path, { ...Spec, ...spec })
  return [statusCode, payload === '' ? '' : (JSON.parse(payload) as unknown)]
}
const learner = (one: MemberView): MemberView => ({
  ...one,
  masterId: 'master-2',
  nodeId: 2,
  role: 'learner',
})
/** A second master, which only learns. */
const withLearner = (): void => {
  const { members } = front.master
  members.views = members.views.flatMap((one) => [one, learner(one)])
}

beforeEach(async () => {
  front = await new Front().withSwarm()
})

const attribute = (name: string, value: string): object => ({
  name,
  type: 'TEXT',
  text: { value },
})

test('DK8: what an agent says of its machine is its platform, and else labels of its engine', async () => {
  front.master.scene.addNode('plain', { attributes: [attribute('arch', 'aarch64')] })
  front.master.scene.addNode('labelled', { attributes: [attribute('zone', 'a')] })
  const { Description } = await node('plain')
  expect(Description).toMatchObject({ Platform: { Architecture: 'aarch64', OS: 'linux' } })
  expect(Description).not.toHaveProperty('Engine.Labels')
  expect(await node('labelled')).toMatchObject({
    Description: { Engine: { Labels: { zone: 'a' } } },
  })
})

describe('DK8: a master by itself', () => {
  test('is shown with the time at which it came to be one, where that is known', async () => {
    const { members } = front.master
    expect(await node('master-1')).toMatchObject({ CreatedAt: '0001-01-01T00:00:00Z' })
    members.views = members.views.map((one) => ({ ...one, sinceMs: 1_700_000_000_000 }))
    const at = '2023-11-14T22:13:20Z'
    expect(await node('master-1')).toMatchObject({ CreatedAt: at, UpdatedAt: at })
  })

  test('is labelled for Docker’s clients, and stays drained', async () => {
    expect(await update('master-1', { Labels: { zone: 'a' } })).toEqual([200, ''])
    const labelled = await node('master-1')
    expect(labelled.Spec).toEqual({
      Labels: { zone: 'a' },
      Role: 'manager',
      Availability: 'drain',
    })
    const [status] = await update('master-1', { Availability: 'active' })
    expect(status).toBe(400)
  })

  test('that only learns is a worker, and is promoted and demoted', async () => {
    withLearner()
    expect((await node('master-2')).Spec.Role).toBe('worker')
    expect((await node('master-2')).ManagerStatus).toBeUndefined()
    expect(await update('master-2', { Role: 'manager' })).toEqual([200, ''])
    expect(await update('master-2', { Role: 'worker' })).toEqual([200, ''])
    expect(front.master.members.asked).toEqual(['admin promote master-2', 'admin demote master-2'])
  })

  test('is removed by force while it answers, once it is no manager', async () => {
    withLearner()
    expect((await front.ask('DELETE', '/nodes/master-2')).json()).toMatchObject({
      message: expect.stringMatching(/is not down and can't be removed$/) as unknown,
    })
    expect((await front.ask('DELETE', '/nodes/master-2?force=1')).statusCode).toBe(200)
    expect(front.master.members.asked).toEqual(['admin remove master-2 by force'])
  })
})

describe('DK8: an agent by itself', () => {
  test('is a worker, and no manager can be made of it', async () => {
    front.master.scene.addNode('agent-1')
    const [agent] = await front.master.nodes.list(caller)
    const name = agent?.hostname ?? ''
    expect((await node(name)).Spec.Role).toBe('worker')
    const [status, body] = await update(name, { Role: 'manager' })
    expect([status, body]).toEqual([
      400,
      { message: expect.stringContaining('joins with a manager token') as unknown },
    ])
  })
})

/** The agent of an engine's, which says so of itself. */
async function engineAgent(): Promise<NodeView> {
  front.master.scene.addNode('agent-1', { attributes: [attribute(engineAttribute, 'true')] })
  const [agent] = await front.master.nodes.list(caller)
  if (agent === undefined) throw new Error('there is no agent')
  return agent
}

describe('DK18: a worker of an engine', () => {
  test('shall be a manager from the answer on, and is one once it votes', async () => {
    const agent = await engineAgent()
    const { hostname, name } = agent
    const before = await node(hostname)
    expect(before.Description.Engine).not.toHaveProperty('Labels')
    expect(await update(hostname, { Role: 'manager' })).toEqual([200, ''])
    expect(front.master.authority.asked).toContain(`promote ${name}`)
    const promoted = await node(hostname)
    expect(promoted).toMatchObject({ ID: before.ID, Spec: { Role: 'manager' } })
    expect(promoted.Version.Index).toBeGreaterThan(before.Version.Index)
    expect(promoted).not.toHaveProperty('ManagerStatus')
    expect(await update(hostname, { Role: 'worker' })).toEqual([
      404,
      { message: expect.stringContaining("can't find manager in raft memberlist") as unknown },
    ])

    const { authority, members } = front.master
    authority.view = { ...authority.view, promotions: [{ agent: name, masterId: 'master-2' }] }
    withLearner()
    members.views = members.views.map((one) => ({ ...one, wanted: 'voter' }))
    expect(await nodes()).toHaveLength(2)
    expect(await node(hostname)).toMatchObject({ ID: before.ID, Spec: { Role: 'manager' } })
    expect(await node(hostname)).not.toHaveProperty('ManagerStatus')
    members.views = members.views.map((one) =>
      one.role === 'learner' ? { ...one, role: 'voter' } : one,
    )
    expect(await node(hostname)).toMatchObject({ ManagerStatus: { Reachability: 'reachable' } })
    expect(await update(hostname, { Role: 'worker' })).toEqual([200, ''])
    expect(members.asked).toEqual(['admin leave master-2'])
  })

  test('is no manager any more as soon as it is on its way out', async () => {
    const agent = await engineAgent()
    const { authority, members } = front.master
    authority.view = {
      ...authority.view,
      promotions: [{ agent: agent.name, masterId: 'master-2' }],
    }
    withLearner()
    members.views = members.views.map((one) =>
      one.masterId === 'master-2' ? { ...one, role: 'voter', wanted: 'gone' } : one,
    )
    expect(await node(agent.hostname)).toMatchObject({ Spec: { Role: 'worker' } })
  })
})

describe('DK8: an engine', () => {
  test('is one node, with the id of its agent and the say of its master', async () => {
    front.master.scene.addNode('agent-1')
    const [agent] = await front.master.nodes.list(caller)
    if (agent === undefined) throw new Error('there is no agent')
    const before = await nodes()
    const alone = before.find(({ Description }) => Description.Hostname === agent.hostname)
    await keepEngine(front.master, caller, 'master-1', agent.name)

    const both = await node(agent.hostname)
    expect((await nodes()).length).toBe(before.length - 1)
    expect(both).toMatchObject({
      ID: alone?.ID,
      Spec: { Role: 'manager', Availability: 'active' },
      ManagerStatus: { Leader: true },
    })
    expect(await update(agent.hostname, { Availability: 'drain' })).toEqual([200, ''])
    expect((await node(agent.hostname)).Spec.Availability).toBe('drain')
    const info = (await front.ask('GET', '/info')).json<{ Swarm: { NodeID: string } }>()
    expect(info.Swarm.NodeID).toBe(alone?.ID)
  })
})

describe('DK33: while the root is replaced', () => {
  test('nodes show the old one until they have shown a certificate of the new one', async () => {
    const { authority } = front.master
    const old = authority.view.rootPem
    // Two roots that can be told apart: the recorded one, and the same with a blank line behind it.
    const rootPem = `${recordedRoot.TrustRoot}\n`
    authority.view = {
      ...authority.view,
      rotation: { rootPem, root: 'sha256:new', begunAtMs: 0, waitingFor: ['master-1'] },
      holders: [],
    }
    const swarm = async (): Promise<unknown> => (await front.ask('GET', '/swarm')).json<unknown>()
    expect(await swarm()).toMatchObject({
      RootRotationInProgress: true,
      TLSInfo: { TrustRoot: rootPem },
    })
    expect((await node('master-1')).Description.TLSInfo.TrustRoot).toBe(old)

    const issuer = 'sha256:new'
    const shown = { id: 'master-1', role: 'master', issuer, untilMs: 9, isCurrent: true } as const
    authority.view = { ...authority.view, holders: [shown] }
    expect((await node('master-1')).Description.TLSInfo.TrustRoot).toBe(rootPem)
  })
})

describe('a master that is looked up anew', () => {
  test('is asked for its parts before there is one, and only then for what they do', async () => {
    let now: Front['master'] | undefined
    const master = masterNow(() => {
      if (now === undefined) throw new Error('in no swarm')
      return now
    })
    const { members, status } = { members: master.members, status: () => master.status() }
    expect(() => status()).toThrow('in no swarm')
    expect(() => members.list(caller)).toThrow('in no swarm')
    now = front.master
    expect(status().masterId).toBe('master-1')
    expect(await members.list(caller)).toHaveLength(1)
    expect(await Promise.resolve(master)).toBe(master)
  })
})

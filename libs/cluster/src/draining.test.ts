import { describe, expect, test } from 'vitest'
import { command, DrivenCluster, openOffers, updatesOf } from './testing/driven-cluster.ts'

const ask = (cluster: DrivenCluster, type: string, more: object = {}, value = 'M-S0') =>
  cluster.operator({ type, [type.toLowerCase()]: { agent_id: { value }, ...more } })
const done = { status: 200, body: '' }
const agentOf = (cluster: DrivenCluster): object | undefined =>
  (cluster.read('GET_AGENTS') as { agents: object[] }).agents[0]

describe('CL16: an agent', () => {
  test('that is deactivated is offered to nobody, until it is reactivated', () => {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t'))

    expect(ask(cluster, 'DEACTIVATE_AGENT')).toEqual(done)

    expect(openOffers(framework)).toEqual([])
    expect(link.messages.at(-1)).toMatchObject({ type: 'launch' })
    cluster.restart()
    const again = cluster.link('agent-1')
    cluster.register(again, { agentId })
    const { stream } = cluster.subscribe('scheduler', { id: { value: 'M-0000' } })
    cluster.tick(10)
    expect(openOffers(stream)).toEqual([])
    expect(agentOf(cluster)).toMatchObject({ deactivated: true })

    expect(ask(cluster, 'REACTIVATE_AGENT')).toEqual(done)
    expect(openOffers(stream)).toHaveLength(1)
    expect(agentOf(cluster)).toMatchObject({ deactivated: false })
  })

  test('that is drained ends its tasks, and is drained when that is known', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework()
    const patient = { kill_policy: { grace_period: { nanoseconds: 60e9 } } }
    cluster.launch(framework, command('t', patient), command('u'))
    const grace = { max_grace_period: { nanoseconds: 5e9 } }

    expect(ask(cluster, 'DRAIN_AGENT', grace)).toEqual(done)

    const kills = link.messages.filter((message) => message.type === 'kill')
    expect(kills.map(({ taskId, graceMs }) => [taskId, graceMs])).toEqual([
      ['t', 5000],
      ['u', 3000],
    ])
    expect(openOffers(framework)).toEqual([])
    expect(agentOf(cluster)).toMatchObject({
      deactivated: true,
      drain_info: { state: 'DRAINING', config: { ...grace, mark_gone: false } },
      estimated_drain_start_time: { nanoseconds: 1e12 },
    })
    expect(ask(cluster, 'REACTIVATE_AGENT')).toMatchObject({
      status: 400,
      body: expect.stringContaining('DRAINING'),
    })

    for (const taskId of ['t', 'u']) {
      cluster.report(link, { frameworkId: 'M-0000', taskId }, 'TASK_KILLED')
      expect(updatesOf(framework).at(-1)).toMatchObject({ reason: 'REASON_AGENT_DRAINING' })
      cluster.tick()
      expect(agentOf(cluster)).toMatchObject({ drain_info: { state: 'DRAINING' } })
      cluster.acknowledge(framework, updatesOf(framework).at(-1))
    }
    cluster.tick()
    expect(agentOf(cluster)).toMatchObject({ drain_info: { state: 'DRAINED' } })
    expect(openOffers(framework)).toEqual([])

    expect(ask(cluster, 'REACTIVATE_AGENT')).toEqual(done)
    expect(openOffers(framework)).toHaveLength(1)
    expect(agentOf(cluster)).not.toHaveProperty('drain_info')
  })

  test('that is drained for good is gone afterwards, whoever leads', () => {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t'))
    ask(cluster, 'DRAIN_AGENT', { mark_gone: true })
    cluster.hangUp(link)
    cluster.restart()
    const again = cluster.link('agent-1')
    const tasks = cluster.core
      .tasks()
      .map(({ frameworkId, taskId, containerId }) => ({ frameworkId, taskId, containerId }))
    cluster.register(again, { agentId, tasks })
    expect(again.messages.map(({ type }) => type)).toContain('kill')
    const { stream } = cluster.subscribe('scheduler', { id: { value: 'M-0000' } })
    const back = Object.assign(stream, { frameworkId: 'M-0000' })
    cluster.report(again, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_KILLED')
    cluster.acknowledge(back, updatesOf(back).at(-1))
    cluster.tick()

    expect(cluster.read('GET_AGENTS')).toEqual({ agents: [], recovered_agents: [] })
    expect(again.messages.at(-1)).toMatchObject({ type: 'shutdown' })
  })

  test('without tasks is drained at once; one that is not there is not found', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    ask(cluster, 'DRAIN_AGENT')
    expect(agentOf(cluster)).toMatchObject({ drain_info: { state: 'DRAINED' } })
    for (const type of ['DRAIN_AGENT', 'DEACTIVATE_AGENT', 'REACTIVATE_AGENT']) {
      expect(ask(cluster, type, {}, 'M-S9')).toEqual({
        status: 404,
        body: "Agent 'M-S9' not found",
      })
    }
    expect(ask(cluster, 'DRAIN_AGENT', { max_grace_period: { nanoseconds: -1 } })).toMatchObject({
      status: 400,
    })
  })
})

test.each([
  ['SET_QUOTA', { quota_request: {} }],
  ['UPDATE_QUOTA', {}],
  ['REMOVE_QUOTA', { role: 'a' }],
  ['CREATE_VOLUMES', { agent_id: { value: 'M-S0' } }],
  ['RESERVE_RESOURCES', { agent_id: { value: 'M-S0' } }],
  ['LIST_FILES', { path: '/' }],
])('%s: what is not carried out says why', (type, part) => {
  const answer = new DrivenCluster().operator({ type, [type.toLowerCase()]: part })

  expect(answer).toEqual({
    status: 501,
    body: expect.stringMatching(/^501 Not Implemented\. .*[Tt]his master/),
  })
})

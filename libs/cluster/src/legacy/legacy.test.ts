import { toJson } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '@conclave/model'
import { command, DrivenCluster, scalar, ports } from '../testing/driven-cluster.ts'
import type { LegacyEndpoint, LegacyQuery } from './legacy.ts'

const operator = { uid: 'operator', isOperator: true }

function seen(
  cluster: DrivenCluster,
  endpoint: LegacyEndpoint,
  query: LegacyQuery = {},
  viewer = operator,
): JsonObject {
  return cluster.core.legacy({
    endpoint,
    query,
    viewer,
    show: (kind, value) => toJson(kind, value),
  })
}

function busy(): DrivenCluster {
  const cluster = new DrivenCluster()
  const { link } = cluster.agent('agent-1', [scalar('cpus', 4), scalar('mem', 512), ports(1, 9)])
  const framework = cluster.framework('scheduler', { labels: { labels: [{ key: 'a' }] } })
  cluster.launch(
    framework,
    command('t', { labels: { labels: [{ key: 'app', value: 'web' }] } }),
    command('u'),
  )
  cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_RUNNING')
  return cluster
}

describe('the state in the words of old (mesos.md §9)', () => {
  test('/state says who leads, and shows agents, frameworks and tasks', () => {
    const state = seen(busy(), 'state')

    expect(state).toMatchObject({
      version: '1.11.0',
      id: 'm-1',
      activated_slaves: 1,
      deactivated_slaves: 0,
      unreachable_slaves: 0,
      leader: 'master@:5050',
      leader_info: { id: 'm-1', port: 5050 },
      cluster: 'M',
      flags: { authorizers: 'local' },
      completed_frameworks: [],
      unregistered_frameworks: [],
      orphan_tasks: [],
      slaves: [
        {
          id: 'M-S0',
          hostname: 'agent-1.example',
          pid: 'slave(1)@agent-1.example:5051',
          active: true,
          resources: { cpus: 4, gpus: 0, mem: 512, disk: 0, ports: '[1-9]' },
          used_resources: { cpus: 1, gpus: 0, mem: 128, disk: 0 },
        },
      ],
      frameworks: [
        {
          id: 'M-0000',
          name: 'scheduler',
          user: 'root',
          role: '*',
          active: true,
          used_resources: { cpus: 1 },
          labels: [{ key: 'a' }],
          tasks: [
            {
              id: 't',
              name: 't',
              framework_id: 'M-0000',
              executor_id: '',
              slave_id: 'M-S0',
              state: 'TASK_RUNNING',
              role: '*',
              labels: [{ key: 'app', value: 'web' }],
              resources: { cpus: 0.5, mem: 64 },
              statuses: [{ state: 'TASK_RUNNING' }],
            },
            { id: 'u', state: 'TASK_STAGING' },
          ],
          unreachable_tasks: [],
          completed_tasks: [],
          executors: [],
        },
      ],
    })
  })

  test('/state-summary counts', () => {
    expect(seen(busy(), 'state-summary')).toMatchObject({
      cluster: 'M',
      slaves: [{ id: 'M-S0', TASK_RUNNING: 1, TASK_STAGING: 1, framework_ids: ['M-0000'] }],
      frameworks: [{ id: 'M-0000', TASK_RUNNING: 1, slave_ids: ['M-S0'] }],
    })
  })

  test('/tasks is a page of them', () => {
    const cluster = busy()
    const idsOf = (query: LegacyQuery): unknown =>
      (seen(cluster, 'tasks', query) as { tasks: { id: string }[] }).tasks.map(({ id }) => id)

    expect(idsOf({})).toHaveLength(2)
    expect(idsOf({ limit: '1' })).toHaveLength(1)
    expect(idsOf({ limit: '5', offset: '2' })).toEqual([])
    expect(idsOf({ task_id: 'u' })).toEqual(['u'])
    expect(idsOf({ framework_id: 'other' })).toEqual([])
    expect(idsOf({ limit: 'x' })).toHaveLength(2)
  })

  test('/frameworks and /slaves may be asked for one', () => {
    const cluster = busy()

    expect(seen(cluster, 'frameworks', { framework_id: 'M-0009' })).toMatchObject({
      frameworks: [],
    })
    expect(seen(cluster, 'slaves', { slave_id: 'M-S0' })).toMatchObject({
      slaves: [{ id: 'M-S0' }],
      recovered_slaves: [],
    })
    cluster.restart()
    expect(seen(cluster, 'slaves')).toMatchObject({
      slaves: [],
      recovered_slaves: [{ id: 'M-S0' }],
    })
  })

  test('/roles, /flags, /version and /metrics/snapshot', () => {
    const cluster = busy()

    expect(seen(cluster, 'roles')).toMatchObject({
      roles: [{ name: '*', frameworks: ['M-0000'], allocated: { cpus: 1 } }],
    })
    expect(seen(cluster, 'flags')).toMatchObject({ flags: { cluster: 'M' } })
    expect(seen(cluster, 'version')).toMatchObject({ version: '1.11.0' })
    expect(seen(cluster, 'metrics/snapshot')).toMatchObject({ 'master/tasks_running': 1 })
  })

  test('who is no operator sees what is theirs, and no flags', () => {
    const cluster = busy()
    const nobody = { uid: 'nobody', isOperator: false }

    expect(seen(cluster, 'state', {}, nobody)).toMatchObject({ slaves: [], frameworks: [] })
    expect(seen(cluster, 'state', {}, nobody)).not.toHaveProperty('flags')
    expect(seen(cluster, 'tasks', {}, nobody)).toEqual({ tasks: [] })
    expect(seen(cluster, 'tasks', {}, { uid: 'scheduler', isOperator: false })).toMatchObject({
      tasks: [{}, {}],
    })
  })
})

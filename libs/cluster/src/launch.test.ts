import { describe, expect, test } from 'vitest'
import {
  command,
  DrivenCluster,
  openOffers,
  scalar,
  terminalsOf,
  updatesOf,
  type Stream,
} from './testing/driven-cluster.ts'

type Framework = Stream & { frameworkId: string }

const executor = (id: string, more: object = {}): object => ({
  type: 'DEFAULT',
  executor_id: { value: id },
  resources: [scalar('cpus', 0.5), scalar('mem', 64), scalar('disk', 10)],
  ...more,
})

const machine = [scalar('cpus', 4), scalar('mem', 4096), scalar('disk', 100)]

function group(cluster: DrivenCluster, framework: Framework, of: object, ...tasks: object[]): void {
  const offers = openOffers(framework)
  const agent_id = offers[0]?.agent_id
  const task_group = { tasks: tasks.map((task) => ({ agent_id, ...task })) }
  cluster.call(framework, {
    type: 'ACCEPT',
    accept: {
      offer_ids: offers.map(({ id }) => id),
      operations: [{ type: 'LAUNCH_GROUP', launch_group: { executor: of, task_group } }],
      filters: { refuse_seconds: 0 },
    },
  })
}

const cpusOffered = (framework: Framework): number | undefined =>
  openOffers(framework)[0]?.resources.find(({ name }) => name === 'cpus')?.scalar?.value

describe('a group (mesos.md §5.3)', () => {
  test('takes room for its tasks, and for its executor once', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    const { link } = cluster.agent('agent-1', machine)

    group(cluster, framework, executor('e'), command('a'), command('b'))
    expect(cpusOffered(framework)).toBe(2.5)
    group(cluster, framework, executor('e'), command('c'))
    expect(cpusOffered(framework)).toBe(2)

    for (const taskId of ['a', 'b', 'c']) {
      cluster.report(link, { frameworkId: 'M-0000', taskId }, 'TASK_FINISHED')
    }
    expect(cluster.core.tasks().every(({ state }) => state === 'TASK_FINISHED')).toBe(true)
    cluster.call(framework, {
      type: 'DECLINE',
      decline: {
        offer_ids: openOffers(framework).map(({ id }) => id),
        filters: { refuse_seconds: 0 },
      },
    })
    expect(openOffers(framework).at(-1)?.resources).toMatchObject([
      { name: 'cpus', scalar: { value: 4 } },
      { name: 'mem', scalar: { value: 4096 } },
      { name: 'disk', scalar: { value: 100 } },
    ])
  })

  test('is refused whole, in the words of its first mistake', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    cluster.agent('agent-1', machine)
    const bad = command('b', { command: { environment: { variables: [{ name: 'A' }] } } })

    group(cluster, framework, executor('e'), command('a'), bad, command('c'))

    const why =
      "Task 'b' is invalid: Task's `CommandInfo` is invalid: Environment variable 'A' of type 'VALUE' must have a value set"
    expect(terminalsOf(framework)).toEqual(
      ['a', 'b', 'c'].map((value) =>
        expect.objectContaining({
          task_id: { value },
          state: 'TASK_ERROR',
          source: 'SOURCE_MASTER',
          reason: 'REASON_TASK_GROUP_INVALID',
          message: why,
        }),
      ),
    )
    expect(cluster.core.tasks()).toEqual([])
  })

  test('with a secret that its framework may not read is refused whole', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    cluster.agent('agent-1', machine)
    cluster.forbidden.add('dev/db')
    const secret = { type: 'REFERENCE', reference: { name: 'dev/db' } }
    const variables = [{ name: 'A', type: 'SECRET', secret }]
    const task = command('b', { command: { value: 'x', environment: { variables } } })

    group(cluster, framework, executor('e'), command('a'), task)

    expect(terminalsOf(framework).map(({ reason }) => reason)).toEqual([
      'REASON_TASK_GROUP_UNAUTHORIZED',
      'REASON_TASK_GROUP_UNAUTHORIZED',
    ])
  })

  test('may not give a running executor another description, and no value is repeated', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    cluster.agent('agent-1', machine)
    group(cluster, framework, executor('e'), command('a'))

    group(cluster, framework, executor('e', { name: 'other', data: 'c2VjcmV0' }), command('b'))

    const message = terminalsOf(framework)[0]?.message
    expect(message).toMatch(
      /^ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID\.\n-+\nExisting ExecutorInfo:\n/,
    )
    expect(message).not.toContain('c2VjcmV0')
  })

  test('must fit with its executor', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    cluster.agent('agent-1', [scalar('cpus', 1), scalar('mem', 4096), scalar('disk', 100)])

    group(cluster, framework, executor('e'), command('a'), command('b'))

    expect(terminalsOf(framework)[0]?.message).toMatch(
      /^Total resources cpus\(allocated: \*\):1\.5; .* required by task group and its executor are more than available /,
    )
  })

  test('that is empty leaves nothing to tell of', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    cluster.agent('agent-1', machine)

    group(cluster, framework, executor('e'))

    expect(updatesOf(framework)).toEqual([])
  })
})

test('an id that is taken by an unreachable task is not given again', () => {
  const cluster = new DrivenCluster()
  const framework = cluster.framework('scheduler', { capabilities: [{ type: 'PARTITION_AWARE' }] })
  const { link } = cluster.agent('agent-1')
  cluster.launch(framework, command('t'))
  cluster.hangUp(link)
  cluster.tick(75)
  cluster.agent('agent-2')

  cluster.launch(framework, command('t'))

  expect(updatesOf(framework).at(-1)).toMatchObject({
    state: 'TASK_ERROR',
    message: 'Task reuses the ID of an unreachable task: t',
  })
})

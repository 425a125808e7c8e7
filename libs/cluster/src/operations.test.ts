import type { OperationStatus } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { command, DrivenCluster, openOffers, type Stream } from './testing/driven-cluster.ts'

const statusesOf = ({ events }: Stream): readonly OperationStatus[] =>
  events.flatMap(({ update_operation_status: told }) => (told === undefined ? [] : [told.status]))

const accept = (offers: readonly object[], ...operations: readonly object[]): object => ({
  type: 'ACCEPT',
  accept: { offer_ids: offers, operations },
})

describe('an operation that reserves or makes a volume', () => {
  test.each([
    ['RESERVE', {}],
    ['UNRESERVE', {}],
    ['CREATE', {}],
    ['DESTROY', {}],
    ['GROW_VOLUME', {}],
    ['SHRINK_VOLUME', {}],
    ['CREATE_DISK', {}],
    ['DESTROY_DISK', {}],
  ])('%s is refused by its id, and launches beside it go on', (type) => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    const { agentId } = cluster.agent()
    const offers = openOffers(framework).map(({ id }) => id)
    const launched = { task_infos: [{ ...command('t'), agent_id: { value: agentId } }] }

    cluster.call(
      framework,
      accept(offers, { type, id: { value: 'o-1' } }, { type: 'LAUNCH', launch: launched }),
    )

    expect(statusesOf(framework)).toEqual([
      {
        operation_id: { value: 'o-1' },
        state: 'OPERATION_ERROR',
        message: `Invalid ${type} operation: reservations and persistent volumes are not supported by this master`,
        converted_resources: [],
      },
    ])
    expect(cluster.core.taskOf('M-0000', 't')?.state).toBe('TASK_STAGING')
  })

  test('without an id is an event alone', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    cluster.agent()

    cluster.call(
      framework,
      accept(
        openOffers(framework).map(({ id }) => id),
        { type: 'RESERVE' },
      ),
    )

    expect(statusesOf(framework)).toEqual([])
    expect(cluster.events).toContainEqual(
      expect.objectContaining({ type: 'operation.refused', operation: 'RESERVE' }),
    )
  })

  test('with offers that are no longer valid says so', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()

    cluster.call(framework, accept([{ value: 'M-O9' }], { type: 'RESERVE', id: { value: 'o-1' } }))

    expect(statusesOf(framework)[0]).toMatchObject({
      state: 'OPERATION_ERROR',
      message: 'Operation attempted with invalid offers: Offer M-O9 is no longer valid',
    })
  })
})

const asked = (cluster: DrivenCluster, framework: Stream & { frameworkId: string }, on: object) => {
  const operations = [{ operation_id: { value: 'o-1' }, ...on }]
  const answer = cluster.call(framework, {
    type: 'RECONCILE_OPERATIONS',
    reconcile_operations: { operations },
  })
  expect(answer).toEqual({ status: 202, body: '' })
  return statusesOf(framework).at(-1)
}

describe('RECONCILE_OPERATIONS', () => {
  test('tells what is known of the agent, and of the operation nothing', () => {
    const cluster = new DrivenCluster()
    const { agentId, link } = cluster.agent()
    const framework = cluster.framework('scheduler', { failover_timeout: 1000 })
    const agent_id = { value: agentId }

    expect(asked(cluster, framework, {})).toMatchObject({
      state: 'OPERATION_UNKNOWN',
      message: "Reconciliation: Operation is unknown and no 'agent_id' was provided",
    })
    expect(asked(cluster, framework, { agent_id: { value: 'M-S7' } })).toMatchObject({
      state: 'OPERATION_UNKNOWN',
      message: 'Reconciliation: Both operation and agent are unknown',
    })
    expect(asked(cluster, framework, { agent_id })).toMatchObject({
      state: 'OPERATION_UNKNOWN',
      message: 'Reconciliation: Operation is unknown',
      agent_id,
    })
    cluster.hangUp(link)
    cluster.tick(75)
    expect(asked(cluster, framework, { agent_id })).toMatchObject({
      state: 'OPERATION_UNREACHABLE',
      message: 'Reconciliation: Agent is unreachable',
    })
  })

  test('an agent of the term before has yet to come back', () => {
    const cluster = new DrivenCluster()
    const { agentId } = cluster.agent()
    cluster.restart()
    const framework = cluster.framework()

    expect(asked(cluster, framework, { agent_id: { value: agentId } })).toMatchObject({
      state: 'OPERATION_RECOVERING',
      message: 'Reconciliation: Agent is recovered but has not re-registered',
    })
  })
})

test('every framework hears of an agent that is gone', () => {
  const cluster = new DrivenCluster()
  const framework = cluster.framework()
  const { link, agentId } = cluster.agent()

  cluster.hangUp(link)
  cluster.tick(75)

  expect(framework.events).toContainEqual({
    type: 'FAILURE',
    failure: { agent_id: { value: agentId } },
  })
})

import { MasterResponse, parseMasterCall, toJson } from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import { AccessDenied } from './errors.ts'
import { OperatorService } from './operator-service.ts'
import { operatorResource } from './resources.ts'
import { ShownMessages } from './shown-messages.ts'

const cleanUp: (() => void)[] = []
afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo()
})

async function leading(): Promise<MemoryCluster> {
  const random = new SeededRandom(7)
  const identities = await firstPeople(random)
  const clock = new ManualClock(1_700_000_000_000)
  const cluster = new MemoryCluster({ masters: 1, clock, random, identities, settings: {} })
  cleanUp.push(() => cluster.leader.crash())
  await cluster.elected()
  return cluster
}

const id = { agent_id: { value: 'M-S7' } }
const machines = [{ hostname: 'a' }, { ip: '10.0.0.1' }]
const unavailability = { start: { nanoseconds: 1 } }

describe('MA45: what an operator changes', () => {
  test.each([
    ['UPDATE_WEIGHTS', { weight_infos: [{ role: 'web', weight: 2 }] }, 'web', 200],
    [
      'UPDATE_MAINTENANCE_SCHEDULE',
      { schedule: { windows: [{ machine_ids: machines, unavailability }] } },
      'a 10.0.0.1',
      200,
    ],
    ['START_MAINTENANCE', { machines }, 'a 10.0.0.1', 400],
    ['STOP_MAINTENANCE', { machines }, 'a 10.0.0.1', 400],
    ['DRAIN_AGENT', id, 'M-S7', 404],
    ['DEACTIVATE_AGENT', id, 'M-S7', 404],
    ['REACTIVATE_AGENT', id, 'M-S7', 404],
    ['SET_LOGGING_LEVEL', { level: 1, duration: { nanoseconds: 1e9 } }, '', 501],
  ])('by %s is on record first, and nobody else may', async (type, part, what, status) => {
    const cluster = await leading()
    const { actor, audit } = cluster.leader
    const name = type.toLowerCase()
    const call = parseMasterCall({ type, [name]: part })

    const answer = await cluster.settle(actor.operators.call(callerOf('root'), call))
    const refusal = await cluster.settle(actor.operators.call(callerOf('dev'), call))

    expect(answer.status).toBe(status)
    expect(refusal).toEqual({ status: 403, body: '403 Forbidden.' })
    const path = `mesos/${name}/${what}`
    expect(audit.records.filter((record) => record.path === path)).toMatchObject([
      { principal: 'root', action: 'administer', outcome: 'allowed' },
      { principal: 'dev', action: 'administer', outcome: 'denied' },
    ])
  })

  test('is kept by the leader that comes next', async () => {
    const cluster = await leading()
    const root = callerOf('root')
    const weights = { weight_infos: [{ role: 'web', weight: 2 }] }
    const call = parseMasterCall({ type: 'UPDATE_WEIGHTS', update_weights: weights })
    await cluster.settle(cluster.leader.actor.operators.call(root, call))

    const { actor } = cluster.leader
    const read = await cluster.settle(actor.operators.call(root, { type: 'GET_WEIGHTS' }))
    expect('shown' in read && read.shown.message).toMatchObject({ get_weights: weights })
  })
})

describe('MA45: how much is logged', () => {
  const set: unknown[] = []
  const access = {
    may: () => true,
    audit: async () => undefined,
    denied: async () => new AccessDenied('root', 'full', operatorResource),
  }
  const answer = { status: 501, body: 'the core was asked' }
  const core = { operator: () => answer, watch: () => undefined, legacy: () => ({}) }
  const service = new OperatorService({
    access,
    term: () => ({ core, flush: () => undefined, step: () => undefined }),
    messages: new ShownMessages({ faithfulLeaks: false } as never),
    logging: { level: 2, set: (level, durationMs) => void set.push([level, durationMs]) },
  })
  const call = (json: object) => service.call(callerOf('root'), parseMasterCall(json))
  const setTo = (level: number, nanoseconds: number) =>
    call({ type: 'SET_LOGGING_LEVEL', set_logging_level: { level, duration: { nanoseconds } } })

  test('is asked of this process, and set for a while', async () => {
    const read = await call({ type: 'GET_LOGGING_LEVEL' })
    expect('shown' in read && toJson(MasterResponse, read.shown.message)).toEqual({
      type: 'GET_LOGGING_LEVEL',
      get_logging_level: { level: 2 },
    })

    expect(await setTo(1, 60e9)).toEqual({ status: 200, body: '' })
    expect(await setTo(4, 60e9)).toMatchObject({
      status: 400,
      body: expect.stringContaining("'set_logging_level.level'"),
    })
    expect(await setTo(1, 0)).toMatchObject({
      status: 400,
      body: expect.stringContaining("'set_logging_level.duration'"),
    })
    expect(set).toEqual([[1, 60_000]])
  })
})

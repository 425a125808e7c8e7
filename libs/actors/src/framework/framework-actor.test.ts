import { describe, expect, test } from 'vitest'
import { FrameworkActor, type FrameworkEffect, type OfferSeen } from './framework-actor.ts'

const spec = (cpus: number): object => ({
  name: 'a task',
  resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: cpus } }],
  command: { shell: true, value: 'true' },
})
const run = (taskId: string, cpus = 0.1): { runId: string; taskId: string; spec: object } => ({
  runId: `run-of-${taskId}`,
  taskId,
  spec: spec(cpus),
})
const offer = (offerId: string, cpus: number): OfferSeen => ({
  offerId,
  agentId: `agent-of-${offerId}`,
  scalars: { cpus },
})

function subscribed(): FrameworkActor {
  const actor = new FrameworkActor()
  actor.step({ kind: 'subscribed', frameworkId: 'framework-1' })
  return actor
}

function waitFor(actor: FrameworkActor, ...launch: ReturnType<typeof run>[]): void {
  actor.step({ kind: 'pending', pending: { launch, kill: [] } })
}

const typesOf = (effects: readonly FrameworkEffect[]): string[] =>
  effects.map(({ call }) => call.type)

/** The tasks of every ACCEPT among `effects`: which, and on which offer. */
function launches(effects: readonly FrameworkEffect[]): [offerId: string, taskIds: string[]][] {
  return effects
    .filter(({ call }) => call.type === 'ACCEPT')
    .map(({ call }) => {
      const { offer_ids, operations } = call['accept'] as {
        offer_ids: { value: string }[]
        operations: { launch: { task_infos: { task_id: { value: string } }[] } }[]
      }
      const tasks = operations.flatMap(({ launch }) => launch.task_infos)
      return [offer_ids[0]?.value ?? '', tasks.map(({ task_id }) => task_id.value)]
    })
}

describe('a framework with something to launch', () => {
  test('FW1: asks for offers, and accepts the first with room', () => {
    const actor = subscribed()
    waitFor(actor, run('one'))
    expect(typesOf(actor.takeEffects())).toEqual(['REVIVE'])

    actor.step({ kind: 'offers', offers: [offer('small', 0.05), offer('large', 4)] })

    const effects = actor.takeEffects()
    expect(typesOf(effects)).toEqual(['DECLINE', 'ACCEPT', 'SUPPRESS'])
    expect(launches(effects)).toEqual([['large', ['one']]])
  })

  test('FW7: launches nothing on an agent that takes nothing new, unless it is for that one', () => {
    const actor = subscribed()
    const forIt = { ...run('assigned'), agentId: 'agent-of-drained' }
    const launch = [run('one'), forIt]
    actor.step({ kind: 'pending', pending: { launch, kill: [], avoid: ['agent-of-drained'] } })

    actor.step({ kind: 'offers', offers: [offer('drained', 4), offer('open', 4)] })
    expect(launches(actor.takeEffects())).toEqual([
      ['drained', ['assigned']],
      ['open', ['one']],
    ])
  })

  test('FW7: does so once it is open again', () => {
    const actor = subscribed()
    const launch = [run('one')]
    actor.step({ kind: 'pending', pending: { launch, kill: [], avoid: ['agent-of-a'] } })
    actor.step({ kind: 'offers', offers: [offer('a', 4)] })
    expect(launches(actor.takeEffects())).toEqual([])

    actor.step({ kind: 'pending', pending: { launch, kill: [] } })
    actor.step({ kind: 'offers', offers: [offer('a', 4)] })

    expect(launches(actor.takeEffects())).toEqual([['a', ['one']]])
  })

  test('sends the spec as it was submitted, with its task and its agent', () => {
    const actor = subscribed()
    waitFor(actor, run('one'))
    actor.step({ kind: 'offers', offers: [offer('o', 1)] })

    const accept = actor.takeEffects().find(({ call }) => call.type === 'ACCEPT')?.call['accept']

    expect(accept).toEqual({
      offer_ids: [{ value: 'o' }],
      operations: [
        {
          type: 'LAUNCH',
          launch: {
            task_infos: [
              { ...spec(0.1), task_id: { value: 'one' }, agent_id: { value: 'agent-of-o' } },
            ],
          },
        },
      ],
      filters: { refuse_seconds: 0 },
    })
  })

  test('FW6: launches what is for one agent there, and nowhere else', () => {
    const actor = subscribed()
    const launch = [
      { ...run('there'), agentId: 'agent-of-b' },
      { ...run('later'), agentId: 'agent-of-c' },
    ]
    actor.step({ kind: 'pending', pending: { launch, kill: [] } })
    actor.step({ kind: 'offers', offers: [offer('a', 1), offer('b', 1)] })
    expect(launches(actor.takeEffects())).toEqual([['b', ['there']]])

    const elsewhere = [{ ...run('later'), agentId: 'agent-of-d' }]
    actor.step({ kind: 'pending', pending: { launch: elsewhere, kill: [] } })
    actor.step({ kind: 'offers', offers: [offer('c', 1), offer('d', 1)] })
    expect(launches(actor.takeEffects())).toEqual([['d', ['later']]])
  })

  test('FW1: fills an offer to its last thousandth, in the order of submission', () => {
    const actor = subscribed()
    waitFor(actor, run('one'), run('two'), run('three'), run('four'))

    actor.step({ kind: 'offers', offers: [offer('o', 0.3)] })

    expect(launches(actor.takeEffects())).toEqual([['o', ['one', 'two', 'three']]])
  })

  test('FW1: launches each task once, however often it is listed', () => {
    const actor = subscribed()
    waitFor(actor, run('one'))
    actor.step({ kind: 'offers', offers: [offer('o1', 1)] })
    waitFor(actor, run('one'))
    actor.takeEffects()

    actor.step({ kind: 'offers', offers: [offer('o2', 1)] })

    expect(launches(actor.takeEffects())).toEqual([])
  })

  test('FW2: tries again after ten ticks if the task is still listed as waiting', () => {
    const actor = subscribed()
    waitFor(actor, run('one'))
    actor.step({ kind: 'offers', offers: [offer('o1', 1)] })
    actor.takeEffects()

    for (let tick = 0; tick < 10; tick++) actor.step({ kind: 'tick' })
    expect(typesOf(actor.takeEffects())).toEqual(['REVIVE'])
    actor.step({ kind: 'offers', offers: [offer('o2', 1)] })

    expect(launches(actor.takeEffects())).toEqual([['o2', ['one']]])
  })

  test('FW2: tries again at once when the offer was no longer valid', () => {
    const actor = subscribed()
    waitFor(actor, run('one'))
    actor.step({ kind: 'offers', offers: [offer('o1', 1)] })
    actor.takeEffects()

    actor.step({
      kind: 'update',
      status: {
        taskId: 'one',
        agentId: undefined,
        state: 'TASK_LOST',
        reason: 'REASON_INVALID_OFFERS',
        uuid: undefined,
      },
    })
    expect(typesOf(actor.takeEffects())).toEqual(['REVIVE'])
    actor.step({ kind: 'offers', offers: [offer('o2', 1)] })

    expect(launches(actor.takeEffects())).toEqual([['o2', ['one']]])
  })

  test('FW2: leaves alone what the master refused, until it is no longer listed', () => {
    const actor = subscribed()
    waitFor(actor, run('one'))
    actor.step({ kind: 'offers', offers: [offer('o1', 1)] })
    const reason = 'REASON_TASK_UNAUTHORIZED'
    const status = { taskId: 'one', agentId: 'a', state: 'TASK_ERROR', reason, uuid: undefined }
    actor.step({ kind: 'update', status })
    actor.takeEffects()

    for (let tick = 0; tick < 30; tick++) actor.step({ kind: 'tick' })
    waitFor(actor, run('one'))
    actor.step({ kind: 'offers', offers: [offer('o2', 1)] })

    expect(typesOf(actor.takeEffects())).toEqual(['DECLINE'])
  })

  test('forgets what is no longer listed', () => {
    const actor = subscribed()
    waitFor(actor, run('one'))
    waitFor(actor)
    actor.takeEffects()

    actor.step({ kind: 'offers', offers: [offer('o', 1)] })

    expect(typesOf(actor.takeEffects())).toEqual(['DECLINE', 'SUPPRESS'])
  })

  test('leaves a spec waiting that asks for what no offer counts', () => {
    const actor = subscribed()
    const ports = { name: 'ports', type: 'RANGES', ranges: { range: [{ begin: 1, end: 2 }] } }
    waitFor(actor, { ...run('one'), spec: { ...spec(0.1), resources: [ports] } })
    actor.takeEffects()

    actor.step({ kind: 'offers', offers: [offer('o', 1)] })

    expect(typesOf(actor.takeEffects())).toEqual(['DECLINE'])
  })
})

describe('a framework with nothing to launch', () => {
  test('FW3: gives offers back, and asks for no more, once', () => {
    const actor = subscribed()

    actor.step({ kind: 'offers', offers: [offer('o1', 1)] })
    actor.step({ kind: 'offers', offers: [offer('o2', 1)] })

    expect(typesOf(actor.takeEffects())).toEqual(['DECLINE', 'SUPPRESS', 'DECLINE'])
  })

  test('FW4: acknowledges updates that have a uuid, and no others', () => {
    const actor = subscribed()
    const status = { taskId: 't', agentId: 'a', state: 'TASK_RUNNING', reason: undefined }

    actor.step({ kind: 'update', status: { ...status, uuid: undefined } })
    actor.step({ kind: 'update', status: { ...status, uuid: 'AAAA' } })

    expect(actor.takeEffects().map(({ call }) => call)).toEqual([
      {
        type: 'ACKNOWLEDGE',
        acknowledge: { agent_id: { value: 'a' }, task_id: { value: 't' }, uuid: 'AAAA' },
      },
    ])
  })
})

describe('a task that shall end', () => {
  const kill = { kind: 'pending', pending: { launch: [], kill: [{ taskId: 'one' }] } } as const

  test('FW4: is killed once, and again after ten ticks without an end', () => {
    const actor = subscribed()
    actor.step(kill)
    actor.step(kill)
    expect(typesOf(actor.takeEffects())).toEqual(['KILL'])

    for (let tick = 0; tick < 10; tick++) actor.step({ kind: 'tick' })

    expect(typesOf(actor.takeEffects())).toEqual(['KILL'])
  })

  test('FW4: is left alone once it is no longer listed', () => {
    const actor = subscribed()
    actor.step(kill)
    waitFor(actor)
    actor.takeEffects()

    for (let tick = 0; tick < 20; tick++) actor.step({ kind: 'tick' })

    expect(actor.takeEffects()).toEqual([])
  })
})

describe('a framework whose master is gone', () => {
  test('FW5: says nothing until it is subscribed again', () => {
    const actor = subscribed()
    actor.step({ kind: 'disconnected' })

    waitFor(actor, run('one'))
    for (let tick = 0; tick < 20; tick++) actor.step({ kind: 'tick' })

    expect(actor.takeEffects()).toEqual([])
  })

  test('FW5: launches nothing by a list from before: the new leader may know more', () => {
    const actor = subscribed()
    waitFor(actor, run('one'), run('two'))
    actor.step({ kind: 'offers', offers: [offer('o1', 0.1)] })
    actor.step({ kind: 'disconnected' })
    actor.step({ kind: 'subscribed', frameworkId: 'framework-1' })
    actor.takeEffects()

    actor.step({ kind: 'offers', offers: [offer('o2', 1)] })
    expect(launches(actor.takeEffects())).toEqual([])
    waitFor(actor, run('two'))
    actor.step({ kind: 'offers', offers: [offer('o3', 1)] })

    expect(launches(actor.takeEffects())).toEqual([['o3', ['two']]])
  })
})

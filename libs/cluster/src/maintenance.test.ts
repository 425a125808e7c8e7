import { describe, expect, test } from 'vitest'
import { command, DrivenCluster, openOffers, updatesOf } from './testing/driven-cluster.ts'

const unavailability = { start: { nanoseconds: 5e18 }, duration: { nanoseconds: 1e12 } }
const machine = { hostname: 'agent-1.example' }

const schedule = (cluster: DrivenCluster, ...machine_ids: readonly object[]) =>
  cluster.operator({
    type: 'UPDATE_MAINTENANCE_SCHEDULE',
    update_maintenance_schedule: {
      schedule: { windows: machine_ids.length === 0 ? [] : [{ machine_ids, unavailability }] },
    },
  })
const start = (cluster: DrivenCluster, ...machines: readonly object[]) =>
  cluster.operator({ type: 'START_MAINTENANCE', start_maintenance: { machines } })
const stop = (cluster: DrivenCluster, ...machines: readonly object[]) =>
  cluster.operator({ type: 'STOP_MAINTENANCE', stop_maintenance: { machines } })
const done = { status: 200, body: '' }

describe('CL15: a machine that is scheduled', () => {
  test('is offered with the time when it will be away, and asked back from those who use it', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t'))
    expect(openOffers(framework)[0]?.unavailability).toBeUndefined()

    expect(schedule(cluster, machine, { ip: '10.0.0.9' })).toEqual(done)

    expect(openOffers(framework)).toHaveLength(1)
    expect(openOffers(framework)[0]?.unavailability).toEqual(unavailability)
    const asked = framework.events.flatMap((event) => event.inverse_offers?.inverse_offers ?? [])
    expect(asked).toMatchObject([
      {
        framework_id: { value: 'M-0000' },
        agent_id: { value: 'M-S0' },
        url: { address: { hostname: 'agent-1.example' } },
        unavailability,
      },
    ])
    expect(cluster.read('GET_FRAMEWORKS')).toMatchObject({
      frameworks: [{ inverse_offers: [{ id: asked[0]?.id }] }],
    })
    cluster.restart()
    expect(cluster.read('GET_MAINTENANCE_SCHEDULE')).toEqual({
      schedule: {
        windows: [{ machine_ids: [machine, { ip: '10.0.0.9' }], unavailability }],
      },
    })
    expect(cluster.read('GET_MAINTENANCE_STATUS')).toEqual({
      status: { draining_machines: [{ id: machine }, { id: { ip: '10.0.0.9' } }] },
    })
  })

  test('shows what was said to that, and asks again for as long as anything is there', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t'))
    schedule(cluster, machine)
    const asked = (): readonly string[] =>
      framework.events.flatMap((event) =>
        (event.inverse_offers?.inverse_offers ?? []).map(({ id }) => id.value),
      )
    const say = (type: string, filters: object): unknown =>
      cluster.call(framework, {
        type,
        [type.toLowerCase()]: {
          inverse_offer_ids: [{ value: 'M-O999' }, { value: asked().at(-1) }],
          filters,
        },
      })
    const status = (): unknown =>
      (
        cluster.read('GET_MAINTENANCE_STATUS') as {
          status: { draining_machines: { statuses?: { status: string }[] }[] }
        }
      ).status.draining_machines[0]?.statuses?.map((one) => one.status)
    expect(asked()).toHaveLength(1)
    cluster.tick(20)
    expect(asked()).toHaveLength(1)

    expect(say('DECLINE_INVERSE_OFFERS', { refuse_seconds: 3 })).toMatchObject({ status: 202 })
    expect(status()).toEqual(['DECLINE'])
    cluster.tick(2)
    expect(asked()).toHaveLength(1)
    cluster.tick()
    expect(asked()).toHaveLength(2)
    say('ACCEPT_INVERSE_OFFERS', { refuse_seconds: 0 })
    expect(status()).toEqual(['ACCEPT'])
    cluster.tick()
    expect(asked()).toHaveLength(3)

    schedule(cluster)
    const rescinded = framework.events.map((event) => event.rescind_inverse_offer)
    expect(rescinded).toContainEqual({ inverse_offer_id: { value: asked().at(-1) } })
    schedule(cluster, machine)
    expect(status()).toBeUndefined()
    cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_FINISHED')
    say('DECLINE_INVERSE_OFFERS', { refuse_seconds: 0 })
    const before = asked().length
    cluster.tick(3)
    expect(asked()).toHaveLength(before)
  })

  test('is not taken back from a framework that is away, but asked when it is there again', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const framework = cluster.framework('scheduler', { failover_timeout: 100 })
    cluster.launch(framework, command('t'))
    schedule(cluster, machine)
    cluster.leave(framework)
    cluster.tick(3)

    const { stream } = cluster.subscribe('scheduler', {
      id: { value: 'M-0000' },
      failover_timeout: 100,
    })
    cluster.tick()
    expect(stream.events.filter(({ type }) => type === 'INVERSE_OFFERS')).toHaveLength(1)
  })
})

describe('CL15: a machine that is taken down', () => {
  test('loses its tasks, and no agent registers on it until it is brought up again', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const { link: other } = cluster.agent('agent-2')
    const framework = cluster.framework()
    cluster.call(framework, {
      type: 'DECLINE',
      decline: {
        offer_ids: openOffers(framework)
          .slice(1)
          .map(({ id }) => id),
      },
    })
    cluster.launch(framework, command('t'))
    schedule(cluster, machine)

    expect(start(cluster, machine)).toEqual(done)

    expect(link.messages.at(-1)).toMatchObject({ type: 'shutdown' })
    expect([link.isOpen, other.isOpen]).toEqual([false, true])
    expect(updatesOf(framework).at(-1)).toMatchObject({
      state: 'TASK_LOST',
      reason: 'REASON_AGENT_REMOVED',
      message: expect.stringContaining("Operator initiated 'Machine DOWN'"),
    })
    for (const restarts of [false, true]) {
      if (restarts) cluster.restart()
      expect(cluster.read('GET_MAINTENANCE_STATUS')).toEqual({
        status: { down_machines: [machine] },
      })
      const again = cluster.link('agent-1')
      expect(cluster.register(again)).toBeUndefined()
      expect(again.messages).toMatchObject([{ type: 'shutdown' }])
    }

    expect(stop(cluster, machine)).toEqual(done)
    expect(cluster.register(cluster.link('agent-1'))).toBe('M-S2')
    expect(cluster.read('GET_MAINTENANCE_SCHEDULE')).toEqual({ schedule: {} })
    expect(cluster.read('GET_MAINTENANCE_STATUS')).toEqual({ status: {} })
  })

  test('takes no other machine along, and leaves the rest of its window', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const there = { ...machine, ip: '127.0.0.1' }
    schedule(cluster, { ...machine, ip: '10.1.1.1' }, there)
    start(cluster, { ...machine, ip: '10.1.1.1' })
    expect(link.isOpen).toBe(true)
    start(cluster, there)
    expect(link.isOpen).toBe(false)
    stop(cluster, { ...machine, ip: '10.1.1.1' })
    expect(cluster.read('GET_MAINTENANCE_SCHEDULE')).toMatchObject({
      schedule: { windows: [{ machine_ids: [there] }] },
    })
  })

  test.each([
    [
      'is in no schedule',
      (cluster: DrivenCluster) => start(cluster, { ip: '10.0.0.1' }),
      'Machine \'{"ip":"10.0.0.1"}\' is not part of a maintenance schedule',
    ],
    [
      'is down',
      (cluster: DrivenCluster) => start(cluster, machine),
      'Machine \'{"hostname":"agent-1.example"}\' is not in DRAINING mode and cannot be brought down',
    ],
    [
      'is up',
      (cluster: DrivenCluster) => stop(cluster, { hostname: 'b' }),
      'Machine \'{"hostname":"b"}\' is not in DOWN mode and cannot be brought up',
    ],
    [
      'would leave the schedule',
      (cluster: DrivenCluster) => schedule(cluster, { hostname: 'b' }),
      'Machine \'{"hostname":"agent-1.example"}\' is deactivated and cannot be removed from the schedule',
    ],
    [
      'is named twice',
      (cluster: DrivenCluster) => schedule(cluster, machine, { hostname: 'AGENT-1.example' }),
      'appears more than once in the schedule',
    ],
    [
      'has no name',
      (cluster: DrivenCluster) => schedule(cluster, {}),
      "Both 'hostname' and 'ip' for a machine are empty",
    ],
    [
      'has no IP',
      (cluster: DrivenCluster) => start(cluster, { ip: '1.2.3' }),
      "Failed to parse the IP '1.2.3'",
    ],
    ['is none', (cluster: DrivenCluster) => start(cluster), 'List of machines is empty'],
  ])('is refused when it %s', (_, call, words) => {
    const cluster = new DrivenCluster()
    schedule(cluster, machine, { hostname: 'b' })
    start(cluster, machine)
    const before = cluster.read('GET_MAINTENANCE_STATUS')

    expect(call(cluster)).toMatchObject({ status: 400, body: expect.stringContaining(words) })
    expect(cluster.read('GET_MAINTENANCE_STATUS')).toEqual(before)
  })

  test.each([
    [{ start: { nanoseconds: 1e300 } }, "Unavailability 'start' is no time"],
    [
      { start: { nanoseconds: 1 }, duration: { nanoseconds: -1 } },
      "Unavailability 'duration' is negative",
    ],
    [
      { start: { nanoseconds: 1 }, duration: { nanoseconds: 1e19 } },
      "Unavailability 'duration' is too long",
    ],
  ])('is refused with a time such as %j', (when, words) => {
    const cluster = new DrivenCluster()
    const windows = [{ machine_ids: [machine], unavailability: when }]
    const call = (of: readonly object[]) =>
      cluster.operator({
        type: 'UPDATE_MAINTENANCE_SCHEDULE',
        update_maintenance_schedule: { schedule: { windows: of } },
      })
    expect(call(windows)).toEqual({ status: 400, body: words })
    expect(call([{ machine_ids: [], unavailability }])).toMatchObject({ status: 400 })
  })

  test('and schedules are shown to operators alone', () => {
    const cluster = new DrivenCluster()
    schedule(cluster, machine)
    const stranger = { uid: 'nobody', isOperator: false }
    expect(cluster.read('GET_MAINTENANCE_SCHEDULE', stranger)).toEqual({ schedule: {} })
    expect(cluster.read('GET_MAINTENANCE_STATUS', stranger)).toEqual({ status: {} })
  })
})

import { describe, expect, test } from 'vitest'
import { command, DrivenCluster, openOffers, updatesOf } from './testing/driven-cluster.ts'

/*
 * Calls of very many parts. Were any part compared with all others, these would not end before the time
 * that a test has.
 */

const many = <T>(count: number, make: (index: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, index) => make(index))

/** Apart from each other, but for one that comes twice. */
const piece = (index: number): object => {
  const begin = 2 * (index % 49_999)
  return { name: 'ports', type: 'RANGES', ranges: { range: [{ begin, end: begin }] } }
}

describe('CL7: a call of very many parts is answered', () => {
  test.each([
    ['resources', 'Task is larger than'],
    ['amounts of one resource', 'Task is larger than'],
    ['pieces of one resource', "'ports' is invalid: its ranges or items are given twice"],
    ['volumes', "Task's `ContainerInfo` is invalid: 'volumes' are more than 1000"],
  ])('of a task with %s', (what, why) => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const framework = cluster.framework()
    const cpus = { name: 'cpus', type: 'SCALAR', scalar: { value: 0.001 } }
    const resources = {
      resources: many(50_000, (index) => ({ ...cpus, name: `r${index}` })),
      'amounts of one resource': many(50_000, () => cpus),
      'pieces of one resource': many(50_000, piece),
    }[what] ?? [cpus]
    const volumes = many(what === 'volumes' ? 200_000 : 0, (index) => {
      return { mode: 'RW', container_path: `p${index}`, host_path: '/x' }
    })
    cluster.launch(framework, {
      ...command('t'),
      resources,
      container: { type: 'MESOS', volumes },
    })

    expect(updatesOf(framework).at(-1)?.message).toContain(why)
  })

  test('of an ACCEPT with offers, a group with tasks', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const framework = cluster.framework()
    const agent_id = openOffers(framework)[0]?.agent_id
    const ids = [...many(300_000, (index) => `o${index}`), 'o7']
    const offer_ids = ids.map((value) => ({ value }))
    const launch = { type: 'LAUNCH', launch: { task_infos: [{ ...command('t'), agent_id }] } }
    cluster.call(framework, { type: 'ACCEPT', accept: { offer_ids, operations: [launch] } })

    expect(updatesOf(framework).at(-1)?.message).toBe(
      'Task launched with invalid offers: Duplicate offer o7 in offer list',
    )

    const executor = { type: 'DEFAULT', executor_id: { value: 'e' } }
    const tasks = [...many(20_000, (index) => `t${index}`), 't7'].map((id) => {
      return { ...command(id), agent_id }
    })
    const group = { type: 'LAUNCH_GROUP', launch_group: { executor, task_group: { tasks } } }
    const accept = { offer_ids: [openOffers(framework)[0]?.id], operations: [group] }
    cluster.call(framework, { type: 'ACCEPT', accept })

    expect(updatesOf(framework).at(-1)?.message).toBe(
      "Task 't7' is invalid: Task has duplicate ID: t7",
    )
  })

  test('CL15: of maintenance with machines, of which none is named twice', () => {
    const cluster = new DrivenCluster()
    const machines = many(200_000, (index) => ({ hostname: `m${index}` }))
    const window = { unavailability: { start: { nanoseconds: 5e18 } } }
    const schedule = (machine_ids: readonly object[]): object =>
      cluster.operator({
        type: 'UPDATE_MAINTENANCE_SCHEDULE',
        update_maintenance_schedule: { schedule: { windows: [{ ...window, machine_ids }] } },
      })

    expect(schedule(machines)).toMatchObject({ body: expect.stringContaining('larger than') })
    expect(schedule([...machines, { hostname: 'M7' }])).toMatchObject({
      body: expect.stringContaining('\'{"hostname":"m7"}\' appears more than once'),
    })
    expect(schedule(machines.slice(0, 5000))).toMatchObject({ status: 200 })
    const type = 'START_MAINTENANCE'
    expect(cluster.operator({ type, start_maintenance: { machines } })).toMatchObject({
      body: expect.stringContaining('\'{"hostname":"m5000"}\' is not part of'),
    })
  })
})

import { Redacted, utf8 } from '@conclave/kernel'
import { canary, expectNoLeak, ManualClock, SeededRandom } from '@conclave/testkit'
import { parseMasterCall } from '@conclave/model'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { MemoryFramework } from '../../testing/memory-framework.ts'
import { MemoryMachine } from '../../testing/memory-machine.ts'
import { MemoryScheduler } from '../../testing/memory-scheduler.ts'
import { callerOf, firstPeople } from '../../testing/people.ts'
import { revokeAll } from '../../testing/rights.ts'
import type { WorkloadTaskView, WorkloadView } from './workload-api.ts'

const root = callerOf('root')
const random = new SeededRandom(29)

let cluster: MemoryCluster
let scheduler: MemoryScheduler | undefined
let machines: MemoryMachine[]

beforeEach(async () => {
  cluster = new MemoryCluster({
    clock: new ManualClock(),
    random,
    identities: await firstPeople(random),
  })
  scheduler = undefined
  machines = ['agent-1', 'agent-2'].map((name) => new MemoryMachine(name, random))
  await cluster.elected()
})

const spec = (more: object = {}, value = 'sleep 1000', secret?: string): object => ({
  name: 'web',
  mode: { kind: 'replicated', replicas: 3 },
  restart: { delayMs: 200 },
  update: { monitorMs: 300, failureAction: 'rollback' },
  template: {
    resources: [
      { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } },
      { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
    ],
    command: {
      value,
      environment: {
        variables:
          secret === undefined
            ? []
            : [
                {
                  name: 'S',
                  type: 'SECRET',
                  secret: { type: 'REFERENCE', reference: { name: secret } },
                },
              ],
      },
    },
  },
  ...more,
})

/** Lets everybody work, whoever leads, until `isTrue`. */
async function until(isTrue: () => boolean, what = 'it'): Promise<void> {
  for (let round = 0; round < 1500; round++) {
    if (isTrue()) return
    const leader = cluster.masters.find(
      ({ isUp, actor }) => isUp && actor.status().role === 'leader' && actor.status().isReady,
    )
    if (leader !== undefined) {
      for (const machine of machines) if (!machine.isConnected) machine.connect(leader.actor)
      if (scheduler?.isClosed === true) {
        const { id } = scheduler
        scheduler = new MemoryScheduler(leader.actor, callerOf('scheduler'), id)
      }
    }
    for (const machine of machines) machine.work()
    if (round % 20 === 0) scheduler?.tick()
    await cluster.round()
  }
  const seen = await views()
  throw new Error(`${what} never came: ${JSON.stringify(seen.map(shown))}`)
}

const shown = ({ slot, state, desired, templateVersion, message }: WorkloadTaskView): string =>
  `${slot} v${templateVersion} ${state} ${desired} ${message ?? ''}`

const api = () => cluster.follower.actor.workloads
const views = (): Promise<readonly WorkloadTaskView[]> => cluster.settle(api().tasks(root))
const containers = (): readonly string[] => machines.flatMap(({ tasks }) => [...tasks.keys()])
const runningIn = ({ tasks }: MemoryMachine): number => tasks.size

async function start(more: object = {}, value?: string, secret?: string): Promise<WorkloadView> {
  const view = await cluster.settle(api().create(root, spec(more, value, secret)))
  scheduler = new MemoryScheduler(cluster.leader.actor, callerOf('scheduler'))
  await until(() => counts(view.id).running === counts(view.id).desired, 'the first tasks')
  return view
}

let latest: WorkloadView | undefined

/** What the leader's copy says, without waiting. */
function counts(id: string): WorkloadView['counts'] {
  const leader = cluster.masters.find(({ isUp, actor }) => isUp && actor.status().role === 'leader')
  if (leader === undefined) return { desired: -1, running: -2, updated: -3 }
  void leader.actor.workloads.get(root, id).then(
    (view) => (latest = view),
    () => undefined,
  )
  return latest?.id === id ? latest.counts : { desired: -1, running: -2, updated: -3 }
}

/** What runs first of all that run ends well. */
const endOne = (): void => {
  const machine = machines.find(({ tasks }) => tasks.size > 0)
  const [taskId = ''] = machine?.tasks.keys() ?? []
  machine?.end(taskId, 'TASK_FINISHED')
}

const isUpdated = (id: string, state: string) => (): boolean => {
  counts(id)
  return latest?.update?.state === state
}

describe('a workload that runs', () => {
  test('WK11: has as many tasks as are wanted, spread over the nodes, and one more after each that ends', async () => {
    const { id } = await start()
    expect(machines.map(runningIn).toSorted((a, b) => a - b)).toEqual([1, 2])

    const [taskId = ''] = containers()
    machines.find(({ tasks }) => tasks.has(taskId))?.end(taskId, 'TASK_FAILED')
    await until(() => containers().length === 3 && !containers().includes(taskId), 'a restart')

    const tasks = await views()
    expect(tasks.filter(({ state }) => state === 'failed')).toMatchObject([
      { taskId, desired: 'shutdown', workloadId: id },
    ])
    await cluster.settle(api().scale(root, id, 5))
    await until(() => containers().length === 5, 'five')
    await cluster.settle(api().scale(root, id, 1))
    await until(() => containers().length === 1, 'one')
  })

  test('WK19: follows a change at once, and only so many between two ticks', async () => {
    const { id } = await start({ mode: { kind: 'replicated', replicas: 1 } })
    const flows = async <T>(promise: Promise<T>): Promise<T> => {
      for (let turn = 0; turn < 20; turn++) await cluster.flow()
      return promise
    }
    const standing = async (): Promise<number> =>
      (await flows(api().tasks(root))).filter(({ desired }) => desired === 'running').length

    await cluster.round()
    await flows(api().scale(root, id, 3))
    expect(await standing()).toBe(3)

    for (let replicas = 4; replicas < 12; replicas++) await flows(api().scale(root, id, replicas))
    expect(await standing()).toBeLessThan(11)
    await cluster.round()
    expect(await standing()).toBe(11)
  })

  test('WK11: says in each task what it is of', async () => {
    const { id } = await start({ mode: { kind: 'replicated', replicas: 1 } })

    const [launch] = machines.flatMap(({ tasks }) => [...tasks.values()])
    expect(launch?.task.name).toBe('web.1')
    expect(launch?.task.labels?.labels).toEqual([
      { key: 'conclave.workload', value: id },
      { key: 'conclave.slot', value: '1' },
    ])
  })

  test('WK12: is updated one by one, and goes back by itself when the new ones fail', async () => {
    const { id } = await start()
    await cluster.settle(api().update(root, id, spec({}, 'sleep 2000')))
    await until(isUpdated(id, 'completed'), 'the update')
    expect(counts(id)).toEqual({ desired: 3, running: 3, updated: 3 })

    for (const machine of machines) {
      machine.onLaunch = ({ task }) => (task.command?.value === 'false' ? 'fail' : 'run')
    }
    await cluster.settle(api().update(root, id, spec({}, 'false')))
    await until(isUpdated(id, 'rollback-completed'), 'the way back')

    const commands = machines.flatMap(({ tasks }) =>
      Array.from(tasks.values(), ({ task }) => task.command?.value),
    )
    expect(commands).toEqual(['sleep 2000', 'sleep 2000', 'sleep 2000'])
    expect(latest?.update?.message).toBe('rollback completed')
    expect(latest?.templateVersion).toBe(2)
  })

  test('WK13: goes on in the middle of an update when the scheduler and then the leader are killed', async () => {
    const { id } = await start()
    await cluster.settle(api().update(root, id, spec({}, 'sleep 2000')))
    await until(() => counts(id).updated === 1, 'the first new one')
    scheduler?.kill()
    await until(() => counts(id).updated === 2, 'the second new one')
    cluster.leader.crash()
    for (const machine of machines) machine.disconnect()
    scheduler?.close()
    await until(isUpdated(id, 'completed'), 'the update')

    await until(() => containers().length === 3, 'three')
    const tasks = await views()
    const running = tasks.filter(({ state }) => state === 'running')
    expect(running.map(({ slot }) => slot)).toEqual(['1', '2', '3'])
    expect(running.map(({ templateVersion }) => templateVersion)).toEqual([2, 2, 2])
  })

  test('WK20: is a job that goes on when the leader is killed, apart from what older builds read', async () => {
    const mode = { kind: 'replicated-job', completions: 4, maxConcurrent: 2 }
    const { id } = await start({ mode })
    const { store } = cluster.leader
    expect(store.list('workloads/spec/').kvs).toEqual([])
    expect(store.list('workloads/job/').kvs.map(({ key }) => key)).toEqual([`workloads/job/${id}`])
    const completed = (count: number) => (): boolean => {
      counts(id)
      return latest?.job?.completed === count && latest.counts.running === Math.min(2, 4 - count)
    }
    endOne()
    await until(completed(1), 'the first end')

    cluster.leader.crash()
    for (const machine of machines) machine.disconnect()
    scheduler?.close()
    await until(() => machines.every(({ isConnected }) => isConnected), 'the next leader')
    latest = undefined
    for (let count = 2; count <= 4; count++) {
      await until(completed(count - 1), 'its tasks')
      endOne()
    }
    await until(completed(4), 'the last end')
    const tasks = await views()
    expect(tasks.map(({ slot, state, attempt }) => [slot, state, attempt])).toEqual(
      ['0', '1', '2', '3'].map((slot) => [slot, 'finished', 1]),
    )

    await cluster.settle(api().remove(root, id))
    await until(() => cluster.leader.store.list('workloads/').kvs.length === 0, 'no record')
  })

  test('WK14: leaves a node that is drained', async () => {
    await start()
    const { nodes } = cluster.follower.actor
    await cluster.settle(nodes.update(root, 'agent-1', { availability: 'drain' }))
    await until(() => machines.map(runningIn).join() === '0,3', 'the move')
    expect(machines.map(runningIn)).toEqual([0, 3])

    // A run of its own goes where there is room for something new, too.
    const { runs } = cluster.follower.actor
    const { template } = spec() as { template: object }
    await cluster.settle(runs.submit(root, { ...template, name: 'once' }))
    await until(() => machines.map(runningIn).join() === '0,4', 'the run')
    expect(machines.map(runningIn)).toEqual([0, 4])
  })

  test('WK14: leaves an agent that an operator of Mesos drains, and comes back when it is reactivated', async () => {
    const { id } = await start()
    const ask = (type: 'DRAIN_AGENT' | 'REACTIVATE_AGENT') => {
      const agent_id = { value: machines[0]?.agentId ?? '' }
      const call = { type, [type.toLowerCase()]: { agent_id } }
      return cluster.settle(cluster.leader.actor.operators.call(root, parseMasterCall(call)))
    }
    expect(await ask('DRAIN_AGENT')).toEqual({ status: 200, body: '' })
    await until(() => machines.map(runningIn).join() === '0,3', 'the move')

    let isBack = false
    const takeBack = async (): Promise<void> => {
      const { status } = await ask('REACTIVATE_AGENT')
      isBack ||= status === 200
    }
    await until(() => {
      if (!isBack) void takeBack()
      return isBack
    }, 'the end of the drain')
    await cluster.settle(api().scale(root, id, 6))
    await until(() => containers().length === 6, 'six')
    expect(machines.map(runningIn)).toEqual([3, 3])
  })

  test('WK11: is launched by nobody who may not, not under another agent, and not with another command', async () => {
    const { id } = await start()
    scheduler?.kill()
    scheduler = undefined
    await cluster.settle(api().scale(root, id, 4))
    let waiting: WorkloadTaskView | undefined
    const look = async (): Promise<void> => {
      const all = await cluster.leader.actor.workloads.tasks(root)
      waiting = all.find(({ state }) => state === 'assigned')
    }
    await until(() => {
      void look()
      return waiting !== undefined
    }, 'a task that waits')

    const other = waiting?.nodeName === 'agent-1' ? 'agent-2' : 'agent-1'
    const agentOf = (name = ''): string =>
      machines.find((machine) => machine.name === name)?.agentId ?? ''
    const spoof = async (uid: string, on: string): Promise<number> => {
      const framework = new MemoryFramework(cluster.leader.actor, callerOf(uid))
      framework.subscribe()
      await until(() => framework.offers.some((one) => one.agent_id.value === on), 'an offer')
      const offer = framework.offers.findLast((one) => one.agent_id.value === on)
      const { resources, command } = (
        spec({}, 'cat secret') as { template: Record<string, unknown> }
      ).template
      const task = {
        name: 'mine',
        task_id: { value: waiting?.taskId },
        agent_id: offer?.agent_id,
        resources,
        command,
      }
      const accept = {
        offer_ids: [offer?.id],
        operations: [{ type: 'LAUNCH', launch: { task_infos: [task] } }],
      }
      const { status } = framework.call({ type: 'ACCEPT', accept })
      cluster.leader.actor.frameworks.disconnected(framework)
      return status
    }

    expect(await spoof('root', agentOf(other))).toBe(409)
    expect(await spoof('root', agentOf(waiting?.nodeName))).toBe(202)
    await until(() => containers().includes(waiting?.taskId ?? ''), 'the launch')
    const launched = machines.flatMap(({ tasks }) => [...tasks.values()])
    const [mine] = launched.filter(({ task }) => task.task_id.value === waiting?.taskId)
    expect(mine?.task.command?.value).toBe('sleep 1000')
  })

  test('WK15: ends what runs for it and is on no record', async () => {
    await start({ mode: { kind: 'replicated', replicas: 1 } })
    const [taskId = ''] = containers()
    const { store, replica } = cluster.leader
    const { kvs } = store.list('workloads/', { keysOnly: true })
    const success = kvs.map(({ key }) => ({ do: 'delete', key }) as const)
    await cluster.settle(replica.propose({ compare: [], success }))
    // Whoever leads next looks at everything.
    cluster.leader.crash()
    for (const machine of machines) machine.disconnect()
    scheduler?.close()
    await until(() => !containers().includes(taskId), 'its end')
    expect(containers()).toEqual([])
  })

  test('WK15: leaves nothing once it is removed', async () => {
    const { id } = await start()
    await cluster.settle(api().update(root, id, spec({}, 'sleep 2000')))
    await cluster.settle(api().remove(root, id))
    await until(() => containers().length === 0, 'the end')
    const left = (): readonly unknown[] => cluster.leader.store.list('workloads/').kvs
    await until(() => left().length === 0, 'no record')
    expect(left()).toEqual([])
  })

  test('WK14: shows no value of a secret that its tasks have, in any record, event or answer', async () => {
    const value = canary('workload')
    const bytes = { kind: 'text' as const, bytes: new Redacted(utf8(value.text)) }
    await cluster.settle(cluster.follower.actor.secrets.create(root, 'dev/db', bytes))
    const { id } = await start({}, undefined, 'dev/db')
    await cluster.settle(api().update(root, id, spec({}, 'sleep 2000', 'dev/db')))
    await until(isUpdated(id, 'completed'), 'the update')

    const { store, audit, journal } = cluster.leader
    const records = store.list('').kvs.map(({ value: record }) => record)
    const places = { audit: audit.records, answers: [latest, await views()] }
    expectNoLeak(places, [value])
    const kept = [...records, ...journal]
    expect(kept.length).toBeGreaterThan(20)
    for (const one of kept) expectNoLeak({ one }, [value])
  })

  test('WK16: has its owner’s rights and no others: its tasks are refused once those are gone', async () => {
    const bytes = { kind: 'text' as const, bytes: new Redacted(utf8('s')) }
    await cluster.settle(cluster.follower.actor.secrets.create(root, 'dev/db', bytes))
    const dev = callerOf('dev')
    await cluster.settle(api().create(dev, spec({}, undefined, 'dev/db')))
    scheduler = new MemoryScheduler(cluster.leader.actor, callerOf('scheduler'))
    await until(() => containers().length === 3, 'three')

    await revokeAll(cluster, 'dcos:secrets:default:/dev/*')
    const [taskId = ''] = containers()
    machines.find(({ tasks }) => tasks.has(taskId))?.end(taskId, 'TASK_FAILED')
    let refused: WorkloadTaskView | undefined
    const look = async (): Promise<void> => {
      const tasks = await cluster.leader.actor.workloads.tasks(root)
      refused = tasks.find(({ state }) => state === 'rejected')
    }
    await until(() => {
      void look()
      return refused !== undefined
    }, 'a refusal')
    expect(refused?.reason).toBe('REASON_TASK_UNAUTHORIZED')
  })
})

import { isTerminal, type Grant, type Offer, type Resource, type TaskState } from '@conclave/model'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ClusterCore } from './cluster-core.ts'
import type { ClusterEffect } from './effect.ts'
import {
  agentKey,
  allGrantsIn,
  frameworkKey,
  readTask,
  taskIn,
  taskKey,
  type RecordReader,
  type TaskRecord,
} from './records.ts'
import { isHolding } from './tasks.ts'
import {
  command,
  DrivenCluster,
  frameworkIdOf,
  ports,
  referring,
  scalar,
  type Stream,
} from './testing/driven-cluster.ts'
import { SimAgent } from './testing/sim-agent.ts'

/*
 * Whatever happens in whatever order, the numbered rules of the README hold. The history is random,
 * the world is the one of `DrivenCluster`, and the rules are checked from outside, on what was
 * committed and sent.
 */

type Step = { readonly act: string; readonly who: number; readonly how: number }

/** How often each act comes, among the others. */
const weights = {
  connect: 4,
  disconnect: 1,
  die: 1,
  report: 14,
  repeat: 2,
  subscribe: 4,
  leave: 1,
  teardown: 1,
  launch: 12,
  decline: 1,
  revive: 2,
  suppress: 1,
  acknowledge: 10,
  'stale-acknowledge': 2,
  reconcile: 1,
  kill: 2,
  tick: 4,
  ages: 1,
  'new-term': 1,
  operate: 2,
}
const acts = Object.entries(weights).flatMap(([act, weight]) =>
  Array.from({ length: weight }, () => act),
)

const everybody = [0, 1, 2]
/** Everybody is there at first; what comes then is chance. */
const opening = ['connect', 'subscribe'].flatMap((act) =>
  everybody.map((who): Step => ({ act, who, how: 0 })),
)

const history = fc
  .array(
    fc.record({
      act: fc.constantFrom(...acts),
      who: fc.nat({ max: 2 }),
      how: fc.nat({ max: 1000 }),
    }),
    { minLength: 40, maxLength: 160, size: 'max' },
  )
  .map((steps): readonly Step[] => [...opening, ...steps])

const reported: readonly TaskState[] = [
  'TASK_STARTING',
  'TASK_RUNNING',
  'TASK_RUNNING',
  'TASK_KILLING',
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_LOST',
  'TASK_STAGING',
  'TASK_UNREACHABLE',
]

const frameworkInfos: readonly object[] = [
  { failover_timeout: 20 },
  {
    failover_timeout: 100,
    capabilities: [{ type: 'PARTITION_AWARE' }, { type: 'MULTI_ROLE' }],
    roles: ['a', 'b'],
  },
  { failover_timeout: 0, capabilities: [{ type: 'TASK_KILLING_STATE' }] },
]

/** A history being played: three machines, three schedulers, and what they remember. */
class Play {
  readonly cluster = new DrivenCluster({
    agentTimeoutTicks: 10,
    failoverTicksMin: 15,
    completedTasksMax: 5,
    completedFrameworksMax: 2,
    unreachableAgentsMax: 1,
    pendingStatusesMax: 4,
    offerTimeoutTicks: 30,
  })
  readonly agents = ['m-0', 'm-1', 'm-2'].map((name) => new SimAgent(this.cluster, name))
  readonly #streams: (Stream | undefined)[] = [undefined, undefined, undefined]
  readonly #ids: (string | undefined)[] = [undefined, undefined, undefined]
  #tasks = 0

  play({ act, who, how }: Step): void {
    const agent = this.agents[who]
    const stream = this.#streamOf(who)
    for (const each of this.agents) each.listen()
    if (act === 'connect') agent?.connect()
    else if (act === 'disconnect') agent?.disconnect()
    else if (act === 'die') agent?.die({ losesDirectory: how % 2 === 0 })
    else if (act === 'report') agent?.report(how, reported[how % reported.length] ?? 'TASK_RUNNING')
    else if (act === 'repeat') agent?.repeat()
    else if (act === 'subscribe') this.#subscribe(who)
    else if (act === 'tick') this.cluster.tick()
    else if (act === 'ages') this.cluster.tick(12)
    else if (act === 'new-term') this.cluster.restart()
    else if (act === 'operate') this.#operate(who, how)
    else if (stream !== undefined) this.#asFramework(stream, act, how)
  }

  #streamOf(who: number): (Stream & { frameworkId: string }) | undefined {
    const stream = this.#streams[who]
    if (stream?.isOpen !== true) return undefined
    return Object.assign(stream, { frameworkId: frameworkIdOf(stream) })
  }

  #subscribe(who: number): void {
    const id = this.#ids[who]
    const info = { ...frameworkInfos[who], ...(id === undefined ? {} : { id: { value: id } }) }
    const { stream } = this.cluster.subscribe(`scheduler-${who}`, info)
    const isRefused = stream.events.some(({ type }) => type === 'ERROR')
    this.#streams[who] = isRefused ? undefined : stream
    this.#ids[who] = isRefused ? undefined : frameworkIdOf(stream)
  }

  /** What an operator may do to machines, agents and roles. */
  #operate(who: number, how: number): void {
    const all = this.cluster.core.agents()
    const value = all[how % Math.max(1, all.length)]?.agentId ?? 'M-S0'
    const machine_ids = [{ hostname: `m-${who}.example` }]
    const unavailability = { start: { nanoseconds: how } }
    const windows = how % 3 === 0 ? [] : [{ machine_ids, unavailability }]
    const calls: readonly object[] = [
      { type: 'DRAIN_AGENT', drain_agent: { agent_id: { value }, mark_gone: how % 2 === 0 } },
      { type: 'DEACTIVATE_AGENT', deactivate_agent: { agent_id: { value } } },
      { type: 'REACTIVATE_AGENT', reactivate_agent: { agent_id: { value } } },
      { type: 'REACTIVATE_AGENT', reactivate_agent: { agent_id: { value } } },
      {
        type: 'UPDATE_MAINTENANCE_SCHEDULE',
        update_maintenance_schedule: { schedule: { windows } },
      },
      { type: 'START_MAINTENANCE', start_maintenance: { machines: machine_ids } },
      { type: 'STOP_MAINTENANCE', stop_maintenance: { machines: machine_ids } },
      {
        type: 'UPDATE_WEIGHTS',
        update_weights: { weight_infos: [{ role: 'a', weight: 1 + (how % 5) }] },
      },
    ]
    const call = calls[how % calls.length]
    if (call !== undefined) this.cluster.operator(call)
  }

  #offerTo({ frameworkId }: Stream & { frameworkId: string }): Offer | undefined {
    const { frameworks } = this.cluster.read('GET_FRAMEWORKS') as {
      frameworks: readonly { framework_info: { id: { value: string } }; offers: readonly Offer[] }[]
    }
    return frameworks.find(({ framework_info: { id } }) => id.value === frameworkId)?.offers[0]
  }

  #asFramework(stream: Stream & { frameworkId: string }, act: string, how: number): void {
    const past = stream.events.flatMap((event) => event.offers?.offers ?? [])
    const offer = how % 10 === 0 ? past[how % Math.max(1, past.length)] : this.#offerTo(stream)
    const statuses = stream.events.flatMap(({ update }) =>
      update === undefined ? [] : [update.status],
    )
    const status =
      act === 'acknowledge' ? statuses.at(-1) : statuses[how % Math.max(1, statuses.length)]
    const tasks = this.cluster.core
      .tasks()
      .filter(({ frameworkId }) => frameworkId === stream.frameworkId)
    const task = tasks[how % Math.max(1, tasks.length)]
    if (act === 'leave') this.cluster.leave(stream)
    else if (act === 'teardown' && how % 4 === 0) this.cluster.call(stream, { type: 'TEARDOWN' })
    else if (act === 'revive') this.cluster.call(stream, { type: 'REVIVE' })
    else if (act === 'suppress') this.cluster.call(stream, { type: 'SUPPRESS' })
    else if (act === 'reconcile') this.cluster.call(stream, { type: 'RECONCILE', reconcile: {} })
    else if (act === 'decline' && offer !== undefined) {
      const decline = { offer_ids: [offer.id], filters: { refuse_seconds: how % 9 } }
      this.cluster.call(stream, { type: 'DECLINE', decline })
    } else if (act === 'kill' && task !== undefined) {
      this.cluster.call(stream, { type: 'KILL', kill: { task_id: { value: task.taskId } } })
    } else if (act.endsWith('acknowledge') && status?.uuid !== undefined) {
      this.cluster.acknowledge(stream, status)
    } else if (act === 'launch' && offer !== undefined) {
      const pending = tasks.find((one) => isHolding(one))
      const wanted = Array.from({ length: 1 + (how % 3) }, (_, index) =>
        command(how % 17 === 0 && pending !== undefined ? pending.taskId : `t-${this.#tasks++}`, {
          agent_id: offer.agent_id,
          resources: [
            scalar('cpus', ((how + index) % 30) / 10),
            scalar('mem', 100),
            ...(how % 5 === 0 ? [ports(31_000 + index, 31_001 + index)] : []),
          ],
          ...(how % 2 === 0 ? referring(`dev/s-${how % 3}`, 'dev/shared') : {}),
        }),
      )
      const isGroup = how % 7 === 0
      const operation = isGroup
        ? {
            type: 'LAUNCH_GROUP',
            launch_group: {
              executor: {
                type: 'DEFAULT',
                executor_id: { value: `e-${how}` },
                resources: [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 1)],
              },
              task_group: { tasks: wanted },
            },
          }
        : { type: 'LAUNCH', launch: { task_infos: wanted } }
      const accept = {
        offer_ids: [offer.id],
        operations: [operation],
        filters: { refuse_seconds: how % 3 },
      }
      this.cluster.call(stream, { type: 'ACCEPT', accept })
    }
  }
}

const readerOf = (records: ReadonlyMap<string, Uint8Array>): RecordReader => ({
  get(key) {
    const value = records.get(key)
    return value === undefined ? undefined : { value }
  },
  list: (prefix) =>
    [...records].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => ({ key, value })),
})

/** CL5: what is said before the store knows it. */
function saidTooEarly(effects: readonly ClusterEffect[]): readonly ClusterEffect[] {
  const keys = new Set<string>()
  const tasks = new Map<string, TaskRecord>()
  const isKnown = (effect: ClusterEffect): boolean => {
    if (effect.do === 'send-agent') {
      const { message } = effect
      if (message.type === 'registered') return keys.has(agentKey(message.agentId))
      if (message.type !== 'launch') return true
      const record = tasks.get(taskKey(message.frameworkId, message.task.task_id.value))
      return record?.containerId === message.containerId && record.state === 'TASK_STAGING'
    }
    if (effect.do !== 'send-framework') return true
    const { subscribed, update } = effect.event
    if (subscribed !== undefined) return keys.has(frameworkKey(subscribed.framework_id.value))
    if (update?.status.uuid === undefined) return true
    const { task_id: id, uuid } = update.status
    return tasks
      .values()
      .some(({ taskId, pending }) => taskId === id.value && pending[0]?.uuid === uuid)
  }
  return effects.filter((effect) => {
    if (effect.do !== 'commit') return !isKnown(effect)
    for (const { key, value } of effect.changes) {
      if (value === undefined) keys.delete(key)
      else keys.add(key)
      if (!key.startsWith('cluster/tasks/')) continue
      if (value === undefined) tasks.delete(key)
      else tasks.set(key, readTask(key, value))
    }
    return false
  })
}

interface Heard {
  readonly state: TaskState
  readonly uuid: string | undefined
}

/** What was heard of each task, without answers to questions, refusals and repetitions. */
function heardIn(effects: readonly ClusterEffect[]): ReadonlyMap<string, readonly Heard[]> {
  const heard = new Map<string, readonly Heard[]>()
  for (const effect of effects) {
    const status = effect.do === 'send-framework' ? effect.event.update?.status : undefined
    if (status === undefined || unrelated.has(status.reason ?? '')) continue
    const { task_id: id, state, uuid } = status
    const before = heard.get(id.value) ?? []
    const last = before.at(-1)
    const isRepeated = uuid === undefined ? last?.state === state : last?.uuid === uuid
    if (!isRepeated) heard.set(id.value, [...before, { state, uuid }])
  }
  return heard
}
const unrelated = new Set([
  'REASON_RECONCILIATION',
  'REASON_INVALID_OFFERS',
  'REASON_TASK_INVALID',
  'REASON_TASK_GROUP_INVALID',
])

/** CL2 and CL4: tasks that went on after their end, and statuses that came back after others. */
function outOfOrder(effects: readonly ClusterEffect[]): readonly (readonly Heard[])[] {
  return [...heardIn(effects).values()].filter((statuses) => {
    const uuids = statuses.flatMap(({ uuid }) => uuid ?? [])
    const end = statuses.findIndex(({ state }) => isTerminal(state))
    return new Set(uuids).size < uuids.length || (end >= 0 && end < statuses.length - 1)
  })
}

interface AgentJson {
  readonly agent_info: { readonly id: { readonly value: string } }
  readonly total_resources: readonly Resource[]
  readonly allocated_resources: readonly Resource[]
  readonly offered_resources: readonly Resource[]
}

const sum = (resources: readonly Resource[], wanted: string): number =>
  resources
    .filter(({ name }) => name === wanted)
    .flatMap(({ scalar: one, ranges }) => [
      one?.value ?? 0,
      ...(ranges?.range ?? []).map(({ begin, end }) => end - begin + 1),
    ])
    .reduce((all, amount) => all + amount, 0)

/** CL1: the machines of which more is used and offered than there is. */
function promisedTwice(cluster: DrivenCluster): readonly string[] {
  const { agents } = cluster.read('GET_AGENTS') as { agents: readonly AgentJson[] }
  return agents.flatMap((agent) =>
    ['cpus', 'mem', 'ports']
      .filter((name) => {
        const promised = sum([...agent.allocated_resources, ...agent.offered_resources], name)
        return promised > sum(agent.total_resources, name) + 1e-9
      })
      .map((name) => `${name} of ${agent.agent_info.id.value}`),
  )
}

/** CL9: grants that stand although their task holds nothing, and grants of no task. */
const strayGrants = (cluster: DrivenCluster): readonly Grant[] => {
  const reader = readerOf(cluster.records)
  return allGrantsIn(reader).filter(({ frameworkId, taskId, revokedAtMs }) => {
    const task = taskIn(reader, frameworkId, taskId)
    return task === undefined || (revokedAtMs === undefined && !isHolding(task))
  })
}

/** CL4: tasks in whose line one status stands twice. */
const repeatedInLine = (cluster: DrivenCluster): readonly TaskRecord[] =>
  cluster.core.tasks().filter(({ pending }) => {
    const uuids = pending.flatMap(({ uuid }) => uuid ?? [])
    return new Set(uuids).size < uuids.length
  })

const byId = <T>(items: readonly T[], idOf: (item: T) => string): Record<string, T> =>
  Object.fromEntries(items.map((item) => [idOf(item), item]))

const settings = ['GET_WEIGHTS', 'GET_MAINTENANCE_SCHEDULE'] as const

const readBy = (core: ClusterCore, type: (typeof settings)[number]): unknown =>
  core.operator({ uid: 'operator', isOperator: true }, { type })

/** CL6: all that is known, whoever knows it. */
const knownTo = (core: ClusterCore): object => ({
  tasks: byId(core.tasks(), ({ frameworkId, taskId }) => `${frameworkId}/${taskId}`),
  agents: byId(core.agents(), ({ agentId }) => agentId),
  frameworks: byId(core.frameworks(), ({ frameworkId }) => frameworkId),
  ...Object.fromEntries(settings.map((type) => [type, readBy(core, type)])),
})

const nextLeader = (cluster: DrivenCluster): ClusterCore =>
  new ClusterCore({
    clusterId: 'M',
    masterInfo: { id: 'm-2', ip: 0, port: 5050, capabilities: [] },
    records: Array.from(cluster.records, ([key, value]) => ({ key, value })),
    surroundings: {
      nowMs: () => cluster.nowMs,
      uuid: () => 'unused',
      secretVersion: () => null,
      show: () => ({}),
      mayRead: () => true,
    },
  })

test('C2, CL1 to CL9 hold in every history of calls, messages, disconnections, ticks and terms', () => {
  fc.assert(
    fc.property(history, (steps) => {
      const world = new Play()
      for (const [index, step] of steps.entries()) {
        world.play(step)
        // Reading every record back is slow, and what went wrong stays wrong.
        const stray = index % 8 === 0 ? strayGrants(world.cluster) : []
        expect(stray).toEqual([])
        expect(promisedTwice(world.cluster)).toEqual([])
        expect(repeatedInLine(world.cluster)).toEqual([])
      }
      expect(strayGrants(world.cluster)).toEqual([])
      expect(saidTooEarly(world.cluster.effects)).toEqual([])
      expect(outOfOrder(world.cluster.effects)).toEqual([])
      expect(knownTo(nextLeader(world.cluster))).toEqual(knownTo(world.cluster.core))
    }),
    { numRuns: 60 },
  )
}, 60_000)

test('D1: the same history leads to the same effects, byte for byte', () => {
  fc.assert(
    fc.property(history, (steps) => {
      const effectsOf = (): string => {
        const world = new Play()
        for (const step of steps) world.play(step)
        return JSON.stringify(world.cluster.effects, (_, value: unknown) =>
          value instanceof Uint8Array ? Buffer.from(value).toString() : value,
        )
      }
      expect(effectsOf()).toBe(effectsOf())
    }),
    { numRuns: 20 },
  )
})

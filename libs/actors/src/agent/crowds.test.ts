import { AgentInfo, CommandInfo, parseExecutorCall, parseOurs, ToAgent } from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { AgentActor } from './agent-actor.ts'
import type { AgentEffect } from './agent-effect.ts'

/*
 * Agents with very many containers. Were any of them compared with all others, these would not end before the
 * time that a test has.
 */

const many = <T>(count: number, make: (index: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, index) => make(index))

/** An agent whose machine does all it is told, and forgets it. */
class Stage {
  readonly actor = new AgentActor({
    agentId: 'S0',
    info: parseOurs(AgentInfo, { hostname: 'box', resources: [] }),
    runtime: 'memory',
    ipAddress: '10.0.0.7',
    clock: new ManualClock(),
    random: new SeededRandom(5),
    onWork: () => this.#work(),
  })
  ended = 0

  constructor() {
    this.tell({ kind: 'connected' })
    this.master({ type: 'registered', agentId: 'S0', heartbeatSeconds: 2 })
  }

  tell(input: Parameters<AgentActor['step']>[0]): void {
    this.actor.step(input)
    this.#work()
  }

  master(message: unknown): void {
    this.tell({ kind: 'message', message: ToAgent.parse(message) })
  }

  #work(): void {
    for (;;) {
      const effects = this.actor.takeEffects()
      if (effects.length === 0) return
      for (const effect of effects) this.#carryOut(effect)
    }
  }

  #carryOut(effect: AgentEffect): void {
    switch (effect.do) {
      case 'prepare':
        return this.actor.step({ kind: 'prepared', containerId: effect.spec.containerId })
      case 'start':
        return this.actor.step({ kind: 'started', containerId: effect.containerId })
      case 'destroy': {
        const { containerId } = effect
        this.ended++
        this.actor.step({ kind: 'exited', containerId, exit: { exitCode: 137, signal: 'KILL' } })
        return this.actor.step({ kind: 'destroyed', containerId })
      }
      default:
    }
  }
}

const task = (id: string) => ({
  name: id,
  task_id: { value: id },
  agent_id: { value: 'S0' },
  resources: [],
})
const ids = { framework_id: { value: 'f1' }, executor_id: { value: 'e1' } }
const count = 20_000

describe('AG36: an agent with very many', { timeout: 60_000 }, () => {
  test('containers in one executor begins and ends them all, the place they are in last', () => {
    const stage = new Stage()
    stage.master({
      type: 'launch-group',
      frameworkId: 'f1',
      executor: { type: 'DEFAULT', executor_id: { value: 'e1' } },
      tasks: many(count, (index) => ({
        containerId: `c${index}`,
        task: { ...task(`t${index}`), command: { value: 'x' } },
      })),
    })
    expect(stage.actor.containerCount).toBe(count + 1)
    const [executor] = stage.actor.api.view().executors
    expect(executor?.tasks).toHaveLength(count)

    stage.master({ type: 'shutdown', why: 'over' })

    expect([stage.actor.containerCount, stage.ended]).toEqual([0, count + 1])
  })

  test('tasks of one executor tells it of all, in one piece, and hears of each', () => {
    const stage = new Stage()
    stage.master({
      type: 'launch-group',
      frameworkId: 'f1',
      executor: { type: 'CUSTOM', executor_id: { value: 'e1' }, command: { value: 'x' } },
      tasks: many(count, (index) => ({ containerId: `c${index}`, task: task(`t${index}`) })),
    })
    const told: string[] = []
    const connection = {
      send: ({ type, launch_group: group }: { type: string; launch_group?: unknown }) => {
        const { task_group } = (group ?? { task_group: { tasks: [] } }) as {
          task_group: { tasks: readonly object[] }
        }
        told.push(`${type} ${task_group.tasks.length}`)
      },
      close: () => undefined,
    }
    const { api } = stage.actor
    api.executorCall(
      undefined,
      parseExecutorCall({ ...ids, type: 'SUBSCRIBE', subscribe: {} }),
      connection,
    )
    for (let index = 0; index < count; index++) {
      const uuid = Buffer.alloc(16, 0x80)
      uuid.writeUInt32BE(index)
      uuid[6] = 0x40
      const status = {
        task_id: { value: `t${index}` },
        state: 'TASK_RUNNING',
        source: 'SOURCE_EXECUTOR',
        uuid: uuid.toString('base64'),
      }
      api.executorCall(
        undefined,
        parseExecutorCall({ ...ids, type: 'UPDATE', update: { status } }),
        undefined,
      )
    }

    expect(told).toEqual(['SUBSCRIBED 0', `LAUNCH_GROUP ${count}`])
    const [executor] = stage.actor.api.view().executors
    expect(executor?.tasks.filter(({ state }) => state === 'TASK_RUNNING')).toHaveLength(count)
  })

  test('executors finds each by its name, and ends them all', () => {
    const stage = new Stage()
    for (let index = 0; index < count; index++) {
      stage.master({
        type: 'launch',
        frameworkId: 'f1',
        containerId: `c${index}`,
        task: {
          ...task(`t${index}`),
          executor: { executor_id: { value: `e${index}` }, command: { value: 'x' } },
        },
      })
    }
    expect(stage.actor.api.view().executors).toHaveLength(count)

    stage.master({ type: 'shutdown', why: 'over' })

    expect(stage.actor.containerCount).toBe(0)
    expect(stage.actor.api.view().executors).toEqual([])
  })
})

describe('AG32: a container has as many secrets as a task may have, and no more', () => {
  const secret = { type: 'VALUE', value: { data: 'dg==' } }
  const variable = (_: unknown, index: number) => ({
    name: `A${index}`,
    type: 'SECRET',
    secret,
  })
  const uri = () => ({ value: 'http://h/x', secrets: { authorization: secret } })

  test.each([
    ['variables', 257, 0],
    ['URIs', 0, 257],
    ['both', 200, 57],
  ])('%s', async (_what, variables, uris) => {
    const stage = new Stage()
    const launch = (name: string, left: number) => {
      const parts = {
        environment: { variables: Array.from({ length: variables }, variable).slice(left) },
        uris: Array.from({ length: uris }, uri).slice(variables === 0 ? left : 0),
      }
      const command = parseOurs(CommandInfo, { value: 'x', ...parts })
      return stage.actor.api.launch({ name, command, container: undefined })
    }

    const why = 'Container uses 257 secrets, more than the 256 it may'
    expect(await launch('c1', 0)).toEqual({ outcome: 'failed', why })
    expect(await launch('c2', 1)).toEqual({ outcome: 'launched' })
  })
})

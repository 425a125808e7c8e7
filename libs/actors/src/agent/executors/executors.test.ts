import { readExecutorToken } from '@conclave/crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import {
  AgentInfo,
  parseExecutorCall,
  parseOurs,
  ToAgent,
  type ExecutorEvent,
  type FromAgent,
  type TaskStatus,
} from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { AgentActor } from '../agent-actor.ts'
import type { AgentActorOptions } from '../agent-options.ts'
import type { AgentEffect } from '../agent-effect.ts'

const key = new Redacted(utf8('a key of this test'))
const info = parseOurs(AgentInfo, { hostname: 'box', resources: [] })

/** An agent with executors, and a test in the place of master, machine and executor. */
class Stage {
  readonly effects: AgentEffect[] = []
  readonly heard: ExecutorEvent[] = []
  readonly actor: AgentActor
  closed = 0

  constructor(options: Partial<AgentActorOptions> = {}) {
    this.actor = new AgentActor({
      agentId: undefined,
      info,
      runtime: 'memory',
      ipAddress: '10.0.0.7',
      clock: new ManualClock(),
      random: new SeededRandom(7),
      limits: { tickMs: 100 },
      executorTokenKey: key,
      onWork: () => this.#take(),
      ...options,
    })
    this.tell({ kind: 'connected' })
    this.master({ type: 'registered', agentId: 'M-S0', heartbeatSeconds: 2 })
  }

  #take(): void {
    this.effects.push(...this.actor.takeEffects())
  }

  tell(input: Parameters<AgentActor['step']>[0]): this {
    this.actor.step(input)
    this.#take()
    return this
  }

  master(message: unknown): this {
    return this.tell({ kind: 'message', message: ToAgent.parse(message) })
  }

  ticks(count: number): this {
    for (let tick = 0; tick < count; tick++) this.tell({ kind: 'tick' })
    return this
  }

  launch(taskId = 't1', executorId = 'e1', more: object = {}): this {
    return this.master({
      type: 'launch',
      frameworkId: 'f1',
      framework: { user: 'root', name: 'fw' },
      containerId: `c-${taskId}`,
      task: { ...task(taskId), executor: executor(executorId), ...more },
    })
  }

  group(executorId: string, ...tasks: readonly object[]): this {
    return this.master({
      type: 'launch-group',
      frameworkId: 'f1',
      executor: { type: 'DEFAULT', executor_id: { value: executorId } },
      tasks: tasks.map((one) => ({
        containerId: `c-${(one as { name: string }).name}`,
        task: one,
      })),
    })
  }

  running(containerId: string): this {
    return this.tell({ kind: 'prepared', containerId }).tell({ kind: 'started', containerId })
  }

  ended(containerId: string, exitCode = 0): this {
    return this.tell({ kind: 'exited', containerId, exit: { exitCode } }).destroyed(containerId)
  }

  destroyed(containerId: string): this {
    return this.tell({ kind: 'destroyed', containerId })
  }

  readonly connection = {
    send: (event: ExecutorEvent) => this.heard.push(event),
    close: () => {
      this.closed++
    },
  }

  call(json: object, claims?: Readonly<Record<string, string>>, executorId = 'e1') {
    const call = parseExecutorCall({
      framework_id: { value: 'f1' },
      executor_id: { value: executorId },
      ...json,
    })
    const principal = claims && { claims }
    const connection = call.type === 'SUBSCRIBE' ? this.connection : undefined
    return this.actor.api.executorCall(principal, call, connection)
  }

  subscribe() {
    return this.call({ type: 'SUBSCRIBE', subscribe: {} }, own)
  }

  update(taskId: string, state: string, uuid = 'EjRWeBI0QjSSNBI0VniQqw==') {
    const status = { task_id: { value: taskId }, state, source: 'SOURCE_EXECUTOR', uuid }
    return this.call({ type: 'UPDATE', update: { status } }, own)
  }

  done<Do extends AgentEffect['do']>(kind: Do): readonly Extract<AgentEffect, { do: Do }>[] {
    return this.effects.filter(
      (effect): effect is Extract<AgentEffect, { do: Do }> => effect.do === kind,
    )
  }

  said<T extends FromAgent['type']>(type: T): readonly Extract<FromAgent, { type: T }>[] {
    return this.done('send')
      .map(({ message }) => message)
      .filter((message): message is Extract<FromAgent, { type: T }> => message.type === type)
  }

  statuses(taskId: string): readonly TaskStatus[] {
    return this.said('status-update')
      .map(({ status }) => status)
      .filter(({ task_id: id }) => id.value === taskId)
  }

  last(taskId: string): TaskStatus | undefined {
    return this.statuses(taskId).at(-1)
  }

  acknowledge(taskId: string): this {
    const uuid = this.last(taskId)?.uuid
    return this.master({ type: 'status-acknowledged', frameworkId: 'f1', taskId, uuid })
  }

  events(type: string): readonly object[] {
    return this.said('events').flatMap(({ events }) =>
      (events as { type: string }[]).filter((event) => event.type === type),
    )
  }

  environment(containerId: string): Readonly<Record<string, unknown>> {
    const plan = this.done('prepare').find(({ spec }) => spec.containerId === containerId)?.plan
    const set = (plan ?? []).flatMap((step) =>
      step.do === 'set-env' ? [[step.name, step.value]] : [],
    )
    return Object.fromEntries(set) as Readonly<Record<string, unknown>>
  }
}

const own = { fid: 'f1', eid: 'e1', cid: 'c-t1' }

const task = (id: string, more: object = {}): object => ({
  name: id,
  task_id: { value: id },
  agent_id: { value: 'M-S0' },
  ...more,
})

const executor = (id: string): object => ({
  type: 'CUSTOM',
  executor_id: { value: id },
  command: { value: 'my-executor' },
})

const grouped = (id: string): object => task(id, { command: { value: 'sleep 1' } })

describe("an executor of a framework's own", () => {
  test('AG31: has a token that names its container, and no task has one', () => {
    const stage = new Stage().launch()

    const { MESOS_EXECUTOR_AUTHENTICATION_TOKEN: token, ...rest } = stage.environment('c-t1')
    expect(readExecutorToken(key, String(token), 0)).toEqual({ outcome: 'valid', claims: own })
    expect(rest).toMatchObject({
      MESOS_EXECUTOR_ID: 'e1',
      MESOS_FRAMEWORK_ID: 'f1',
      MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '5secs',
    })
    stage.group('g', grouped('a'))
    const parent = stage.done('prepare').at(-1)?.spec.containerId ?? ''
    stage.running(parent)
    expect(stage.environment(`${parent}.c-a`)).not.toHaveProperty(
      'MESOS_EXECUTOR_AUTHENTICATION_TOKEN',
    )
    expect(stage.environment(parent)).not.toHaveProperty('MESOS_EXECUTOR_AUTHENTICATION_TOKEN')
  })

  test('AG31: is told who it is, then what waited for it, and later what comes', () => {
    const stage = new Stage().launch('t1').launch('t2').running('c-t1')

    expect(stage.subscribe()).toBeUndefined()
    stage.launch('t3')

    expect(stage.heard.map(({ type }) => type)).toEqual([
      'SUBSCRIBED',
      'LAUNCH',
      'LAUNCH',
      'LAUNCH',
    ])
    expect(stage.heard[0]?.subscribed).toMatchObject({
      framework_info: { name: 'fw' },
      agent_info: { id: { value: 'M-S0' } },
      container_id: { value: 'c-t1' },
    })
    expect(stage.done('prepare')).toHaveLength(1)
    expect(stage.events('executor.subscribed')).toHaveLength(1)
  })

  test('AG31: is told its tasks in order, though a value that is to be leaked comes late', () => {
    const stage = new Stage({ faithfulLeaks: true }).launch().running('c-t1')
    stage.subscribe()
    const secret = { type: 'VALUE', value: { sealed: { id: 'i1', envelope: 'AAAA' } } }
    const volume = { mode: 'RO', container_path: 'v', source: { type: 'SECRET', secret } }
    const withSecret = { container: { type: 'MESOS', volumes: [volume] } }
    stage.launch('t2', 'e1', withSecret).launch('t3')
    const others = [task('g1'), task('g2', withSecret), task('g3')]
    const group = others.map((one, index) => ({ containerId: `c-g${index + 1}`, task: one }))
    stage.master({
      type: 'launch-group',
      frameworkId: 'f1',
      executor: executor('e1'),
      tasks: group,
    })
    const told = (): readonly (string | undefined)[] =>
      stage.heard.flatMap(({ launch, launch_group: groups }) => [
        ...(launch === undefined ? [] : [launch.task.name]),
        ...(groups?.task_group.tasks ?? []).map(({ name }) => name),
      ])
    expect(told()).toEqual(['t1'])

    const asked = stage.said('resolve')
    const why = 'it was refused'
    for (const { requestId, secrets } of asked.toReversed()) {
      const resolutions = secrets.map(() => ({ outcome: 'denied', why }))
      stage.master({ type: 'resolved', requestId, resolutions })
    }

    expect(asked.map(({ taskId }) => taskId)).toEqual(['t2', 'g2'])
    expect(told()).toEqual(['t1', 't2', 't3', 'g1', 'g2', 'g3'])
  })

  test('AG31: speaks for its tasks, and hears when it was heard', () => {
    const stage = new Stage().launch().running('c-t1')
    stage.subscribe()

    expect(stage.update('t1', 'TASK_FINISHED')).toEqual({ status: 202, body: '' })
    expect(stage.last('t1')).toMatchObject({
      state: 'TASK_FINISHED',
      agent_id: { value: 'M-S0' },
      executor_id: { value: 'e1' },
      container_status: { container_id: { value: 'c-t1' } },
    })
    // What has ended stays so.
    stage.update('t1', 'TASK_RUNNING', 'EjRWeBI0QjSSNBI0VniQrA==')
    stage.acknowledge('t1')

    expect(stage.heard.at(-1)).toMatchObject({ type: 'ACKNOWLEDGED' })
    expect(stage.statuses('t1')).toHaveLength(1)
  })

  test.each([
    [{ ...own, fid: 'f2' }, "an 'fid' claim with the framework ID f1, which is set in the call"],
    [{ ...own, eid: 'e2' }, "an 'eid' claim with the executor ID e1, which is set in the call"],
    [{ ...own, cid: 'c-old' }, "a 'cid' claim with the correct active ContainerID"],
    [{}, "an 'fid' claim with the framework ID f1, which is set in the call"],
  ])('FA4: claims %j are not its own, and that is told', (claims, lacking) => {
    const stage = new Stage().launch().running('c-t1')

    const answer = stage.call({ type: 'SUBSCRIBE', subscribe: {} }, claims)

    const who = JSON.stringify({ claims })
    expect(answer).toEqual({
      status: 403,
      body: `Authenticated principal '${who}' does not contain ${lacking}`,
    })
    stage.ticks(1)
    expect(stage.events('executor.refused')).toMatchObject([{ call: 'SUBSCRIBE', status: 403 }])
    expect(stage.heard).toEqual([])
  })

  test('look-up comes before the claims, and a heartbeat before both', () => {
    const stage = new Stage().launch().running('c-t1')
    const call = { type: 'MESSAGE', message: { data: '' } }

    expect(stage.call(call, {}, 'e9')).toEqual({ status: 400, body: 'Executor cannot be found' })
    expect(stage.call({ type: 'HEARTBEAT' }, {}, 'e9')).toEqual({ status: 202, body: '' })
    expect(stage.call(call, own)).toEqual({ status: 403, body: 'Executor is not subscribed' })
    expect(stage.call(call)).toEqual({ status: 403, body: 'Executor is not subscribed' })
  })

  test('a second subscription ends the first', () => {
    const stage = new Stage().launch().running('c-t1')
    stage.subscribe()
    stage.subscribe()
    expect(stage.closed).toBe(1)
  })

  test('AG31: that never subscribes is ended, and so are its tasks', () => {
    const stage = new Stage().launch().running('c-t1').ticks(601)
    expect(stage.done('signal')).toMatchObject([{ containerId: 'c-t1', signal: 'KILL' }])

    stage.ended('c-t1', 137)

    expect(stage.last('t1')).toMatchObject({
      state: 'TASK_FAILED',
      reason: 'REASON_EXECUTOR_REGISTRATION_TIMEOUT',
    })
    expect(stage.said('executor-ended')).toMatchObject([{ frameworkId: 'f1', executorId: 'e1' }])
    stage.acknowledge('t1')
    expect(stage.actor.api.view()).toMatchObject({ executors: [], containers: [] })
  })

  test('AG31: that goes away and does not come back is ended; one that does is not', () => {
    const stage = new Stage().launch().running('c-t1')
    stage.subscribe()
    const gone = (): void => {
      const call = parseExecutorCall({
        type: 'SUBSCRIBE',
        framework_id: { value: 'f1' },
        executor_id: { value: 'e1' },
      })
      stage.actor.api.executorGone(call, stage.connection)
    }
    gone()
    stage.ticks(100)
    stage.subscribe()
    stage.ticks(100)
    expect(stage.done('signal')).toEqual([])
    gone()
    stage.ticks(151)
    expect(stage.done('signal')).toMatchObject([{ containerId: 'c-t1' }])
  })

  test('AG31: whose container ends takes its tasks along, each with one last status', () => {
    const stage = new Stage().launch('t1').launch('t2').running('c-t1')
    stage.subscribe()
    stage.update('t1', 'TASK_FINISHED')

    stage.ended('c-t1', 1)

    expect(stage.statuses('t1').map(({ state }) => state)).toEqual(['TASK_FINISHED'])
    expect(stage.last('t2')).toMatchObject({
      state: 'TASK_FAILED',
      source: 'SOURCE_AGENT',
      reason: 'REASON_EXECUTOR_TERMINATED',
      message: 'Executor terminated',
    })
    expect(stage.said('executor-ended').map(({ status }) => status)).toEqual([256])
  })

  test('AG31: is told of when it begins, and listed to a master until its container is gone', () => {
    const stage = new Stage().launch('t1').running('c-t1')
    stage.subscribe()
    const here = { frameworkId: 'f1', executorId: 'e1', containerId: 'c-t1' }
    expect(stage.said('executor-started')).toMatchObject([here])
    stage.update('t1', 'TASK_FINISHED')
    stage.acknowledge('t1')

    stage.tell({ kind: 'disconnected' })
    stage.tell({ kind: 'connected' })
    expect(stage.said('register').at(-1)).toMatchObject({ tasks: [], executors: [here] })
    stage.ended('c-t1', 0)
    stage.tell({ kind: 'disconnected' })
    stage.tell({ kind: 'connected' })

    expect(stage.said('register').at(-1)?.executors).toEqual([])
  })

  test('AG31: that cannot be started fails its tasks in the words of the agent', () => {
    const stage = new Stage().launch()
    stage.tell({ kind: 'prepared', containerId: 'c-t1', failure: 'no room' })
    expect(stage.last('t1')).toMatchObject({
      state: 'TASK_FAILED',
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      message: 'Failed to launch container: no room',
    })
  })

  test('AG10: a kill is its business once it knows of the task, and the agent’s before', () => {
    const kill = { type: 'kill', frameworkId: 'f1', taskId: 't1', graceMs: 700, tellKilling: false }
    const before = new Stage().launch().master(kill)
    expect(before.last('t1')).toMatchObject({ state: 'TASK_KILLED' })

    const after = new Stage().launch().running('c-t1')
    after.subscribe()
    after.master(kill)
    expect(after.statuses('t1')).toEqual([])
    expect(after.heard.at(-1)).toEqual({
      type: 'KILL',
      kill: {
        task_id: { value: 't1' },
        kill_policy: { grace_period: { nanoseconds: 700_000_000 } },
      },
    })
  })

  test('AG1: its tasks are on the list of what runs here, under the names of the master', () => {
    const stage = new Stage().launch().running('c-t1')
    stage.tell({ kind: 'disconnected' }).tell({ kind: 'connected' })
    expect(stage.said('register').at(-1)?.tasks).toEqual([
      { frameworkId: 'f1', taskId: 't1', containerId: 'c-t1' },
    ])
  })

  test('AG13: to stop is to ask it first, and then to end it', () => {
    const stage = new Stage().launch().running('c-t1')
    stage.subscribe()
    stage.tell({ kind: 'stop', graceMs: 500 })
    expect(stage.heard.at(-1)).toEqual({ type: 'SHUTDOWN' })
    expect(stage.done('stopped')).toEqual([])
    stage.ticks(6)
    expect(stage.done('signal')).toHaveLength(1)
    stage.ended('c-t1', 137)
    expect(stage.done('stopped')).toHaveLength(1)
  })
})

function started(): { stage: Stage; parent: string } {
  const stage = new Stage().group('g', grouped('a'), grouped('b'))
  const parent = stage.done('prepare')[0]?.spec.containerId ?? ''
  return { stage: stage.running(parent), parent }
}

const wanted = (name: string, command = 'sleep 1') => ({
  name,
  command: { value: command, uris: [], arguments: [] },
  container: undefined,
})

const secret = (name: string): object => ({
  type: 'SECRET',
  name: 'S',
  secret: { type: 'REFERENCE', reference: { name } },
})

const has = (name: string): object => ({
  labels: undefined,
  container: {
    type: 'MESOS',
    volumes: [
      {
        mode: 'RO',
        container_path: 'x',
        source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name } } },
      },
    ],
  },
})

describe('AG30: a group', () => {
  test("waits for its executor's container, and is nested in it", () => {
    const stage = new Stage().group('g', grouped('a'), grouped('b'))
    expect(stage.done('prepare')).toHaveLength(1)
    const parent = stage.done('prepare')[0]?.spec.containerId ?? ''
    stage.running(parent)

    const nested = stage.done('prepare').map(({ spec }) => spec.containerId)
    expect(nested).toEqual([parent, `${parent}.c-a`, `${parent}.c-b`])
    stage.running(`${parent}.c-a`)
    expect(stage.last('a')).toMatchObject({
      state: 'TASK_STARTING',
      executor_id: { value: 'g' },
      container_status: { container_id: { value: 'c-a', parent: { value: parent } } },
    })
  })

  test('ends when its last task does, and not before', () => {
    const { stage, parent } = started()
    stage.running(`${parent}.c-a`).running(`${parent}.c-b`)
    stage.ended(`${parent}.c-a`)
    expect(stage.done('signal')).toEqual([])
    stage.ended(`${parent}.c-b`)
    expect(stage.done('signal')).toMatchObject([{ containerId: parent }])
    stage.ended(parent, 137)
    for (const id of ['a', 'b']) {
      stage.acknowledge(id).acknowledge(id).acknowledge(id)
      expect(stage.last(id)).toMatchObject({ state: 'TASK_FINISHED' })
    }
    expect(stage.actor.api.view()).toMatchObject({ executors: [], containers: [] })
  })

  test('of which one fails ends, and so does one that has not started', () => {
    const { stage, parent } = started()
    stage.running(`${parent}.c-a`)
    stage.ended(`${parent}.c-a`, 1)
    stage.tell({ kind: 'prepared', containerId: `${parent}.c-b` }).destroyed(`${parent}.c-b`)
    stage.acknowledge('a').acknowledge('a').acknowledge('a')
    expect(stage.last('a')).toMatchObject({ state: 'TASK_FAILED' })
    expect(stage.last('b')).toMatchObject({ state: 'TASK_KILLED' })
  })

  test('whose container cannot be made says why as an executor does', () => {
    const { stage, parent } = started()
    stage.tell({ kind: 'prepared', containerId: `${parent}.c-a`, failure: 'no room' })
    stage.acknowledge('a')
    const [starting, failed] = stage.statuses('a')
    expect(starting?.state).toBe('TASK_STARTING')
    expect(failed).toMatchObject({
      state: 'TASK_FAILED',
      source: 'SOURCE_EXECUTOR',
      message: 'no room',
    })
    expect(failed?.reason).toBeUndefined()
  })

  test('S4: nothing outlives the container it is nested in', () => {
    const { stage, parent } = started()
    stage.running(`${parent}.c-a`).running(`${parent}.c-b`)

    stage.tell({ kind: 'exited', containerId: parent, exit: { exitCode: 1 } })
    expect(stage.done('destroy').map(({ containerId }) => containerId)).toEqual([
      `${parent}.c-a`,
      `${parent}.c-b`,
    ])
    stage.destroyed(`${parent}.c-a`).destroyed(`${parent}.c-b`)
    expect(stage.done('destroy').at(-1)?.containerId).toBe(parent)
  })

  test('may come to an executor that runs, and to a new one while that ends', () => {
    const { stage, parent } = started()
    stage.running(`${parent}.c-a`).running(`${parent}.c-b`).group('g', grouped('c'))
    expect(stage.done('prepare').at(-1)?.spec.containerId).toBe(`${parent}.c-c`)
    stage.running(`${parent}.c-c`)
    for (const id of ['a', 'b', 'c']) stage.ended(`${parent}.c-${id}`)

    stage.group('g', grouped('d'))
    const next = stage.done('prepare').at(-1)?.spec.containerId
    expect(next).not.toBe(parent)
    expect(next).not.toContain('.')
  })
})

describe('AG32: containers that somebody asks for', () => {
  test('run below one that runs, and can be waited for, killed and removed', async () => {
    const stage = new Stage().launch().running('c-t1')
    const { api } = stage.actor

    const launched = api.launch(wanted('c-t1.x'))
    stage.running('c-t1.x')
    expect(await launched).toEqual({ outcome: 'launched' })
    expect(await api.launch(wanted('c-t1.x'))).toEqual({ outcome: 'exists' })
    expect(await api.launch(wanted('none.x'))).toEqual({ outcome: 'no-parent' })
    expect(api.remove('c-t1.x')).toBe('running')
    expect(api.kill('c-t1.x', 'TERM')).toBe(true)
    expect(stage.done('signal')).toMatchObject([{ containerId: 'c-t1.x', signal: 'TERM' }])
    const ended = api.wait('c-t1.x')
    stage.ended('c-t1.x', 3)
    expect(await ended).toEqual({
      message: 'Command exited with status 3',
      exit: { exitCode: 3 },
    })
    expect(api.remove('c-t1.x')).toBe('removed')
    expect(api.wait('c-t1.x')).toBeUndefined()
  })

  test('that cannot be made answer with the bare failure, and leave nothing', async () => {
    const stage = new Stage().launch().running('c-t1')
    const launched = stage.actor.api.launch(wanted('c-t1.x'))
    stage.tell({ kind: 'prepared', containerId: 'c-t1.x', failure: 'no room' })
    expect(await launched).toEqual({ outcome: 'failed', why: 'no room' })
    expect(stage.actor.api.wait('c-t1.x')).toBeUndefined()
  })

  test('ask for secrets as the task that was granted them, and never in their own name', () => {
    const stage = new Stage().launch('t1').launch('t2', 'e1', has('of/t2')).running('c-t1')
    void stage.actor.api.launch({
      name: 'c-t1.x',
      command: {
        value: 'x',
        uris: [],
        arguments: [],
        environment: { variables: [secret('of/t2') as never] },
      },
      container: undefined,
    })
    void stage.actor.api.launch({
      name: 'c-t1.y',
      command: {
        value: 'x',
        uris: [],
        arguments: [],
        environment: { variables: [secret('else') as never] },
      },
      container: undefined,
    })
    const asked = stage.said('resolve').map(({ taskId, containerId }) => [taskId, containerId])
    expect(asked).toEqual([
      ['t2', 'c-t2'],
      ['t1', 'c-t1'],
    ])
  })

  test('sessions enter their parent, have no volumes and secrets of their own, and end with it', () => {
    const stage = new Stage().launch().running('c-t1')
    const { api } = stage.actor
    const said: string[] = []
    const sink = {
      waitingBytes: 0,
      output: ({ bytes }: { bytes: Uint8Array }) => said.push(Buffer.from(bytes).toString()),
      ended: ({ exitCode }: { exitCode?: number }) => said.push(`ended ${exitCode}`),
    }
    const session = api.openSession(wanted('c-t1.s', 'cat x'), sink)
    const { sessionId = '' } = 'sessionId' in session ? session : {}
    expect(stage.done('open-exec')).toMatchObject([
      { containerId: 'c-t1', argv: ['sh', '-c', 'cat x'] },
    ])
    api.sessionOf('c-t1.s')?.write(utf8('in'))
    expect(stage.done('write-session')).toHaveLength(1)
    const chunk = { stream: 'stdout', bytes: utf8('out') } as const
    stage.tell({ kind: 'session-output', sessionId, chunk })
    stage.tell({ kind: 'session-ended', sessionId, exitCode: 4 })

    expect(said).toEqual(['out', 'ended 4'])
    expect(stage.said('session-output')).toEqual([])
    expect(api.sessionOf('c-t1.s')).toBeUndefined()
    const volumes = { type: 'MESOS', volumes: [{}], network_infos: [] } as never
    expect(api.openSession({ ...wanted('c-t1.v'), container: volumes }, sink)).toEqual({
      outcome: 'failed',
      why: 'Volumes not supported for DEBUG containers',
    })
  })
})

describe('AG33: who calls', () => {
  test('is asked of a master, and nobody is let in without an answer', async () => {
    const stage = new Stage()
    const { api } = stage.actor
    const first = api.whoCalls('Basic eDp5', '127.0.0.1', 'GET_STATE')
    const { requestId } = stage.said('ask-caller')[0] ?? {}
    const answer = { outcome: 'known', uid: 'ops', isOperator: true } as const
    stage.master({ type: 'caller-known', requestId, ...answer })
    expect(await first).toEqual(answer)

    const late = api.whoCalls('Basic eDp5', '127.0.0.1', 'GET_STATE')
    stage.ticks(51)
    expect(await late).toEqual({ outcome: 'unavailable' })
    const cut = api.whoCalls('Basic eDp5', '127.0.0.1', 'GET_STATE')
    stage.tell({ kind: 'disconnected' })
    expect(await cut).toEqual({ outcome: 'unavailable' })
    expect(await api.whoCalls('x', '127.0.0.1', 'GET_STATE')).toEqual({ outcome: 'unavailable' })
  })
})

test('AG2: an agent whose id is over forgets its executors and containers, and does not report them again', async () => {
  const stage = new Stage()
  stage.launch()
  stage.running('c-t1')
  const { api } = stage.actor
  const launched = api.launch({
    name: 'alone',
    command: { uris: [], arguments: [], value: 'x' },
    container: undefined,
  })
  stage.running('alone')
  await launched
  const waited = api.wait('alone')

  stage.master({ type: 'shutdown', why: 'it was removed' })
  for (const name of ['c-t1', 'alone']) stage.ended(name, 137)

  await waited
  expect(api.view().executors).toEqual([])
  expect(stage.actor.containerCount).toBe(0)
  stage.ticks(20)
  const [, again] = stage.effects.flatMap((effect) =>
    effect.do === 'send' && effect.message.type === 'register' ? [effect.message] : [],
  )
  expect(again).toMatchObject({ tasks: [], executors: [] })
})

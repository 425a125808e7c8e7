import { box, boxContext } from '@conclave/crypto'
import { perform, wipePlan, type Plan } from '@conclave/isolators'
import { MemoryHost } from '@conclave/isolators/testing'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { AgentInfo, parseOurs, ToAgent, type FromAgent, type TaskStatus } from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { AgentActor } from './agent-actor.ts'
import type { AgentActorOptions, AgentLimits } from './agent-options.ts'
import type { AgentEffect } from './agent-effect.ts'
import type { ContainerExit } from './container-runtime.ts'

const info = parseOurs(AgentInfo, { hostname: 'box', resources: [] })
const secretValue = 'cnry-s3cr3t-of-the-task'

type Said<Type extends FromAgent['type']> = Extract<FromAgent, { type: Type }>
type Done<Do extends AgentEffect['do']> = Extract<AgentEffect, { do: Do }>

/** One agent, and a test in the place of its master and its machine. */
class Stage {
  readonly clock = new ManualClock()
  readonly random = new SeededRandom(5)
  readonly actor: AgentActor
  readonly effects: AgentEffect[] = []

  constructor(
    agentId?: string,
    limits: Partial<AgentLimits> = {},
    references: AgentActorOptions['references'] = 'store',
    hasImages = false,
  ) {
    this.actor = new AgentActor({
      agentId,
      info,
      runtime: 'memory',
      ipAddress: '10.0.0.7',
      clock: this.clock,
      random: this.random,
      limits: { tickMs: 100, ...limits },
      references,
      hasImages,
    })
  }

  tell(input: Parameters<AgentActor['step']>[0]): this {
    this.actor.step(input)
    this.effects.push(...this.actor.takeEffects())
    return this
  }

  master(message: unknown): this {
    return this.tell({ kind: 'message', message: ToAgent.parse(message) })
  }

  registered(agentId = 'M-S0'): this {
    this.tell({ kind: 'connected' })
    return this.master({ type: 'registered', agentId, heartbeatSeconds: 2 })
  }

  ticks(count: number): this {
    for (let tick = 0; tick < count; tick++) this.tell({ kind: 'tick' })
    return this
  }

  launch(task: object = {}, names: { containerId?: string; taskId?: string } = {}): this {
    const { containerId = 'c1', taskId = 't1' } = names
    return this.master({
      type: 'launch',
      frameworkId: 'f1',
      containerId,
      task: {
        name: 'a task',
        task_id: { value: taskId },
        agent_id: { value: 'M-S0' },
        command: { value: 'sleep 1' },
        ...task,
      },
    })
  }

  /** Releases what was asked for last, each secret with the same value. */
  release(value = secretValue): this {
    const question = this.said('resolve').at(-1)
    if (question === undefined) throw new Error('no secret was asked for')
    const { requestId, taskId, containerId } = question
    const resolutions = question.secrets.map(({ secret }) => {
      const path = secret.reference?.name ?? `inline/${secret.value?.sealed?.id}`
      const context = boxContext({ taskId, containerId, path, version: 2 })
      const bytes = new Redacted(utf8(value))
      const sealed = box(Buffer.from(question.publicKey, 'base64'), bytes, context, this.random)
      const boxed = Buffer.from(sealed).toString('base64')
      return { outcome: 'value', path, version: 2, sizeBytes: utf8(value).length, box: boxed }
    })
    return this.master({ type: 'resolved', requestId, resolutions })
  }

  running(containerId = 'c1'): this {
    return this.tell({ kind: 'prepared', containerId }).tell({ kind: 'started', containerId })
  }

  exited(exit: ContainerExit, containerId = 'c1'): this {
    return this.tell({ kind: 'exited', containerId, exit }).tell({ kind: 'destroyed', containerId })
  }

  kill(graceMs = 1000, tellKilling = false): this {
    return this.master({ type: 'kill', frameworkId: 'f1', taskId: 't1', graceMs, tellKilling })
  }

  acknowledge(): this {
    const uuid = this.statuses.at(-1)?.uuid
    return this.master({ type: 'status-acknowledged', frameworkId: 'f1', taskId: 't1', uuid })
  }

  /** Acknowledges until nothing new is said. */
  acknowledgeAll(): this {
    for (let before = -1; before !== this.statuses.length;) {
      before = this.statuses.length
      this.acknowledge()
    }
    return this
  }

  done<Do extends AgentEffect['do']>(kind: Do): readonly Done<Do>[] {
    return this.effects.filter((effect): effect is Done<Do> => effect.do === kind)
  }

  said<Type extends FromAgent['type']>(type: Type): readonly Said<Type>[] {
    return this.done('send')
      .map(({ message }) => message)
      .filter((message): message is Said<Type> => message.type === type)
  }

  get statuses(): readonly TaskStatus[] {
    return this.said('status-update').map(({ status }) => status)
  }

  get states(): readonly string[] {
    return this.statuses.map(({ state }) => state)
  }

  get events(): readonly { readonly type: string }[] {
    return this.said('events').flatMap(({ events }) => events as { type: string }[])
  }

  get plan(): Plan {
    const prepare = this.done('prepare').at(-1)
    if (prepare === undefined) throw new Error('no container was prepared')
    return prepare.plan
  }
}

const reference = (name: string) => ({ type: 'REFERENCE', reference: { name } })
const withSecrets = {
  command: {
    value: 'sh -c true',
    environment: {
      variables: [{ name: 'DB_PASSWORD', type: 'SECRET', secret: reference('dev/db') }],
    },
  },
  container: {
    type: 'MESOS',
    volumes: [
      {
        mode: 'RO',
        container_path: 'keys/store',
        source: { type: 'SECRET', secret: reference('dev/keystore') },
      },
    ],
  },
}

describe('registering', () => {
  test('AG1: a new agent has no id, and keeps the one it is given', () => {
    const stage = new Stage().registered()

    expect(stage.said('register')).toEqual([
      { type: 'register', info, runtime: 'memory', tasks: [], executors: [] },
    ])
    expect(stage.done('keep-agent-id')).toEqual([{ do: 'keep-agent-id', agentId: 'M-S0' }])
  })

  test('AG1: an agent that comes back says who it is and what it runs', () => {
    const stage = new Stage('M-S0').registered().launch().running()

    stage.tell({ kind: 'disconnected' }).registered()

    expect(stage.said('register').at(-1)).toMatchObject({
      agentId: 'M-S0',
      tasks: [{ frameworkId: 'f1', taskId: 't1', containerId: 'c1' }],
    })
    expect(stage.done('keep-agent-id')).toEqual([])
  })

  test('AG1: what has ended is listed until its last status is acknowledged', () => {
    const stage = new Stage('M-S0').registered().launch().running().exited({ exitCode: 0 })
    stage.tell({ kind: 'disconnected' }).registered()
    expect(stage.said('register').at(-1)?.tasks).toHaveLength(1)

    stage.acknowledgeAll().tell({ kind: 'disconnected' }).registered()

    expect(stage.said('register').at(-1)?.tasks).toEqual([])
  })

  test('AG2 threat:DL-11: shut down, it ends everything without a word and begins anew', () => {
    const stage = new Stage('M-S0').registered().launch().running()
    const told = stage.statuses.length

    stage.master({ type: 'shutdown', why: 'removed' })
    expect(stage.done('destroy')).toEqual([{ do: 'destroy', containerId: 'c1' }])
    stage.exited({ exitCode: 137, signal: 'KILL' })

    expect(stage.statuses).toHaveLength(told)
    expect(stage.done('keep-agent-id')).toEqual([{ do: 'keep-agent-id', agentId: undefined }])
    expect(stage.said('register')).toHaveLength(1)
    stage.ticks(10)
    expect(stage.said('register')).toHaveLength(2)
    expect(stage.said('register').at(-1)).not.toHaveProperty('agentId')
  })
})

describe('launching', () => {
  test('AG3: a task without secrets is prepared, started and told of, in this order', () => {
    const stage = new Stage().registered().launch().running().acknowledgeAll()

    expect(stage.done('prepare')[0]?.spec).toEqual({
      containerId: 'c1',
      hostname: 'c1',
      argv: ['sh', '-c', 'sleep 1'],
      command: { value: 'sleep 1', arguments: [], uris: [] },
      user: { name: 'task', uid: 1000, gid: 1000 },
    })
    expect(stage.done('start')).toEqual([{ do: 'start', containerId: 'c1' }])
    expect(stage.statuses).toMatchObject([
      {
        state: 'TASK_STARTING',
        source: 'SOURCE_EXECUTOR',
        agent_id: { value: 'M-S0' },
        executor_id: { value: 't1' },
        container_status: { container_id: { value: 'c1' } },
      },
      { state: 'TASK_RUNNING' },
    ])
  })

  test('AG3: a program without a shell gets its arguments as they are', () => {
    const command = { shell: false, value: '/bin/sleep', arguments: ['sleep', '1'], user: 'root' }
    const stage = new Stage().registered().launch({ command })

    expect(stage.done('prepare')[0]?.spec).toMatchObject({
      argv: ['/bin/sleep', '1'],
      user: { name: 'root', uid: 0 },
    })
  })

  test('AG3: told twice, it launches once', () => {
    const stage = new Stage().registered().launch().launch()

    expect(stage.done('prepare')).toHaveLength(1)
  })

  test('AG4: the environment says where the task is, and holds no token', () => {
    const stage = new Stage().registered().launch()
    const names = stage.plan.flatMap((step) => (step.do === 'set-env' ? [step.name] : []))

    expect(names).toEqual([
      'LIBPROCESS_PORT',
      'MESOS_AGENT_ENDPOINT',
      'MESOS_ALLOCATION_ROLE',
      'MESOS_CHECKPOINT',
      'MESOS_DIRECTORY',
      'MESOS_EXECUTOR_ID',
      'MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD',
      'MESOS_FRAMEWORK_ID',
      'MESOS_HTTP_COMMAND_EXECUTOR',
      'MESOS_SANDBOX',
      'MESOS_SLAVE_ID',
      'MESOS_SLAVE_PID',
      'PATH',
    ])
    expect(stage.plan).toContainEqual({
      do: 'set-env',
      name: 'MESOS_SLAVE_PID',
      value: 'slave(1)@10.0.0.7:5051',
    })
  })

  test('AG5: all secrets are asked for at once, and each is exactly where it was wanted', async () => {
    const stage = new Stage().registered().launch(withSecrets)
    expect(stage.said('resolve')[0]?.secrets.map(({ purpose }) => purpose)).toEqual([
      'volume keys/store',
      'env DB_PASSWORD',
    ])

    stage.release()
    const host = new MemoryHost()
    await perform(stage.plan, host)

    expect(utf8Text(host.variable('DB_PASSWORD') ?? utf8(''))).toBe(secretValue)
    expect(utf8Text(host.seen('/mnt/mesos/sandbox/keys/store')?.bytes ?? utf8(''))).toBe(
      secretValue,
    )
  })

  test('AG5: a journey is told step by step', () => {
    const stage = new Stage().registered().launch(withSecrets).release().running()
    stage.exited({ exitCode: 0 })

    const container = { frameworkId: 'f1', taskId: 't1', containerId: 'c1', agentId: 'M-S0' }
    expect(stage.events).toMatchObject([
      { type: 'secret.resolved', path: 'dev/keystore', version: 2, sizeBytes: secretValue.length },
      { type: 'secret.resolved', path: 'dev/db', version: 2 },
      {
        type: 'secret.placed',
        path: 'dev/keystore',
        where: 'tmpfs',
        at: '/mnt/mesos/sandbox/keys/store',
        mode: '0400',
      },
      { type: 'secret.placed', path: 'dev/db', where: 'env', at: 'DB_PASSWORD' },
      { type: 'container.started', ...container },
      { type: 'secret.forgotten', files: 1, variables: 1, ...container },
      { type: 'container.ended', exitCode: 0, why: 'Command exited with status 0' },
    ])
  })

  test('AG5: a secret that a plain variable overrides is not told to be placed', () => {
    const variables = [
      ...withSecrets.command.environment.variables,
      { name: 'DB_PASSWORD', value: 'plain' },
    ]
    const stage = new Stage()
      .registered()
      .launch({ command: { value: 'true', environment: { variables } } })
      .release()
      .tell({ kind: 'prepared', containerId: 'c1' })

    expect(stage.events.map(({ type }) => type)).not.toContain('secret.placed')
  })

  test('AG6: one refused secret fails the launch, in the words of Mesos, and nothing is prepared', () => {
    const stage = new Stage().registered().launch(withSecrets)
    const requestId = stage.said('resolve')[0]?.requestId
    const refusal = { outcome: 'denied', why: 'task t1 has no grant for dev/db' }

    stage.master({ type: 'resolved', requestId, resolutions: [refusal, refusal] })

    expect(stage.done('prepare')).toEqual([])
    expect(stage.statuses).toMatchObject([
      {
        state: 'TASK_FAILED',
        source: 'SOURCE_AGENT',
        reason: 'REASON_CONTAINER_LAUNCH_FAILED',
        message: 'Failed to launch container: Collect failed: task t1 has no grant for dev/db',
      },
    ])
  })

  test.each([
    [
      {
        container: {
          type: 'MESOS',
          volumes: [{ ...withSecrets.container.volumes[0], container_path: '../x' }],
        },
      },
      'Failed to launch container: secret path "../x" is not allowed: it has a ".." component.',
    ],
    [
      { command: { value: '' } },
      'Failed to launch container: command.value is empty: there is no program to run',
    ],
    [
      { command: { value: 'true', environment: { variables: [{ name: 'X' }] } } },
      "Failed to launch container: Invalid environment specified: Environment variable 'X' of type 'VALUE' must have a value set",
    ],
  ])('AG6: %j fails before anybody is asked', (task, message) => {
    const stage = new Stage().registered().launch(task)

    expect([stage.said('resolve'), stage.done('prepare')]).toEqual([[], []])
    expect(stage.statuses).toMatchObject([{ state: 'TASK_FAILED', message }])
  })

  test('AG6: a machine that cannot place a secret fails the launch', () => {
    const stage = new Stage().registered().launch(withSecrets).release()

    stage.tell({ kind: 'prepared', containerId: 'c1', failure: 'write-file failed: no space' })

    expect(stage.statuses).toMatchObject([
      {
        state: 'TASK_FAILED',
        message: 'Failed to launch container: write-file failed: no space',
        reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      },
    ])
    expect([stage.done('start'), stage.done('destroy')]).toEqual([[], []])
  })

  test('AG6: a value with a NUL byte is no variable', () => {
    const stage = new Stage().registered().launch(withSecrets).release('a\0b')

    expect(stage.done('prepare')).toEqual([])
    expect(stage.statuses[0]?.message).toBe(
      "Failed to launch container: Environment variable 'DB_PASSWORD' specifies a secret containing null bytes, which is not allowed in the environment",
    )
  })

  test('AG23: an image whose config nobody releases fails the launch, in the words of Mesos', () => {
    const config = reference('registry/dockercfg')
    const image = { type: 'DOCKER', docker: { name: 'registry.local/app', config } }
    const stage = new Stage('M-S0', {}, 'default', true).registered()
    stage.launch({ container: { type: 'MESOS', mesos: { image } } })

    expect(stage.statuses.at(-1)?.message).toBe(
      'Failed to launch container: Default secret resolver cannot resolve references',
    )
  })

  test('AG23: an image may say what is run, and its config is not told to be placed', () => {
    const config = reference('registry/dockercfg')
    const image = { type: 'DOCKER', docker: { name: 'registry.local/app', config } }
    const stage = new Stage('M-S0', {}, 'store', true).registered()
    stage.launch({ command: { shell: false }, container: { type: 'MESOS', mesos: { image } } })
    stage.release().running()

    expect(stage.done('prepare')[0]?.spec.argv).toEqual([])
    expect(stage.plan.map((step) => step.do)).toContain('provision-image')
    expect(stage.events.map(({ type }) => type)).not.toContain('secret.placed')
    expect(stage.events.map(({ type }) => type)).toContain('secret.resolved')
  })

  test('AG23: killed while its image is pulled, that is given up, and the task was killed', () => {
    const image = { type: 'DOCKER', docker: { name: 'registry.local/app' } }
    const stage = new Stage('M-S0', {}, 'store', true).registered()
    stage.launch({ container: { type: 'MESOS', mesos: { image } } }).kill()

    expect(stage.done('abandon-prepare')).toEqual([{ do: 'abandon-prepare', containerId: 'c1' }])
    stage.tell({ kind: 'prepared', containerId: 'c1', failure: 'it was given up' })
    expect(stage.statuses.at(-1)).toMatchObject({
      state: 'TASK_KILLED',
      reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
    })
  })

  test('AG22: without a resolver module a reference is refused in the words of Mesos', () => {
    const stage = new Stage('M-S0', {}, 'default').registered().launch(withSecrets)

    expect(stage.said('resolve')).toEqual([])
    expect(stage.statuses.at(-1)?.message).toBe(
      'Failed to launch container: Collect failed: Default secret resolver cannot resolve references',
    )
  })

  test('AG22: a resolver module answers references, each exactly where it was wanted', async () => {
    const stage = new Stage('M-S0', {}, 'outside').registered().launch(withSecrets)
    const [asked] = stage.done('resolve-outside')
    const resolved = (asked?.question.secrets ?? []).map(({ secret }) => {
      const bytes = new Redacted(utf8(secretValue))
      return { outcome: 'value' as const, bytes, path: secret.reference?.name ?? '', version: 0 }
    })
    stage.tell({
      kind: 'resolved-outside',
      questionId: asked?.question.questionId ?? '',
      resolved,
    })

    expect(stage.said('resolve')).toEqual([])
    expect(asked?.question).toMatchObject({ taskId: 't1', containerId: 'c1' })
    const host = new MemoryHost()
    await perform(stage.done('prepare')[0]?.plan ?? [], host)
    expect(utf8Text(host.variable('DB_PASSWORD') ?? utf8(''))).toBe(secretValue)
  })

  test('AG22: an answer that comes too late is wiped', () => {
    const stage = new Stage('M-S0', {}, 'outside').registered().launch(withSecrets)
    const questionId = stage.done('resolve-outside')[0]?.question.questionId ?? ''
    stage.kill()
    const bytes = new Redacted(utf8(secretValue))
    const late = { outcome: 'value' as const, bytes, path: 'dev/db', version: 0 }
    stage.tell({ kind: 'resolved-outside', questionId, resolved: [late] })

    expect(stage.done('abandon-outside')).toEqual([{ do: 'abandon-outside', questionId }])
    expect(bytes.reveal().every((byte) => byte === 0)).toBe(true)
  })

  test('AG7 threat:DL-11: a question without an answer ends after its time, and a late answer changes nothing', () => {
    const stage = new Stage(undefined, { resolveTimeoutMs: 1000 }).registered().launch(withSecrets)
    stage.ticks(9)
    expect(stage.statuses).toEqual([])

    stage.ticks(1).release()

    expect(stage.statuses[0]?.message).toBe(
      'Failed to launch container: Collect failed: no master released its secrets within 1 seconds',
    )
    expect(stage.done('prepare')).toEqual([])
  })

  test('AG7: after a reconnect it asks again, and the answer counts', () => {
    const stage = new Stage().registered().launch(withSecrets)
    stage.tell({ kind: 'disconnected' }).registered()
    expect(stage.said('resolve')).toHaveLength(2)

    stage.release()

    expect(stage.done('prepare')).toHaveLength(1)
  })
})

describe('ending', () => {
  test.each([
    [{ exitCode: 0 }, 'TASK_FINISHED', 'Command exited with status 0', '0'],
    [{ exitCode: 7 }, 'TASK_FAILED', 'Command exited with status 7', '7'],
    [
      { exitCode: 137, signal: 'KILL' },
      'TASK_FAILED',
      'Command terminated with signal Killed',
      '137',
    ],
    [
      { exitCode: 139, signal: 'SEGV' },
      'TASK_FAILED',
      'Command terminated with signal Segmentation fault',
      '139',
    ],
  ])('AG8: %j is %s', (exit, state, message, code) => {
    const stage = new Stage().registered().launch().running().acknowledgeAll()

    stage.exited(exit)

    expect(stage.statuses.at(-1)).toMatchObject({
      state,
      message,
      source: 'SOURCE_EXECUTOR',
      labels: { labels: [{ key: 'conclave.exit-code', value: code }] },
    })
  })

  test('AG9: the last status is told when nothing of the container is left, not before', () => {
    const stage = new Stage().registered().launch(withSecrets).release().running().acknowledgeAll()

    stage.tell({ kind: 'exited', containerId: 'c1', exit: { exitCode: 0 } })
    expect(stage.done('destroy')).toEqual([{ do: 'destroy', containerId: 'c1' }])
    expect(stage.states).toEqual(['TASK_STARTING', 'TASK_RUNNING'])
    stage.tell({ kind: 'destroyed', containerId: 'c1' })

    expect(stage.states.at(-1)).toBe('TASK_FINISHED')
  })

  test('AG9: what could not be forgotten is not told to be', () => {
    const stage = new Stage().registered().launch(withSecrets).release().running()
    stage.tell({ kind: 'exited', containerId: 'c1', exit: { exitCode: 0 } })
    stage.tell({ kind: 'destroyed', containerId: 'c1', failure: 'busy' })

    expect(stage.events.map(({ type }) => type)).not.toContain('secret.forgotten')
  })

  test('AG10: a kill is SIGTERM, then SIGKILL after its grace', () => {
    const stage = new Stage().registered().launch().running().acknowledgeAll().kill(500, true)
    expect(stage.done('signal')).toEqual([{ do: 'signal', containerId: 'c1', signal: 'TERM' }])
    stage.ticks(4)
    expect(stage.done('signal')).toHaveLength(1)

    stage.ticks(1).acknowledgeAll().exited({ exitCode: 137, signal: 'KILL' })

    expect(stage.done('signal').at(-1)?.signal).toBe('KILL')
    expect(stage.states).toEqual(['TASK_STARTING', 'TASK_RUNNING', 'TASK_KILLING', 'TASK_KILLED'])
    expect(stage.statuses.at(-1)?.message).toBe('Command terminated with signal Killed')
  })

  test('AG10: a service says what asks its program to end', () => {
    const service = { id: 's', name: 'web', stop_signal: 'SIGQUIT', workdir: '/srv' }
    const container = { type: 'MESOS', service }
    const stage = new Stage().registered().launch({ container }).running()
    expect(stage.done('prepare')[0]?.spec).toMatchObject({ workdir: '/srv' })

    stage.acknowledgeAll().kill(500).ticks(5)

    expect(stage.done('signal').map(({ signal }) => signal)).toEqual(['SIGQUIT', 'KILL'])
  })

  test('AG10: where its service does not say it, an image of Docker’s does, then SIGKILL', () => {
    const command = { shell: false, docker_arguments: true, value: 'nginx' }
    const service = { id: 's', name: 'web' }
    const launch = { command, container: { type: 'MESOS', service } }
    const stage = new Stage().registered().launch(launch).running().acknowledgeAll()
    stage.master({ type: 'signal-task', frameworkId: 'f1', taskId: 't1' })
    stage.kill(500).ticks(5)

    const asked = { do: 'ask-to-end', containerId: 'c1' }
    expect(stage.done('ask-to-end')).toEqual([asked, asked])
    expect(stage.done('signal').map(({ signal }) => signal)).toEqual(['KILL'])
  })

  test('AG10: a container of a service that cannot be started says so in the Engine’s words', () => {
    const container = { type: 'MESOS', service: { id: 's', name: 'web' } }
    const stage = new Stage().registered().launch({ container })
    stage
      .tell({ kind: 'prepared', containerId: 'c1' })
      .tell({ kind: 'started', containerId: 'c1', failure: 'there is no such program' })
      .tell({ kind: 'destroyed', containerId: 'c1' })

    expect(stage.acknowledgeAll().statuses.at(-1)).toMatchObject({
      state: 'TASK_FAILED',
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      message: 'starting container failed: there is no such program',
    })
  })

  test('AG10: without grace it is SIGKILL at once, and TASK_KILLING is told only who asked', () => {
    const stage = new Stage().registered().launch().running().acknowledgeAll().kill(0)

    expect(stage.done('signal')[0]?.signal).toBe('KILL')
    expect(stage.states).not.toContain('TASK_KILLING')
  })

  test('AG10: a task that ends by itself after a kill was killed, whatever its status', () => {
    const stage = new Stage().registered().launch().running().kill().exited({ exitCode: 0 })

    expect(stage.acknowledgeAll().states.at(-1)).toBe('TASK_KILLED')
  })

  test('AG11: killed while its secrets are asked for, it never was', () => {
    const stage = new Stage().registered().launch(withSecrets).kill().release()

    expect(stage.done('prepare')).toEqual([])
    expect(stage.statuses).toMatchObject([
      {
        state: 'TASK_KILLED',
        reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
        message: 'Killed before delivery to the executor',
      },
    ])
  })

  test('AG11: killed while it is prepared, it is destroyed and never started', () => {
    const stage = new Stage().registered().launch(withSecrets).release().kill()
    expect(stage.statuses).toEqual([])

    stage
      .tell({ kind: 'prepared', containerId: 'c1' })
      .tell({ kind: 'destroyed', containerId: 'c1' })

    expect(stage.done('start')).toEqual([])
    expect(stage.events.map(({ type }) => type)).toContain('secret.forgotten')
    expect(stage.statuses).toMatchObject([
      { state: 'TASK_KILLED', reason: 'REASON_TASK_KILLED_DURING_LAUNCH' },
    ])
  })

  test('AG12: a task that runs longer than it may has failed for that reason', () => {
    const task = {
      max_completion_time: { nanoseconds: 1e9 },
      kill_policy: { grace_period: { nanoseconds: 2e8 } },
    }
    const stage = new Stage().registered().launch(task).running().acknowledgeAll()
    stage.ticks(9)
    expect(stage.done('signal')).toEqual([])
    stage.ticks(3)
    expect(stage.done('signal').map(({ signal }) => signal)).toEqual(['TERM', 'KILL'])

    stage.exited({ exitCode: 137, signal: 'KILL' })

    expect(stage.statuses.at(-1)).toMatchObject({
      state: 'TASK_FAILED',
      reason: 'REASON_MAX_COMPLETION_TIME_REACHED',
    })
  })

  test('AG13: to stop is to end every container, then to say so', () => {
    const stage = new Stage().registered().launch().running().acknowledgeAll()

    stage.tell({ kind: 'stop', graceMs: 1000 })
    expect(stage.done('stopped')).toEqual([])
    stage.exited({ exitCode: 143, signal: 'TERM' })

    expect(stage.states.at(-1)).toBe('TASK_KILLED')
    expect(stage.done('stopped')).toHaveLength(1)
  })

  test('AG13: so it is for one that hears, while it stops, that its id is over', () => {
    const stage = new Stage().registered().launch().running().acknowledgeAll()

    stage.tell({ kind: 'stop', graceMs: 1000 }).master({ type: 'shutdown', why: 'removed' })
    expect(stage.done('stopped')).toEqual([])
    stage.exited({ exitCode: 143, signal: 'TERM' })

    expect(stage.done('stopped')).toHaveLength(1)
  })

  test('AG13: an idle agent stops at once, and launches nothing after', () => {
    const stage = new Stage().registered().tell({ kind: 'stop', graceMs: 1000 })
    expect(stage.done('stopped')).toHaveLength(1)

    stage.launch()

    expect(stage.done('prepare')).toEqual([])
    expect(stage.states).toEqual(['TASK_FAILED'])
  })
})

const checked = (stage: Stage, isSuccess: boolean): Stage =>
  stage.tell({ kind: 'checked', containerId: 'c1', isSuccess }).acknowledgeAll()

describe('health', () => {
  const check = {
    type: 'COMMAND',
    command: { value: 'test -f ready', environment: { variables: [{ name: 'A', value: 'b' }] } },
    delay_seconds: 0.2,
    interval_seconds: 0.1,
    timeout_seconds: 0.3,
    grace_period_seconds: 0,
    consecutive_failures: 2,
  }
  const running = (health_check: object = check): Stage =>
    new Stage().registered().launch({ health_check }).running().acknowledgeAll()

  test('AG21: a check runs after its delay, then after each interval, and never beside itself', () => {
    const stage = running().ticks(1)
    expect(stage.done('check')).toEqual([])
    stage.ticks(2)
    expect(stage.done('check')).toEqual([
      { do: 'check', containerId: 'c1', argv: ['sh', '-c', 'test -f ready'], env: { A: 'b' } },
    ])

    checked(stage, true).ticks(1)

    expect(stage.done('check')).toHaveLength(2)
  })

  test('AG21: health is told when it changes, sickness each time', () => {
    const stage = running()
    for (const isSuccess of [true, true, false, true]) checked(stage.ticks(2), isSuccess)

    expect(stage.statuses.slice(2)).toMatchObject([
      { state: 'TASK_RUNNING', healthy: true, reason: 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED' },
      { state: 'TASK_RUNNING', healthy: false },
      { state: 'TASK_RUNNING', healthy: true },
    ])
  })

  test('AG21: so many failures in a row end the task, which has then failed', () => {
    const stage = checked(checked(running().ticks(2), false).ticks(2), false)
    expect(stage.done('signal').map(({ signal }) => signal)).toEqual(['TERM'])

    stage.exited({ exitCode: 143, signal: 'TERM' }).acknowledgeAll()

    expect(stage.statuses.at(-1)).toMatchObject({ state: 'TASK_FAILED', healthy: false })
  })

  test('AG21: a check that takes too long is ended, and has failed', () => {
    const stage = running().ticks(5)

    expect(stage.done('abandon-check')).toEqual([{ do: 'abandon-check', containerId: 'c1' }])
    expect(stage.statuses.at(-1)).toMatchObject({ healthy: false })
  })

  test('AG21: failures while a task comes up do not count', () => {
    const stage = checked(running({ ...check, grace_period_seconds: 10 }).ticks(2), false)

    expect(stage.states).toEqual(['TASK_STARTING', 'TASK_RUNNING'])
  })

  test('AG21: a kind of check that cannot be made is refused', () => {
    const stage = new Stage()
      .registered()
      .launch({ health_check: { type: 'TCP', tcp: { port: 1 } } })

    expect(stage.statuses[0]?.message).toBe(
      'Failed to launch container: only health checks of type COMMAND are supported',
    )
  })
})

describe('statuses', () => {
  test('AG14: one at a time, each with a uuid of its own, the next after the acknowledgement', () => {
    const stage = new Stage().registered().launch().running()
    expect(stage.states).toEqual(['TASK_STARTING'])
    stage.acknowledge()
    expect(stage.states).toEqual(['TASK_STARTING', 'TASK_RUNNING'])

    const uuids = stage.statuses.map(({ uuid }) => uuid)
    expect(new Set(uuids).size).toBe(2)
    expect(uuids.map((uuid) => Buffer.from(uuid ?? '', 'base64').length)).toEqual([16, 16])
  })

  test('AG14: an acknowledgement of something else changes nothing', () => {
    const stage = new Stage().registered().launch().running()
    stage.master({ type: 'status-acknowledged', frameworkId: 'f1', taskId: 't1', uuid: 'AAAA' })
    stage.master({ type: 'status-acknowledged', frameworkId: 'f2', taskId: 't1', uuid: 'AAAA' })

    expect(stage.states).toEqual(['TASK_STARTING'])
  })

  test('AG15: without an acknowledgement the same one is sent again, less and less often', () => {
    const stage = new Stage(undefined, { statusRetryFirstMs: 200, statusRetryMaxMs: 500 })
    stage.registered().launch().running()
    const sentAt: number[] = []
    for (let tick = 1; tick <= 20; tick++) {
      const before = stage.states.length
      stage.ticks(1)
      if (stage.states.length > before) sentAt.push(tick)
    }

    expect(sentAt).toEqual([2, 6, 11, 16])
    expect(new Set(stage.statuses.map(({ uuid }) => uuid)).size).toBe(1)
  })

  test('AG15: nothing is sent while nobody is there, and everything at once after', () => {
    const stage = new Stage().registered().launch().running().acknowledgeAll()
    stage.tell({ kind: 'disconnected' }).exited({ exitCode: 0 }).ticks(1000)
    expect(stage.states).toHaveLength(2)

    stage.registered()

    expect(stage.states.at(-1)).toBe('TASK_FINISHED')
    expect(stage.events.map(({ type }) => type)).toContain('container.ended')
  })
})

describe('sessions', () => {
  const open = { sessionId: 's1', frameworkId: 'f1', taskId: 't1' }
  const exec = { type: 'open-exec', ...open, argv: ['cat'], env: { A: 'b' } }
  const chunk = { stream: 'stdout', bytes: utf8('hello') } as const

  test('AG16: logs stream from a running container, and end with its exit code', () => {
    const stage = new Stage().registered().launch().running()
    stage.master({ type: 'open-logs', ...open, follow: true })
    expect(stage.done('open-logs')).toMatchObject([{ sessionId: 's1', containerId: 'c1' }])

    stage.tell({ kind: 'session-output', sessionId: 's1', chunk })
    stage.exited({ exitCode: 7 }).tell({ kind: 'session-ended', sessionId: 's1' })

    expect(stage.said('session-output')).toEqual([
      { type: 'session-output', sessionId: 's1', stream: 'stdout', data: 'aGVsbG8=' },
    ])
    expect(stage.said('session-end')).toEqual([
      { type: 'session-end', sessionId: 's1', exitCode: 7 },
    ])
  })

  test('AG16: logs asked for during the launch begin with the start', () => {
    const stage = new Stage().registered().launch(withSecrets)
    stage.master({ type: 'open-logs', ...open, follow: true })
    expect(stage.done('open-logs')).toEqual([])

    stage.release().running()

    expect(stage.done('open-logs')).toHaveLength(1)
  })

  test('AG16: logs of a task that never started end with a reason', () => {
    const stage = new Stage().registered().launch(withSecrets)
    stage.master({ type: 'open-logs', ...open, follow: true }).kill()

    expect(stage.said('session-end')).toMatchObject([{ error: 'the container never started' }])
  })

  test('AG16: output can be read after the end, of so many containers and no more', () => {
    const stage = new Stage(undefined, { endedOutputsMax: 1 }).registered()
    stage.launch().running().exited({ exitCode: 3 }).acknowledgeAll()
    stage.master({ type: 'open-logs', ...open, follow: true })
    stage.tell({ kind: 'session-ended', sessionId: 's1' })
    expect(stage.said('session-end').at(-1)).toMatchObject({ exitCode: 3 })

    stage
      .launch({}, { taskId: 't2', containerId: 'c2' })
      .running('c2')
      .exited({ exitCode: 0 }, 'c2')
    stage.master({ type: 'open-logs', ...open, follow: false })

    expect(stage.done('forget-output')).toEqual([{ do: 'forget-output', containerId: 'c1' }])
    expect(stage.said('session-end').at(-1)).toMatchObject({
      error: 'there is no output of task t1',
    })
  })

  test('AG17: an exec gets input and signals, and ends with its own exit code', () => {
    const stage = new Stage().registered().launch().running().master(exec)
    stage.master({ type: 'session-input', sessionId: 's1', data: 'aGVsbG8=' })
    stage.master({ type: 'session-signal', sessionId: 's1', signal: 'INT' })
    stage.master({ type: 'session-input-end', sessionId: 's1' })
    stage.tell({ kind: 'session-ended', sessionId: 's1', exitCode: 2 })

    expect(stage.effects.filter(({ do: kind }) => /session|exec/.test(kind))).toEqual([
      {
        do: 'open-exec',
        sessionId: 's1',
        containerId: 'c1',
        argv: ['cat'],
        env: { A: 'b' },
        how: {},
      },
      { do: 'write-session', sessionId: 's1', bytes: utf8('hello') },
      { do: 'signal-session', sessionId: 's1', signal: 'INT' },
      { do: 'end-session-input', sessionId: 's1' },
    ])
    expect(stage.said('session-end')).toEqual([
      { type: 'session-end', sessionId: 's1', exitCode: 2 },
    ])
  })

  test('AG34: an exec is run as somebody, somewhere, on a terminal, and flows as it is read', () => {
    const archive = { do: 'unpack', path: '/srv', keepsKinds: true, isForUser: false } as const
    const how = { user: 'www', workdir: '/srv', terminal: { rows: 24, columns: 80 }, archive }
    const stage = new Stage()
      .registered()
      .launch()
      .running()
      .master({ ...exec, ...how, mustStart: true })
    expect(stage.done('open-exec')).toMatchObject([{ how: { ...how, mustStart: true } }])

    stage.master({ type: 'session-resize', sessionId: 's1', rows: 50, columns: 132 })
    stage.master({ type: 'session-hold', sessionId: 's1' })
    stage.master({ type: 'session-go', sessionId: 's1' })
    stage.tell({ kind: 'session-taken', sessionId: 's1', sizeBytes: 5 })
    const error = 'exec: "nosuch": executable file not found in $PATH'
    stage.tell({ kind: 'session-ended', sessionId: 's1', exitCode: 127, error })

    expect(stage.effects.filter(({ do: kind }) => kind.endsWith('-session'))).toEqual([
      { do: 'resize-session', sessionId: 's1', size: { rows: 50, columns: 132 } },
      { do: 'hold-session', sessionId: 's1', isHeld: true },
      { do: 'hold-session', sessionId: 's1', isHeld: false },
    ])
    expect(stage.said('session-taken')).toEqual([
      { type: 'session-taken', sessionId: 's1', sizeBytes: 5 },
    ])
    expect(stage.said('session-end')).toMatchObject([{ exitCode: 127, error }])
  })

  test('AG34: logs are asked for by their last lines and by time, and say when they were written', () => {
    const stage = new Stage().registered().launch().running()
    stage.master({ type: 'open-logs', ...open, follow: false, tail: 3, sinceMs: 1000 })
    expect(stage.done('open-logs')).toMatchObject([
      { wanted: { follow: false, tail: 3, sinceMs: 1000 } },
    ])

    stage.tell({ kind: 'session-output', sessionId: 's1', chunk: { ...chunk, atMs: 1234 } })

    expect(stage.said('session-output')).toMatchObject([{ atMs: 1234 }])
  })

  test('AG34: a running task is signalled, and nothing else is', () => {
    const signal = { type: 'signal-task', frameworkId: 'f1', taskId: 't1', signal: 'HUP' }
    const stage = new Stage().registered().launch(withSecrets).master(signal)
    expect(stage.done('signal')).toEqual([])

    stage.release().running().master(signal)

    expect(stage.done('signal')).toEqual([{ do: 'signal', containerId: 'c1', signal: 'HUP' }])
  })

  test('AG34: what a running task has used is asked for', () => {
    const stage = new Stage().registered().launch(withSecrets)
    stage.master({ type: 'open-usage', ...open })
    expect(stage.said('session-end')).toMatchObject([{ error: 'task t1 is not running' }])

    stage
      .release()
      .running()
      .master({ type: 'open-usage', ...open, sessionId: 's2' })
    expect(stage.done('open-usage')).toEqual([
      { do: 'open-usage', sessionId: 's2', containerId: 'c1' },
    ])
  })

  test('AG34: a task that asks for a terminal has one, and is told its size', () => {
    const container = { type: 'MESOS', tty_info: { window_size: { rows: 10, columns: 40 } } }
    const stage = new Stage().registered().launch({ container })

    expect(stage.done('prepare')).toMatchObject([{ spec: { terminal: { rows: 10, columns: 40 } } }])
    const { frameworkId, taskId } = open
    stage.running().master({ type: 'resize-task', frameworkId, taskId, rows: 50, columns: 132 })
    expect(stage.done('resize')).toEqual([
      { do: 'resize', containerId: 'c1', size: { rows: 50, columns: 132 } },
    ])
  })

  test('AG34: who is attached types to the program itself, where the service lets it read', () => {
    const service = { id: 's', name: 'web', open_stdin: true }
    const stage = new Stage().registered().launch({ container: { type: 'MESOS', service } })
    stage.master({ type: 'open-logs', ...open, follow: true, isAttached: true })
    expect(stage.done('prepare')).toMatchObject([{ spec: { hasInput: true } }])

    stage.running()
    stage.master({ type: 'session-input', sessionId: 's1', data: 'aGVsbG8=' })

    expect(stage.done('open-logs')).toMatchObject([{ sessionId: 's1', isAttached: true }])
    expect(stage.done('write-session')).toMatchObject([{ bytes: utf8('hello') }])
  })

  test('AG17: there is no exec into what does not run', () => {
    const stage = new Stage().registered().master(exec)

    expect(stage.said('session-end')).toMatchObject([{ error: 'task t1 is not running' }])
  })

  test('AG18: a session ends with its connection, and closed it says nothing more', () => {
    const stage = new Stage().registered().launch().running().master(exec)
    stage.tell({ kind: 'disconnected' }).registered()
    expect(stage.done('close-session')).toEqual([{ do: 'close-session', sessionId: 's1' }])

    stage.tell({ kind: 'session-output', sessionId: 's1', chunk })
    stage.tell({ kind: 'session-ended', sessionId: 's1', exitCode: 0 })
    stage.master({ type: 'session-input', sessionId: 's1', data: 'aGVsbG8=' })

    expect([stage.said('session-output'), stage.said('session-end')]).toEqual([[], []])
    expect(stage.done('write-session')).toEqual([])
  })
})

const effectsOfOneLife = () =>
  JSON.stringify(new Stage().registered().launch(withSecrets).kill().acknowledgeAll().effects)

describe('a secret on its way', () => {
  test('AG19: it is in no message, event or status, and in no effect but one', () => {
    const stage = new Stage().registered().launch(withSecrets).release().running()
    stage.exited({ exitCode: 0 }).acknowledgeAll()

    const seen = JSON.stringify(stage.effects)
    expect(seen).not.toContain(secretValue)
    expect(seen).not.toContain(Buffer.from(secretValue).toString('base64'))
    expect(stage.plan.some((step) => step.do === 'write-file')).toBe(true)
    wipePlan(stage.plan)
  })

  test('AG19: the bytes of an answer that came too late are not kept anywhere', () => {
    const stage = new Stage().registered().launch(withSecrets).kill().release()

    expect(stage.effects.some((effect) => effect.do === 'prepare')).toBe(false)
  })

  test('AG20: the same inputs and dice lead to the same effects', () => {
    expect(effectsOfOneLife()).toBe(effectsOfOneLife())
  })
})

const fileVolume = (name: string, more: object = {}): object => ({
  mode: 'RO',
  container_path: '/run/secrets/pw',
  source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name } } },
  file: { mode: 0o444, uid: 0, gid: 0, object: 'SECRET', object_id: 'x', target: 'pw', ...more },
})
const rotateMessage = (of: object, rotation = 1): object => ({
  type: 'rotate-files',
  frameworkId: 'f1',
  taskId: 't1',
  containerId: 'c1',
  rotation,
  container: of,
})
const replacedFiles = (stage: Stage): readonly string[] =>
  (stage.done('replace-files').at(-1)?.files ?? []).map(
    ({ name, bytes }) => `${name} ${utf8Text(bytes.reveal())}`,
  )

describe('MA61: new contents for the files of a container that runs', () => {
  const service = { id: 's', name: 'web' }
  const container = (...volumes: object[]): object => ({ type: 'MESOS', service, volumes })
  const running = (of: object = container(fileVolume('db'))): Stage =>
    new Stage().registered().launch({ container: of }).release().running()
  test('are asked for as those of a new one, put in their place, and answered for', () => {
    const stage = running().master(rotateMessage(container(fileVolume('db2'))))
    expect(stage.said('resolve').at(-1)?.secrets).toMatchObject([
      { secret: { reference: { name: 'db2' } }, purpose: 'volume /run/secrets/pw' },
    ])
    stage.release('new')
    expect(replacedFiles(stage)).toEqual(['0 new'])
    expect(stage.said('files-rotated')).toEqual([])
    stage.tell({ kind: 'files-replaced', containerId: 'c1', rotation: 1 })
    expect(stage.said('files-rotated')).toEqual([
      { type: 'files-rotated', frameworkId: 'f1', taskId: 't1', rotation: 1 },
    ])
    expect(stage.states).not.toContain('TASK_FAILED')
  })

  test('are expanded where they are templates', () => {
    const of = container(fileVolume('db', { template: 'golang' }))
    const stage = running(of).master(rotateMessage(of)).release('{{.Service.Name}}')
    expect(replacedFiles(stage)).toEqual(['0 web'])
  })

  test.each<[string, object, string]>([
    ['another place', { ...fileVolume('db'), container_path: '/other' }, 'not the ones'],
    ['another mode', fileVolume('db', { mode: 0o400 }), 'not the ones'],
    ['a bad template', fileVolume('db', { template: 'x' }), 'unrecognized template type'],
  ])('are refused with %s', (_what, wanted, message) => {
    const stage = running()
      .master(rotateMessage(container(wanted)))
      .release('new')
    expect(stage.done('replace-files')).toEqual([])
    expect(stage.said('files-rotated')).toMatchObject([
      { failure: expect.stringContaining(message) as string },
    ])
  })

  test('are refused for a container that does not run, and answered for when nobody releases them', () => {
    const none = new Stage().registered().master(rotateMessage(container(fileVolume('db'))))
    expect(none.said('files-rotated')).toMatchObject([{ failure: 'the container does not run' }])

    const stage = running()
      .master(rotateMessage(container(fileVolume('db'))))
      .ticks(400)
    expect(stage.said('files-rotated')).toMatchObject([
      { failure: 'no master released its secrets in time' },
    ])
    stage.release('late')
    expect(stage.done('replace-files')).toEqual([])
  })

  test('asked again while they are under way, only the newest counts', () => {
    const stage = running()
      .master(rotateMessage(container(fileVolume('db')), 1))
      .master(rotateMessage(container(fileVolume('db')), 2))
      .release('new')
    expect(stage.done('replace-files')).toHaveLength(1)
    stage.tell({ kind: 'files-replaced', containerId: 'c1', rotation: 1 })
    expect(stage.said('files-rotated')).toEqual([])
    stage.tell({ kind: 'files-replaced', containerId: 'c1', rotation: 2, failure: 'no room' })
    expect(stage.said('files-rotated')).toMatchObject([{ rotation: 2, failure: 'no room' }])
  })
})

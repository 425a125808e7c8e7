import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeView, WorkloadTaskView, WorkloadView } from '@conclave/actors'
import { canary, expectNoLeak, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, repository, until } from '../src/index.ts'

/*
 * Workloads as a person keeps them running, with the specs of examples/workloads, while what they run on is
 * taken away under them.
 */

const first = canary('first')
const second = canary('second')
const example = (name: string): string => join(repository, 'examples/workloads', `${name}.json`)

let cluster: Conclave
/** Tasks whose secrets an agent has said it forgot. */
const forgotten = new Set<string>()

beforeAll(async () => {
  cluster = await Conclave.start()
  listen()
  await cluster.put('apps/web/password', first.text)
  await cluster.put('apps/web/password-2', second.text)
})
afterAll(async () => {
  await cluster?.stop()
})

/** Which tasks' secrets are gone, told by any master that lives. */
function listen(): void {
  for (const master of cluster.ready.masters) {
    void cluster.hear(master, 'secret.forgotten', ({ taskId }) => void forgotten.add(taskId))
  }
}

async function app(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.cli(['app', ...args])
  expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
  return stdout
}

const inspect = async (name = 'web'): Promise<WorkloadView> =>
  JSON.parse(await app('inspect', name)) as WorkloadView

const tasks = async (name = 'web'): Promise<readonly WorkloadTaskView[]> =>
  JSON.parse(await app('ps', name, '--json')) as WorkloadTaskView[]

const running = async (name = 'web'): Promise<readonly WorkloadTaskView[]> =>
  (await tasks(name)).filter(({ state, desired }) => state === 'running' && desired === 'running')

/** Everything that runs on one agent, of anybody. */
async function onAgent(name: string): Promise<number | undefined> {
  const { stdout } = await cluster.cli(['node', 'ls', '--json'])
  return (JSON.parse(stdout) as NodeView[]).find((node) => node.name === name)?.tasks
}

async function passwords(): Promise<readonly string[]> {
  const all = (await running()).map(async ({ taskId }) => {
    const { stdout } = await cluster.cli(['task', 'exec', taskId, '--', 'cat', 'keys/password'])
    return stdout
  })
  return Promise.all(all)
}

describe('a workload with a secret', () => {
  test('has three instances, each with the secret, on both agents', async () => {
    await app('create', example('web'))

    const shown = await running()
    expect(shown.map(({ slot }) => slot)).toEqual(['1', '2', '3'])
    expect(new Set(shown.map(({ nodeName }) => nodeName)).size).toBe(2)
    expect(await passwords()).toEqual([first.text, first.text, first.text])
  })

  test('gets another one for each that ends, with the time of each in its history', async () => {
    const [victim] = await running()
    await cluster.cli(['task', 'kill', victim?.taskId ?? ''])

    await until('the next one runs', async () => {
      const now = await running()
      return now.length === 3 && now.every(({ id }) => id !== victim?.id)
    })
    const past = (await tasks()).find(({ id }) => id === victim?.id)
    expect(past).toMatchObject({ desired: 'shutdown', state: 'killed', slot: victim?.slot })
    expect(past?.endedAtMs).toBeGreaterThanOrEqual(past?.startedAtMs ?? Infinity)
    const next = (await running()).find(({ slot }) => slot === victim?.slot)
    expect((next?.startedAtMs ?? 0) - (past?.endedAtMs ?? 0)).toBeGreaterThanOrEqual(500)
  })

  test('is rotated by an update, one instance after the other', async () => {
    await app('update', 'web', example('web-rotated'))

    expect(await inspect()).toMatchObject({
      templateVersion: 2,
      update: { state: 'completed', message: 'update completed' },
      counts: { desired: 3, running: 3, updated: 3 },
    })
    expect(await passwords()).toEqual([second.text, second.text, second.text])
  })

  test('says which secrets it uses now', async () => {
    const leader = await cluster.leader()
    const users = async (path: string): Promise<unknown> => {
      const url = `/conclave/v1/workload-users?secret=${path}`
      const { body } = await cluster.ask(leader, 'conclave', url)
      return JSON.parse(Buffer.from(body).toString())
    }

    expect(await users('apps/web/password')).toEqual({ workloads: [] })
    expect(await users('apps/web/password-2')).toEqual({ workloads: ['web'] })
  })

  test('goes back by itself when an update fails, and the command says so', async () => {
    const before = await running()
    const { code, stderr } = await cluster.cli(['app', 'update', 'web', example('web-broken')])

    expect(code).toBe(1)
    expect(stderr).toMatch(/update rolled back due to failure or early termination of task/)
    expect(stderr).toMatch(/no secret apps\/web\/no-such-secret/)
    const now = await running()
    expect(now.map(({ templateVersion }) => templateVersion)).toEqual([2, 2, 2])
    // All but the one that was tried first have never been away.
    const stayed = now.filter(({ id }) => before.some((task) => task.id === id))
    expect(stayed).toHaveLength(2)
  })

  test('is scaled up and down', async () => {
    await app('scale', 'web', '5')
    expect(await running()).toHaveLength(5)
    await app('scale', 'web', '3')
    await until(
      'two are gone',
      async () => (await tasks()).length < 12 && (await running()).length === 3,
    )
  })

  test('is refused from a version that is not the current one', async () => {
    const args = ['app', 'scale', 'web', '4', '--if-version', '1']

    expect((await cluster.cli(args)).code).toBe(6)
    expect((await cluster.cli(['app', 'create', example('web')])).code).toBe(6)
    expect((await cluster.cli(['app', 'ps', 'nobody'])).code).toBe(3)
  })
})

describe('what it runs on', () => {
  test('may lose its scheduler and its leader in the middle of an update', async () => {
    const slots = (await running()).map(({ slot }) => slot)
    const { id, spec } = await inspect()
    const leader = await cluster.leader()
    const path = `/conclave/v1/workloads/${id}`
    // Slow enough to be in the middle of it for a while, on a slow machine, too.
    const update = { ...spec.update, delayMs: 3000 }
    const changed = await cluster.ask(leader, 'conclave', path, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify({ ...spec, update, forceUpdate: 1 })),
    })
    expect(changed.status).toBe(200)
    await until('the update has begun', async () => {
      const { body } = await cluster.ask(leader, 'conclave', path)
      const view = JSON.parse(Buffer.from(body).toString()) as WorkloadView
      return view.update?.state === 'updating'
    })
    await cluster.kill('scheduler-1', leader.masterId)
    await cluster.restart('scheduler-1')

    await until('the update is completed', async () => {
      const { update: status } = await inspect()
      return status?.state === 'completed'
    })
    await cluster.restart(leader.masterId)
    const now = await running()
    expect(now.map(({ slot }) => slot)).toEqual(slots)
    const { templateVersion } = await inspect()
    expect(now.every((task) => task.templateVersion === templateVersion)).toBe(true)
    const counted = await Promise.all(['agent-1', 'agent-2'].map(onAgent))
    expect(counted.reduce((sum: number, one) => sum + (one ?? 0), 0)).toBe(3)
    expect(await passwords()).toEqual([second.text, second.text, second.text])
  })

  test('may lose an agent, which is drained: its tasks move and their secrets are forgotten', async () => {
    const moved = (await running()).filter(({ nodeName }) => nodeName === 'agent-1')
    expect(moved.length).toBeGreaterThan(0)
    listen()
    await cluster.cli(['node', 'update', 'agent-1', '--availability', 'drain'])

    await until('agent-1 has none', async () => (await onAgent('agent-1')) === 0)
    await until('three run on the other', async () => {
      const now = await running()
      return now.length === 3 && now.every(({ nodeName }) => nodeName === 'agent-2')
    })
    await until('their secrets are forgotten', () =>
      moved.every(({ taskId }) => forgotten.has(taskId)),
    )
    const directory = cluster.ready.agents.find(({ id }) => id === 'agent-1')?.directory ?? ''
    const left = await scanDirectory(directory, [first, second])
    expect(left.hits).toEqual([])
  })

  test('may get an agent back, and a global workload has one on each', async () => {
    await app('create', example('every-node'))
    expect((await running('every-node')).map(({ slot }) => slot)).toEqual(['agent-2'])

    await cluster.cli(['node', 'update', 'agent-1', '--availability', 'active'])
    await until('both have one', async () => (await running('every-node')).length === 2)
    expect((await running('every-node')).map(({ nodeName }) => nodeName)).toEqual([
      'agent-1',
      'agent-2',
    ])
  })
})

describe('a job with a secret', () => {
  test('ends as often as it shall, and its secret is forgotten each time', async () => {
    listen()
    await app('create', example('migrate'))

    expect(await inspect('migrate')).toMatchObject({
      counts: { desired: 0, running: 0 },
      job: { iteration: 0, total: 4, completed: 4, failed: 0 },
    })
    const done = await tasks('migrate')
    expect(done.map(({ slot, state, desired }) => [slot, state, desired])).toEqual(
      ['0', '1', '2', '3'].map((slot) => [slot, 'finished', 'complete']),
    )
    await until('all is forgotten', () => done.every(({ taskId }) => forgotten.has(taskId)))
    for (const { directory } of cluster.ready.agents) {
      expect((await scanDirectory(directory, [first, second])).hits).toEqual([])
    }
    expect(await app('ls')).toMatch(/^migrate +replicated-job +0\/0 \(4\/4 completed\) +- /m)
  })

  test('is run anew when it is told to be, and says what it gave up', async () => {
    await app('update', 'migrate', '--force')
    expect((await inspect('migrate')).job).toMatchObject({ iteration: 1, completed: 4 })

    const { spec } = await inspect('migrate')
    const template = { ...spec.template, command: { shell: true, value: 'exit 3' } }
    const mode = { kind: 'replicated-job', completions: 1 }
    const restart = { condition: 'none' }
    const failing = JSON.stringify({ ...spec, template, mode, restart })
    const { code, stderr } = await cluster.cli(['app', 'update', 'migrate', '-'], failing)
    expect(code).toBe(1)
    expect(stderr).toMatch(/migrate: 0 of 1 completed, 0 running, 1 given up/)
    await app('rm', 'migrate')
  })
})

describe('the end', () => {
  test('of a workload leaves no task, and gives its name away', async () => {
    await app('rm', 'web', 'every-node')

    expect(JSON.parse(await app('ls', '--json'))).toEqual([])
    await until('no agent has a task', async () => {
      const counted = await Promise.all(['agent-1', 'agent-2'].map(onAgent))
      return counted.every((count) => count === 0)
    })
    await app('create', example('web'))
    await app('rm', 'web')
  })

  test('finds no value of a secret anywhere', async () => {
    const found = await scanDirectory(cluster.directory, [first, second])
    expect(found.hits).toEqual([])
    const answers = await Promise.all([
      cluster.cli(['task', 'ls', '--json']),
      cluster.cli(['state']),
      cluster.cli(['app', 'ls', '--json']),
    ])
    expectNoLeak({ answers, log: readFileSync(cluster.home.file('ready.json')) }, [first, second])
  })
})

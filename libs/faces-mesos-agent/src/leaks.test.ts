import { parseExecutorCall } from '@conclave/model'
import { canary, expectNoLeak, findCanaries } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { executorEventText } from './executor-api.ts'
import { Front } from './testing/front.ts'

/*
 * The agent's rows of the leak map (reference mesos.md §21), each in both modes: what an agent shows by
 * itself, and what it shows when it is told to leak as Mesos does.
 */

let front: Front | undefined
afterEach(() => front?.app.close())

const value = canary('inline')
const given = canary('given by an operator')
const dockerConfig = canary('docker config')
const union = canary('a contradiction')
const label = canary('label')

const envelope = Buffer.from('an envelope').toString('base64')
const sealedAs = (id: string): object => ({ type: 'VALUE', value: { sealed: { id, envelope } } })
const sealed = sealedAs('i1')
const reference = { type: 'REFERENCE', reference: { name: 'dev/db', key: 'password' } }
const variables = (secret: object): object[] => [
  { name: 'A', type: 'SECRET', secret },
  { name: 'B', type: 'SECRET', secret: reference },
]
const volume = (secret: object): object => ({
  mode: 'RO',
  container_path: 'v',
  source: { type: 'SECRET', secret },
})

/** Everything that an agent shows of what it runs. */
async function surfaces(faithfulLeaks: boolean): Promise<ReadonlyMap<string, string>> {
  const leaked: Record<string, string> = faithfulLeaks ? { docker_config: dockerConfig.text } : {}
  front = new Front({ faithfulLeaks, flags: leaked })
  front.secretValue = value.text
  const data = Buffer.from(given.bytes).toString('base64')
  // As an operator gives it: the masters' own launches have their values sealed.
  await front.ask('/api/v1', {
    type: 'LAUNCH_CONTAINER',
    launch_container: {
      container_id: { value: 'alone' },
      command: {
        value: 'x',
        environment: { variables: variables({ type: 'VALUE', value: { data } }) },
      },
    },
  })
  // Both of a MESOS and of a DOCKER container: Mesos takes it, and logs a warning.
  await front.ask('/api/v1', {
    type: 'LAUNCH_CONTAINER',
    launch_container: {
      container_id: { value: 'contradiction' },
      command: { value: 'x' },
      container: {
        type: 'MESOS',
        docker: { image: 'i' },
        volumes: [
          volume({ type: 'VALUE', value: { data: Buffer.from(union.bytes).toString('base64') } }),
        ],
      },
    },
  })
  const secrets = {
    command: { value: 'x', environment: { variables: variables(sealed) } },
    container: { type: 'MESOS', volumes: [volume(sealed)] },
    labels: { labels: [{ key: 'k', value: label.text }] },
  }
  front.launch('command', 'command', { executor: undefined, ...secrets })
  front.held.add('c-queued')
  front.launch('queued', 'queued', { executor: undefined, ...secrets })
  front.launch('told', 'e2', {
    ...secrets,
    command: undefined,
    // What the executor is to make of it is its own business: nobody on this agent asks for this value.
    container: { type: 'MESOS', volumes: [volume(sealedAs('i2'))] },
    executor: {
      executor_id: { value: 'e2' },
      command: { value: 'x', environment: { variables: variables(sealed) } },
    },
  })
  const told: string[] = []
  const { api } = front.actor
  const refusal = api.executorCall(
    undefined,
    parseExecutorCall({
      type: 'SUBSCRIBE',
      framework_id: { value: 'f1' },
      executor_id: { value: 'e2' },
      subscribe: {},
    }),
    {
      send: (event) => {
        const options = { authenticateExecutors: true, faithfulLeaks, flags: {} }
        told.push(executorEventText(api, options, event))
      },
      close: () => undefined,
    },
  )
  expect(refusal).toBeUndefined()
  const found = new Map<string, string>()
  for (const url of ['/state', '/flags']) {
    found.set(url, (await front.ask(url, undefined, {}, 'GET')).body)
  }
  for (const type of ['GET_STATE', 'GET_EXECUTORS', 'GET_TASKS', 'GET_CONTAINERS', 'GET_FLAGS']) {
    found.set(type, (await front.ask('/api/v1', { type })).body)
  }
  found.set('LAUNCH', told.filter((text) => text.includes('"type":"LAUNCH"')).join('\n'))
  found.set('SUBSCRIBED', told.filter((text) => text.includes('"type":"SUBSCRIBED"')).join('\n'))
  found.set('log', front.log.text)
  return found
}

const where = (seen: ReadonlyMap<string, string>, one: ReturnType<typeof canary>): string[] =>
  [...seen]
    .filter(([, text]) => findCanaries(Buffer.from(text), [one]).length > 0)
    .map(([name]) => name)
    .toSorted()

describe('FA8: the leak map of an agent (mesos.md §21)', () => {
  test('row by row, nothing of a value by default', async () => {
    const seen = await surfaces(false)

    const all = [value, given, dockerConfig, union]
    expectNoLeak(Object.fromEntries(seen), all)
    expect(all.flatMap((one) => where(seen, one))).toEqual([])
    expect(seen.get('log')).toContain('Invalid protobuf union detected in the given ContainerInfo')
  })

  test('with faithfulLeaks values of command tasks and of executors stand where Mesos has them', async () => {
    const seen = await surfaces(true)

    expect(where(seen, value)).toEqual([
      '/state',
      'GET_EXECUTORS',
      'GET_STATE',
      'GET_TASKS',
      'LAUNCH',
      'SUBSCRIBED',
    ])
    expect(where(seen, dockerConfig)).toEqual(['/flags', '/state', 'GET_FLAGS'])
    expect(where(seen, given)).toEqual([])
    expect(where(seen, union)).toEqual(['log'])
  })

  test.each([false, true])(
    'names, keys and labels are shown, and no envelope, with leaks %s',
    async (leaks) => {
      const seen = await surfaces(leaks)

      expect(seen.get('GET_EXECUTORS')).toContain('"reference":{"name":"dev/db","key":"password"}')
      expect(seen.get('LAUNCH')).toContain('"reference":{"name":"dev/db","key":"password"}')
      expect(where(seen, label)).toEqual([
        '/state',
        'GET_EXECUTORS',
        'GET_STATE',
        'GET_TASKS',
        'LAUNCH',
      ])
      for (const [name, text] of seen)
        expect({ name, has: text.includes(envelope) }).toEqual({ name, has: false })
    },
  )

  test.each([false, true])(
    'a task in line shows its command, and a value in it only with leaks: %s',
    async (leaks) => {
      const seen = await surfaces(leaks)

      const { frameworks } = JSON.parse(seen.get('/state') ?? '') as {
        frameworks: { executors: { queued_tasks: { name: string; command?: object }[] }[] }[]
      }
      const queued = frameworks.flatMap(({ executors }) =>
        executors.flatMap(({ queued_tasks: tasks }) => tasks),
      )
      expect(queued.map(({ name }) => name)).toEqual(['queued'])
      const command = JSON.stringify(queued[0]?.command)
      expect(command).toContain('"name":"dev/db"')
      expect(findCanaries(Buffer.from(command), [value]).length > 0).toBe(leaks)
    },
  )

  test.each([false, true])(
    'LAUNCH has the inline values of task and executor, or their type alone: with leaks %s',
    async (leaks) => {
      const seen = await surfaces(leaks)

      const { launch } = JSON.parse(seen.get('LAUNCH') ?? '') as {
        launch: { task: { container: Container; executor: Executor } }
      }
      const [inVolume] = launch.task.container.volumes.map(({ source }) => source.secret)
      const [inVariable] = launch.task.executor.command.environment.variables
      const shown = leaks
        ? { type: 'VALUE', value: { data: Buffer.from(value.bytes).toString('base64') } }
        : { type: 'VALUE' }
      expect([inVolume, inVariable?.secret]).toEqual([shown, shown])
    },
  )
})

interface Container {
  readonly volumes: readonly { readonly source: { readonly secret: object } }[]
}
interface Executor {
  readonly command: {
    readonly environment: { readonly variables: readonly { readonly secret: object }[] }
  }
}

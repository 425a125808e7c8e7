import {
  asciiJson,
  MasterEvent,
  MasterResponse,
  parseCall,
  toJson,
  type MasterCall,
} from '@conclave/model'
import { Redacted, utf8 } from '@conclave/kernel'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { MemoryAgent } from '../testing/memory-agent.ts'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { MemoryFramework } from '../testing/memory-framework.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import type { OperatorConnection, ShownMessage } from './operator-api.ts'

/*
 * The master's rows of the leak map (reference mesos.md §21), each in both modes: what a master shows by
 * itself, and what it shows when it is told to leak as Mesos does.
 */

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const values = {
  volume: 'value-of-a-volume-91',
  image: 'value-of-an-image-92',
  taskVariable: 'value-of-a-task-variable-93',
  checkVariable: 'value-of-a-check-variable-94',
  executorVariable: 'value-of-an-executor-variable-95',
  executorVolume: 'value-of-an-executor-volume-96',
  plainVariable: 'plain-variable-97',
  executorData: 'data-for-an-executor-98',
  taskData: 'data-for-a-task-99',
  label: 'label-90',
  resolved: 'resolved-89',
  union: 'value-in-a-contradiction-87',
} as const
const inline = (value: string): object => ({ type: 'VALUE', value: { data: base64(value) } })
const reference = { type: 'REFERENCE', reference: { name: 'dev/db', key: 'password' } }
const secretVariable = (name: string, secret: object): object => ({ name, type: 'SECRET', secret })
const volume = (container_path: string, secret: object): object => ({
  mode: 'RO',
  container_path,
  source: { type: 'SECRET', secret },
})
const scalar = (name: string, value: number): object => ({
  name,
  type: 'SCALAR',
  scalar: { value },
})
const small = [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 1)]

const task = (id: string): object => ({
  name: id,
  task_id: { value: id },
  resources: small,
  command: {
    value: 'true',
    environment: {
      variables: [secretVariable('A', inline(values.taskVariable)), secretVariable('R', reference)],
    },
  },
  container: {
    type: 'MESOS',
    volumes: [volume('v', inline(values.volume)), volume('r', reference)],
    mesos: {
      image: { type: 'DOCKER', docker: { name: 'i', config: inline(values.image) } },
    },
  },
  health_check: {
    type: 'COMMAND',
    command: {
      value: 'true',
      environment: { variables: [secretVariable('C', inline(values.checkVariable))] },
    },
  },
  labels: { labels: [{ key: 'k', value: values.label }] },
  data: base64(values.taskData),
})

/** Both of a MESOS and of a DOCKER container: Mesos takes it, and logs a warning. */
const contradiction = {
  type: 'MESOS',
  docker: { image: 'i' },
  volumes: [volume('v', inline(values.union))],
}

const executor = {
  type: 'CUSTOM',
  executor_id: { value: 'e' },
  resources: small,
  data: base64(values.executorData),
  command: {
    value: 'run',
    uris: [{ value: 'http://user:password-88@host/file' }],
    environment: {
      variables: [
        secretVariable('E', inline(values.executorVariable)),
        { name: 'P', value: values.plainVariable },
      ],
    },
  },
  container: { type: 'MESOS', volumes: [volume('x', inline(values.executorVolume))] },
}

class Watcher implements OperatorConnection {
  readonly streamId = 'watcher'
  readonly texts: string[] = []
  send({ message, writing }: ShownMessage<MasterEvent>): void {
    this.texts.push(asciiJson(toJson(MasterEvent, message, writing)))
  }
  close(): void {
    this.texts.push('closed')
  }
}

const cleanUp: (() => void)[] = []
afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo()
})

const bytes = (text: string) => ({ kind: 'text' as const, bytes: new Redacted(utf8(text)) })

/** Every surface of a master that runs one command task and one group of a custom executor. */
async function surfaces(faithfulLeaks: boolean): Promise<ReadonlyMap<string, string>> {
  const random = new SeededRandom(7)
  const cluster = new MemoryCluster({
    masters: 1,
    clock: new ManualClock(1_700_000_000_000),
    random,
    identities: await firstPeople(random),
    settings: { faithfulLeaks },
  })
  cleanUp.push(() => cluster.leader.crash())
  await cluster.elected()
  const { actor } = cluster.leader
  const root = callerOf('root')
  await cluster.settle(
    actor.secrets.create(root, 'dev/db', bytes(`{"password":"${values.resolved}"}`)),
  )
  const watcher = new Watcher()
  expect(actor.operators.watch(root, watcher)).toBeUndefined()

  const agent = new MemoryAgent(actor, 'agent-1')
  agent.say({
    type: 'register',
    info: {
      hostname: 'agent-1.example',
      resources: [scalar('cpus', 4), scalar('mem', 1024), scalar('disk', 100)],
    },
    runtime: 'memory',
    tasks: [],
  })
  const framework = new MemoryFramework(actor, callerOf('scheduler'))
  framework.subscribe()
  await cluster.until(() => framework.offers.length > 0)
  const [offer] = framework.offers
  const agent_id = offer?.agent_id
  const answer = actor.frameworks.call(
    callerOf('scheduler'),
    parseCall({
      type: 'ACCEPT',
      framework_id: { value: framework.frameworkId },
      accept: {
        offer_ids: [offer?.id],
        operations: [
          {
            type: 'LAUNCH',
            launch: {
              task_infos: [
                { ...task('t'), agent_id },
                { ...task('u'), agent_id, container: contradiction },
              ],
            },
          },
          {
            type: 'LAUNCH_GROUP',
            launch_group: { executor, task_group: { tasks: [{ ...task('g'), agent_id }] } },
          },
          {
            type: 'LAUNCH_GROUP',
            launch_group: {
              executor: { ...executor, name: 'another' },
              task_group: { tasks: [{ ...task('h'), agent_id }] },
            },
          },
        ],
      },
    }),
    framework.streamId,
  )
  expect(answer.status).toBe(202)
  await cluster.until(() => agent.heard('launch-group').length > 0)
  await cluster.until(() => framework.statesOf('h').length > 0)

  const found = new Map<string, string>()
  for (const type of ['GET_STATE', 'GET_TASKS', 'GET_EXECUTORS', 'GET_FLAGS'] as const) {
    const call: MasterCall = { type }
    const read = await cluster.settle(actor.operators.call(root, call))
    if (!('shown' in read)) throw new Error(`${type} was not answered`)
    const { message, writing } = read.shown
    found.set(type, asciiJson(toJson(MasterResponse, message, writing)))
  }
  for (const endpoint of ['state', 'tasks', 'frameworks', 'flags'] as const) {
    const read = actor.operators.legacy(root, endpoint, {})
    if (!('json' in read)) throw new Error(`/${endpoint} was not answered`)
    found.set(`/${endpoint}`, asciiJson(read.json))
  }
  found.set('TASK_ADDED', watcher.texts.filter((text) => text.includes('TASK_ADDED')).join('\n'))
  found.set('update', JSON.stringify(framework.heard))
  found.set('log', cluster.leader.warnings.join('\n'))
  return found
}

const ofTasks = ['GET_STATE', 'GET_TASKS', '/state', '/tasks', '/frameworks', 'TASK_ADDED']
const ofExecutors = ['GET_STATE', 'GET_EXECUTORS', '/state', '/frameworks']
const v1Executors = ['GET_STATE', 'GET_EXECUTORS']
const incompatible = ['update']

/** The row, what is looked for, and where a master that leaks as Mesos does shows it. */
const rows: readonly (readonly [string, string, readonly string[]])[] = [
  ['a volume secret VALUE of a task', base64(values.volume), ofTasks],
  ['an image secret VALUE of a task', base64(values.image), ofTasks],
  ['a secret VALUE in a health check', base64(values.checkVariable), ofTasks],
  ['a volume secret VALUE of a contradiction', base64(values.union), [...ofTasks, 'log']],
  ['a secret VALUE in the environment of a task', base64(values.taskVariable), []],
  [
    'a secret VALUE in the environment of an executor',
    base64(values.executorVariable),
    [...ofExecutors, ...incompatible],
  ],
  [
    'a volume secret VALUE of an executor',
    base64(values.executorVolume),
    [...v1Executors, ...incompatible],
  ],
  ['a plain variable of an executor', values.plainVariable, [...ofExecutors, ...incompatible]],
  ['the data of an executor', base64(values.executorData), [...v1Executors, ...incompatible]],
  ['a password in a URI of an executor', 'password-88', [...ofExecutors, ...incompatible]],
  ['the data of a task', base64(values.taskData), []],
  ['a resolved value', values.resolved, []],
]

const everywhere: readonly (readonly [string, string, readonly string[]])[] = [
  ['a label of a task', values.label, ofTasks],
  ['the name that a task refers to', '"name":"dev/db","key":"password"', ofTasks],
]

describe('the leak map (mesos.md §21)', () => {
  test('by default a master shows no value of any kind', async () => {
    const seen = await surfaces(false)
    for (const [row, needle] of rows) {
      const shown = [...seen].filter(([, text]) => text.includes(needle)).map(([where]) => where)
      expect({ row, shown }).toEqual({ row, shown: [] })
    }
  })

  test('with faithfulLeaks it shows what Mesos shows, and where', async () => {
    const seen = await surfaces(true)
    for (const [row, needle, where] of rows) {
      const shown = [...seen].filter(([, text]) => text.includes(needle)).map(([name]) => name)
      expect({ row, shown: shown.toSorted() }).toEqual({ row, shown: [...where].toSorted() })
    }
  })

  test.each([false, true])('labels and names of secrets are shown with leaks %s', async (leaks) => {
    const seen = await surfaces(leaks)
    for (const [row, needle, where] of everywhere) {
      const shown = [...seen].filter(([, text]) => text.includes(needle)).map(([name]) => name)
      expect({ row, shown: shown.toSorted() }).toEqual({ row, shown: [...where].toSorted() })
    }
  })
})

describe('MA66: an agent that says it leaks', () => {
  test.each([
    { masterLeaks: false, agentLeaks: true, is: 'refused' },
    { masterLeaks: false, agentLeaks: false, is: 'registered' },
    { masterLeaks: true, agentLeaks: true, is: 'registered' },
    { masterLeaks: true, agentLeaks: false, is: 'registered' },
  ])('is $is by a master whose own leaks are $masterLeaks: $agentLeaks', async (row) => {
    const random = new SeededRandom(7)
    const cluster = new MemoryCluster({
      masters: 1,
      clock: new ManualClock(1_700_000_000_000),
      random,
      identities: await firstPeople(random),
      settings: { faithfulLeaks: row.masterLeaks },
    })
    cleanUp.push(() => cluster.leader.crash())
    await cluster.elected()
    const agent = new MemoryAgent(cluster.leader.actor, 'agent-1')
    const said = { name: 'faithful_leaks', type: 'TEXT', text: { value: `${row.agentLeaks}` } }
    agent.say({
      type: 'register',
      info: { hostname: 'h', resources: small, attributes: [said] },
      runtime: 'memory',
      tasks: [],
    })
    await cluster.until(() => agent.received.some(({ type }) => answers.has(type)))

    const [why] = agent.heard('shutdown').map((one) => one.why)
    expect(agent.heard('registered')).toHaveLength(row.is === 'registered' ? 1 : 0)
    expect(why?.includes('--faithful-leaks')).toBe(row.is === 'refused' ? true : undefined)
  })
})

const answers: ReadonlySet<string> = new Set(['registered', 'shutdown'])

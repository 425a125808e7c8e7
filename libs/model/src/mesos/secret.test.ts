import { inspect } from 'node:util'
import { Redacted, utf8, wipe } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import {
  asciiJson,
  CallMalformed,
  parse,
  parseOurs,
  partsIn,
  toJson,
  type Message,
} from './message.ts'
import { Operation } from './offer.ts'
import { parseCall, SchedulerCall } from './scheduler.ts'
import { dropSecretValues, sealSecrets, Secret, wipeSecrets } from './secret.ts'
import { Task, TaskInfo } from './task-info.ts'

const canary = 'canary-7f3a9c52'
const data = Buffer.from(canary).toString('base64')
const inline = { type: 'VALUE', value: { data } }
const variables = [{ name: 'A', type: 'SECRET', secret: inline }]
const ids = { name: 't', task_id: { value: 't' }, agent_id: { value: 'a' } }
const withVariables = { value: 'x', environment: { variables } }
const secretVolume = { mode: 'RO', container_path: 'a', source: { type: 'SECRET', secret: inline } }
const image = { type: 'DOCKER', docker: { name: 'i', config: inline } }
const csi = {
  mode: 'RO',
  container_path: 'c',
  source: {
    type: 'CSI_VOLUME',
    csi_volume: {
      plugin_name: 'p',
      static_provisioning: {
        volume_id: 'v',
        volume_capability: {},
        node_stage_secrets: { one: inline },
        node_publish_secrets: { two: inline },
      },
    },
  },
}

/** Every place where a task may hold an inline secret. */
const places: readonly (readonly [string, object, number])[] = [
  ['a variable of the command', { command: withVariables }, 1],
  ['a secret volume', { container: { type: 'MESOS', volumes: [secretVolume] } }, 1],
  ['the configuration of an image', { container: { type: 'MESOS', mesos: { image } } }, 1],
  [
    'the image of a volume',
    { container: { type: 'MESOS', volumes: [{ mode: 'RO', container_path: 'i', image }] } },
    1,
  ],
  ['both kinds of CSI secrets', { container: { type: 'MESOS', volumes: [csi] } }, 2],
  ['a health check', { health_check: { type: 'COMMAND', command: withVariables } }, 1],
  ['a check', { check: { type: 'COMMAND', command: { command: withVariables } } }, 1],
  [
    'the command of an executor',
    { executor: { executor_id: { value: 'e' }, command: withVariables } },
    1,
  ],
  [
    'the container of an executor',
    {
      executor: {
        executor_id: { value: 'e' },
        container: { type: 'MESOS', volumes: [secretVolume] },
      },
    },
    1,
  ],
]

const taskWith = (part: object): TaskInfo => parse(TaskInfo, { ...ids, ...part })
const plaintextsIn = <T>(kind: Message<T>, value: T): readonly string[] =>
  partsIn(kind, value, Secret).flatMap(({ value: held }) =>
    held?.data === undefined ? [] : [Buffer.from(held.data.reveal()).toString()],
  )

/** The forms in which `shown` gives the value away. */
const leaksIn = (shown: string): readonly string[] =>
  [canary, data, Buffer.from(canary).toString('hex')].filter((form) => shown.includes(form))

function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}

describe.each(places)('MO9: an inline secret in %s', (_, part, count) => {
  test('is read into bytes that cannot be shown', () => {
    const task = taskWith(part)

    expect(plaintextsIn(TaskInfo, task)).toEqual(Array.from({ length: count }, () => canary))
    expect(leaksIn(inspect(task, { depth: 20 }) + JSON.stringify(task))).toEqual([])
  })

  test('is written into no JSON', () => {
    expect(leaksIn(asciiJson(toJson(TaskInfo, taskWith(part))))).toEqual([])
  })

  test('is sealed, and its plaintext wiped', () => {
    const task = taskWith(part)
    const buffers = partsIn(TaskInfo, task, Secret).map(({ value }) => value?.data?.reveal())
    let sealed = 0

    const result = sealSecrets(TaskInfo, task, (bytes) => {
      expect(Buffer.from(bytes.reveal()).toString()).toBe(canary)
      return { id: `i-${sealed++}`, envelope: 'ZW52' }
    })

    expect(partsIn(TaskInfo, result, Secret).map(({ value }) => value)).toEqual(
      Array.from({ length: count }, (_unused, index) => ({
        sealed: { id: `i-${index}`, envelope: 'ZW52', containsNull: false },
      })),
    )
    for (const bytes of buffers) expect(bytes).toEqual(new Uint8Array(canary.length))
  })

  test('is wiped when the call is refused, and dropped when the task has ended', () => {
    const task = taskWith(part)
    wipeSecrets(TaskInfo, task)
    expect(plaintextsIn(TaskInfo, task)).toEqual(
      Array.from({ length: count }, () => '\0'.repeat(canary.length)),
    )

    const dropped = dropSecretValues(TaskInfo, task)
    expect(partsIn(TaskInfo, dropped, Secret)).toEqual(
      Array.from({ length: count }, () => ({ type: 'VALUE' })),
    )
  })
})

describe('MO10: an envelope', () => {
  const envelope = {
    type: 'VALUE',
    value: { data, sealed: { id: 'of-another', envelope: 'ZQ==' } },
  }

  test('is not heard from outside, wherever it stands', () => {
    expect(parse(Secret, envelope).value?.sealed).toBeUndefined()
    const call = parseCall({
      type: 'ACCEPT',
      accept: {
        operations: [
          {
            type: 'LAUNCH_GROUP',
            launch_group: {
              executor: { executor_id: { value: 'e' } },
              task_group: {
                tasks: [
                  {
                    ...ids,
                    container: {
                      type: 'MESOS',
                      volumes: [{ ...secretVolume, source: { type: 'SECRET', secret: envelope } }],
                    },
                  },
                ],
              },
            },
          },
        ],
      },
    })
    const found = partsIn(SchedulerCall, call, Secret)
    expect(found).toHaveLength(1)
    expect(found[0]?.value?.sealed).toBeUndefined()
  })

  test('comes back whole from our own records, and is in no public JSON', () => {
    const sealed = sealSecrets(TaskInfo, taskWith({ command: withVariables }), () => ({
      id: 'i-1',
      envelope: 'ZW52ZWxvcGU=',
    }))

    expect(parseOurs(TaskInfo, JSON.parse(JSON.stringify(sealed)))).toEqual(sealed)
    expect(asciiJson(toJson(TaskInfo, sealed))).not.toContain('ZW52ZWxvcGU=')
  })
})

test('MO9: when sealing one secret fails, all of them are wiped', () => {
  const task = taskWith({
    command: withVariables,
    container: { type: 'MESOS', volumes: [secretVolume, csi] },
  })
  const buffers = partsIn(TaskInfo, task, Secret).map(({ value }) => value?.data?.reveal())
  let calls = 0

  const seal = (): ReturnType<typeof sealSecrets<TaskInfo>> =>
    sealSecrets(TaskInfo, task, () => {
      if (++calls === 2) throw new Error('no key')
      return { id: 'i', envelope: 'ZQ==' }
    })

  expect(seal).toThrow('no key')
  expect(buffers).toHaveLength(4)
  for (const bytes of buffers) expect(bytes).toEqual(new Uint8Array(canary.length))
})

test('MO9: bytes with a null in them are marked when they are sealed', () => {
  const secret: Secret = { type: 'VALUE', value: { data: new Redacted(utf8('a\0b')) } }

  const sealed = sealSecrets(Secret, secret, () => ({ id: 'i', envelope: 'ZQ==' }))

  expect(sealed.value?.sealed?.containsNull).toBe(true)
})

test('MO9: text that is not base64 is refused without a word of it', () => {
  const broken = {
    ...ids,
    command: {
      environment: {
        variables: [
          { name: 'A', type: 'SECRET', secret: { type: 'VALUE', value: { data: `${canary}!` } } },
        ],
      },
    },
  }

  const error = thrownBy(() => parse(TaskInfo, broken))

  expect(error).toBeInstanceOf(CallMalformed)
  expect(leaksIn(inspect(error, { depth: 20 }))).toEqual([])
})

test('MO9: the deprecated credential of an image is not read at all', () => {
  const container = {
    type: 'MESOS',
    mesos: {
      image: {
        type: 'DOCKER',
        docker: { name: 'i', credential: { principal: 'p', secret: canary } },
      },
    },
  }

  expect(leaksIn(JSON.stringify(taskWith({ container })))).toEqual([])
})

test('MO9: what state endpoints show of a task has no place for a command, and no value', () => {
  const { container } = taskWith({ container: { type: 'MESOS', volumes: [secretVolume] } })
  const task: Task = {
    name: 't',
    task_id: { value: 't' },
    framework_id: { value: 'f' },
    agent_id: { value: 'a' },
    state: 'TASK_RUNNING',
    resources: [],
    statuses: [],
    container,
  }

  const json = toJson(Task, task)

  expect(leaksIn(asciiJson(json))).toEqual([])
  expect(json['container']).toEqual({
    type: 'MESOS',
    volumes: [
      { mode: 'RO', container_path: 'a', source: { type: 'SECRET', secret: { type: 'VALUE' } } },
    ],
  })
})

test('an operation finds the secrets of all its tasks and of its executor', () => {
  const operation = parse(Operation, {
    type: 'LAUNCH_GROUP',
    launch_group: {
      executor: { executor_id: { value: 'e' }, command: withVariables },
      task_group: {
        tasks: [
          { ...ids, command: withVariables },
          { ...ids, command: withVariables },
        ],
      },
    },
  })

  expect(plaintextsIn(Operation, operation)).toEqual([canary, canary, canary])
  for (const { value } of partsIn(Operation, operation, Secret)) if (value?.data) wipe(value.data)
})

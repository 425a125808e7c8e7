import { describe, expect, test } from 'vitest'
import { FromAgent, ToAgent } from './agent-protocol.ts'

const task = {
  name: 't',
  task_id: { value: 't' },
  agent_id: { value: 'a' },
  command: {
    environment: {
      variables: [
        {
          name: 'A',
          type: 'SECRET',
          secret: { type: 'VALUE', value: { sealed: { id: 'i-1', envelope: 'ZW52' } } },
        },
      ],
    },
  },
}

describe('MO11: what master and agent say to each other', () => {
  test('a launch carries envelopes through JSON and back', () => {
    const launch = ToAgent.parse({ type: 'launch', frameworkId: 'f', containerId: 'c', task })

    expect(ToAgent.parse(JSON.parse(JSON.stringify(launch)))).toEqual(launch)
    expect(JSON.stringify(launch)).toContain('ZW52')
  })

  test('threat:RF-08: an agent asks for few secrets at once, since each may cost a megabyte', () => {
    const one = { secret: { type: 'REFERENCE', reference: { name: 'dev/db' } }, purpose: 'env DB' }
    const asking = (count: number, publicKey = Buffer.alloc(32).toString('base64')): object => ({
      type: 'resolve',
      requestId: 'r',
      frameworkId: 'f',
      taskId: 't',
      containerId: 'c',
      publicKey,
      secrets: Array.from({ length: count }, () => one),
    })

    expect(FromAgent.safeParse(asking(16)).success).toBe(true)
    expect(FromAgent.safeParse(asking(17)).success).toBe(false)
    expect(FromAgent.safeParse(asking(1, 'AAAA')).success).toBe(false)
  })

  test('a registration has what the agent runs, and no name: that is in the certificate', () => {
    const message = FromAgent.parse({
      type: 'register',
      info: { hostname: 'h', resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }] },
      runtime: 'memory',
      tasks: [{ frameworkId: 'f', taskId: 't', containerId: 'c' }],
      certificateName: 'another',
    })

    expect(message).not.toHaveProperty('certificateName')
    expect(message).toMatchObject({ type: 'register', tasks: [{ taskId: 't' }] })
  })

  test.each([
    [
      { type: 'register', info: {}, runtime: 'memory', tasks: [] },
      'Missing required fields: hostname',
    ],
    [
      { type: 'status-update', frameworkId: 'f', status: { task_id: { value: 't' } } },
      'Missing required fields: state',
    ],
    [
      {
        type: 'status-update',
        frameworkId: 'f',
        status: { task_id: { value: 't' }, state: 'TASK_FLYING' },
      },
      "Failed to find enum for 'TASK_FLYING'",
    ],
  ])('%j is refused: %s', (message, why) => {
    expect(FromAgent.safeParse(message).error?.issues[0]?.message).toBe(why)
  })

  test('an unknown type is refused', () => {
    expect(FromAgent.safeParse({ type: 'obey' }).success).toBe(false)
    expect(ToAgent.safeParse({ type: 'obey' }).success).toBe(false)
  })
})

describe('what is said of executors', () => {
  test('a group travels with its executor, and each task with the container that its grants are for', () => {
    const group = ToAgent.parse({
      type: 'launch-group',
      frameworkId: 'f',
      framework: { user: 'root', name: 'fw' },
      executor: { type: 'DEFAULT', executor_id: { value: 'e' } },
      tasks: [{ containerId: 'c', task }],
    })

    expect(ToAgent.parse(JSON.parse(JSON.stringify(group)))).toEqual(group)
    expect(ToAgent.safeParse({ ...group, tasks: [] }).success).toBe(false)
  })

  test.each([
    { outcome: 'known', uid: 'admin', isOperator: true },
    { outcome: 'unknown' },
    { outcome: 'throttled', retryAfterSeconds: 3 },
  ])('who calls is answered with %j', (answer) => {
    const message = { type: 'caller-known', requestId: 'r', ...answer }

    expect(ToAgent.parse(message)).toEqual(message)
    expect(ToAgent.safeParse({ ...message, outcome: 'maybe' }).success).toBe(false)
  })
})

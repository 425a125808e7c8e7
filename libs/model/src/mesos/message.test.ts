import { describe, expect, test } from 'vitest'
import { EnvironmentVariable } from './command.ts'
import { ContainerInfo, Volume } from './container.ts'
import { ContainerId } from './id.ts'
import {
  asciiJson,
  boolean,
  bytes,
  CallMalformed,
  double,
  enumeration,
  int,
  map,
  mapParts,
  message,
  optional,
  parse,
  parseOurs,
  partsIn,
  repeated,
  required,
  schemaOf,
  text,
  toJson,
  uint,
} from './message.ts'
import { FrameworkInfo } from './participants.ts'
import { parseCall } from './scheduler.ts'
import { Secret } from './secret.ts'
import { TaskInfo } from './task-info.ts'

const Part = message('Part', { name: required(text), note: optional(text) })
const Whole = message('Whole', {
  text: optional(text),
  double: optional(double),
  int: optional(int),
  uint: optional(uint),
  boolean: optional(boolean),
  bytes: optional(bytes),
  color: optional(enumeration('RED', 'GREEN'), 'RED'),
  part: optional(Part),
  parts: repeated(Part),
  words: repeated(text),
  sizes: optional(map(double)),
  named: optional(map(Part)),
})

const problemOf = (read: () => unknown): string => {
  try {
    read()
  } catch (error) {
    if (error instanceof CallMalformed) return error.message
    throw error
  }
  return 'nothing'
}

describe('MO5: JSON is read as leniently as Mesos reads it (mesos.md §1)', () => {
  test.each([
    ['null is unset, for any field', { text: null, part: null, parts: null, sizes: null }, {}],
    ['unknown fields are ignored', { shade: 1, text: 'x' }, { text: 'x' }],
    ['an unknown name of an optional enum is dropped', { color: 'BLUE' }, {}],
    ['a known one is kept', { color: 'GREEN' }, { color: 'GREEN' }],
    [
      'numbers may be strings',
      { double: '0.5', int: '-3', uint: '7' },
      { double: 0.5, int: -3, uint: 7 },
    ],
    ['infinity is a double', { double: 'Infinity' }, { double: Infinity }],
    ['and so is its opposite', { double: '-Infinity' }, { double: -Infinity }],
    ['whole numbers lose their fraction', { int: -1.9, uint: 2.9 }, { int: -1, uint: 2 }],
    ['booleans may be strings', { boolean: 'true' }, { boolean: true }],
    ['also false ones', { boolean: 'false' }, { boolean: false }],
    ['one value stands for a list of one', { words: 'a' }, { words: ['a'] }],
    ['one message too', { parts: { name: 'a' } }, { parts: [{ name: 'a' }] }],
    ['null in a list is nothing', { words: ['a', null] }, { words: ['a'] }],
    ['bytes stay base64', { bytes: 'aGk=' }, { bytes: 'aGk=' }],
    ['maps are objects', { sizes: { a: 1, b: '2', c: null } }, { sizes: { a: 1, b: 2 } }],
    ['text may be empty', { text: '' }, { text: '' }],
  ])('%s', (_, json, expected) => {
    expect(parse(Whole, json)).toEqual({ parts: [], words: [], ...expected })
  })

  test('what the real client sends, nulls everywhere, is a call (mesos.md §23)', () => {
    const call = parseCall({
      framework_id: null,
      type: 'SUBSCRIBE',
      subscribe: {
        framework_info: {
          user: 'root',
          name: 'My-first-fw',
          id: null,
          failover_timeout: 604_800,
          checkpoint: null,
          role: null,
          hostname: null,
          principal: null,
          webui_url: null,
          capabilities: null,
          labels: null,
        },
      },
      accept: null,
      decline: null,
      request: null,
    })

    expect(call).toEqual({
      type: 'SUBSCRIBE',
      subscribe: {
        framework_info: {
          user: 'root',
          name: 'My-first-fw',
          failover_timeout: 604_800,
          roles: [],
          capabilities: [],
        },
        suppressed_roles: [],
      },
    })
  })
})

describe('MO6: what Mesos refuses is refused in its words (mesos.md §1)', () => {
  test.each([
    [[], 'Expecting a JSON object'],
    ['text', 'Expecting a JSON object'],
    [null, 'Expecting a JSON object'],
    [{ text: {} }, "Not expecting a JSON object for field 'text'"],
    [{ text: [] }, "Not expecting a JSON array for field 'text'"],
    [{ text: 1 }, "Not expecting a JSON number for field 'text'"],
    [{ text: true }, "Not expecting a JSON boolean for field 'text'"],
    [{ part: 'x' }, "Not expecting a JSON string for field 'part'"],
    [{ sizes: 'x' }, "Not expecting a JSON string for field 'sizes'"],
    [{ words: [['a']] }, "Not expecting a JSON array for field 'words'"],
    [{ color: 1 }, "Not expecting a JSON number for field 'color'"],
    [{ int: '1x' }, "Failed to parse '1x' as a JSON number for field 'int': it is not one"],
    [
      { int: 'Infinity' },
      "Failed to parse 'Infinity' as a JSON number for field 'int': it is not one",
    ],
    [{ uint: -1 }, "Failed to parse '-1' as a JSON number for field 'uint'"],
    [{ boolean: 'yes' }, "Failed to parse 'yes' as a JSON boolean for field 'boolean'"],
    [
      { bytes: 'aGk' },
      "Failed to base64 decode bytes field 'bytes': the length is not a multiple of four",
    ],
    [
      { bytes: 'aG-_' },
      "Failed to base64 decode bytes field 'bytes': it contains a character outside the alphabet",
    ],
    [{ bytes: 'aGl=' }, "Failed to base64 decode bytes field 'bytes': it ends with stray bits"],
  ])('%j: %s', (json, expected) => {
    expect(problemOf(() => parse(Whole, json))).toBe(expected)
  })

  test('an unknown name of a required enum is a mistake', () => {
    const json = { mode: 'RX', container_path: 'a' }

    expect(problemOf(() => parse(Volume, json))).toBe("Failed to find enum for 'RX'")
  })

  test('a message that is nested without end is refused, not followed', () => {
    let id: object = { value: 'leaf' }
    for (let depth = 0; depth < 200; depth++) id = { value: 'x', parent: id }

    expect(problemOf(() => parse(ContainerId, id))).toBe('Nested deeper than 100 messages')
  })

  test.each([
    [{ part: {} }, 'part.name'],
    [{ parts: [{ name: 'a' }, {}] }, 'parts[1].name'],
    [{ named: { x: {} } }, 'named[x].name'],
    [{ part: {}, parts: [{}] }, 'part.name, parts[0].name'],
  ])('%j misses %s', (json, path) => {
    expect(problemOf(() => parse(Whole, json))).toBe(`Missing required fields: ${path}`)
  })

  test.each([
    [
      { type: 'SUBSCRIBE', subscribe: { framework_info: { name: 'x' } } },
      'subscribe.framework_info.user',
    ],
    [
      {
        type: 'ACCEPT',
        accept: { operations: [{ type: 'LAUNCH', launch: { task_infos: [{ name: 'x' }] } }] },
      },
      'accept.operations[0].launch.task_infos[0].task_id, ' +
        'accept.operations[0].launch.task_infos[0].agent_id',
    ],
    [{ type: 'KILL', kill: {} }, 'kill.task_id'],
  ])('a call that lacks %#: %s', (call, path) => {
    expect(problemOf(() => parseCall(call))).toBe(`Missing required fields: ${path}`)
  })

  test('a secret from outside must have its bytes; ours has an envelope instead', () => {
    const fromOutside = { name: 'X', type: 'SECRET', secret: { type: 'VALUE', value: {} } }
    const sealed = { id: 'i-1', envelope: 'ZQ==' }
    const ours = { name: 'X', type: 'SECRET', secret: { type: 'VALUE', value: { sealed } } }

    expect(problemOf(() => parse(EnvironmentVariable, fromOutside))).toBe(
      'Missing required fields: secret.value.data',
    )
    expect(parseOurs(EnvironmentVariable, ours).secret?.value?.sealed).toEqual(sealed)
  })
})

describe('MO7: JSON is written as Mesos writes it (mesos.md §1)', () => {
  test('with the defaults of unset fields, and without empty lists', () => {
    expect(toJson(Whole, parse(Whole, { text: 'x', sizes: { a: 1 } }))).toEqual({
      text: 'x',
      color: 'RED',
      sizes: { a: 1 },
    })
  })

  test.each([
    [
      'a task',
      TaskInfo,
      {
        name: 't',
        task_id: { value: 't' },
        agent_id: { value: 'a' },
        command: {
          value: 'x',
          uris: [{ value: 'u' }],
          environment: { variables: [{ name: 'A' }] },
        },
        health_check: { type: 'COMMAND' },
      },
      {
        name: 't',
        task_id: { value: 't' },
        agent_id: { value: 'a' },
        command: {
          value: 'x',
          shell: true,
          uris: [{ value: 'u', extract: true }],
          environment: { variables: [{ name: 'A', type: 'VALUE' }] },
        },
        health_check: {
          type: 'COMMAND',
          delay_seconds: 15,
          interval_seconds: 10,
          timeout_seconds: 20,
          consecutive_failures: 3,
          grace_period_seconds: 10,
        },
      },
    ],
    [
      'a framework',
      FrameworkInfo,
      { user: 'root', name: 'f' },
      { user: 'root', name: 'f', failover_timeout: 0, checkpoint: false },
    ],
    [
      'a container',
      ContainerInfo,
      {
        type: 'DOCKER',
        docker: { image: 'i' },
        mesos: { image: { type: 'DOCKER' } },
        linux_info: {},
        network_infos: [{ ip_addresses: [{}] }],
      },
      {
        type: 'DOCKER',
        docker: { image: 'i', network: 'HOST', privileged: false },
        mesos: { image: { type: 'DOCKER', cached: true } },
        linux_info: { share_cgroups: true },
        network_infos: [{ ip_addresses: [{ protocol: 'IPv4' }] }],
      },
    ],
  ])('%s', (_, kind, json, expected) => {
    expect(toJson(kind as never, parse(kind as never, json))).toEqual(expected)
  })

  test('deprecated defaults are not invented', () => {
    expect(
      toJson(FrameworkInfo, parse(FrameworkInfo, { user: 'u', name: 'n' })),
    ).not.toHaveProperty('role')
  })

  test('on one line of ASCII, whatever is in it', () => {
    const record = asciiJson({ name: 'Zürich\n🎉\u2028' })

    expect(record).toMatch(/^[\u0020-\u007e]+$/)
    expect(JSON.parse(record)).toEqual({ name: 'Zürich\n🎉\u2028' })
  })

  test('and what was written is read as the same again', () => {
    const task = parse(TaskInfo, {
      name: 't',
      task_id: { value: 't' },
      agent_id: { value: 'a' },
      resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } }],
      labels: { labels: [{ key: 'a', value: 'b' }] },
    })

    expect(parse(TaskInfo, toJson(TaskInfo, task))).toEqual(task)
  })
})

describe('parts of a message', () => {
  const secret = { type: 'REFERENCE', reference: { name: 'a' } }
  const variable = { name: 'A', type: 'SECRET', secret }

  test('what changes is replaced, and what holds no such part stays the same object', () => {
    const task = parse(TaskInfo, {
      name: 't',
      task_id: { value: 't' },
      agent_id: { value: 'a' },
      labels: { labels: [{ key: 'a' }] },
      command: { environment: { variables: [variable] } },
    })

    const changed = mapParts(TaskInfo, task, Secret, (one) => ({
      ...one,
      type: 'UNKNOWN' as const,
    }))

    expect(partsIn(TaskInfo, changed, Secret)).toEqual([{ ...secret, type: 'UNKNOWN' }])
    expect(partsIn(TaskInfo, task, Secret)).toEqual([secret])
    expect(changed.labels).toBe(task.labels)
    expect(mapParts(TaskInfo, task, Secret, (one) => one)).toBe(task)
  })

  test('a schema made of a message says in zod what is wrong', () => {
    const read = schemaOf(Part).safeParse({})

    expect(read.error?.issues[0]?.message).toBe('Missing required fields: name')
    expect(schemaOf(Part).parse({ name: 'x', note: null })).toEqual({ name: 'x' })
  })
})

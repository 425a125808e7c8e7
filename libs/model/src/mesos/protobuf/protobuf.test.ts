import * as fc from 'fast-check'
import { expect, describe, test } from 'vitest'
import { AgentCall, ProcessIo } from '../agent-call.ts'
import { AgentResponse } from '../agent-response.ts'
import { ContainerConfig, ContainerLaunchInfo } from '../containerizer.ts'
import { ExecutorCall, ExecutorEvent } from '../executor.ts'
import { parseCall, SchedulerCall, SchedulerEvent } from '../scheduler.ts'
import { MasterCall, parseMasterCall } from '../operator.ts'
import { MasterEvent, MasterResponse } from '../operator-response.ts'
import { CallMalformed, parse, type AnyKind, type AnyMessage } from '../message.ts'
import { TaskInfo } from '../task-info.ts'
import { fromProtobuf } from './decode.ts'
import { toProtobuf } from './encode.ts'
import { enumNumbers } from './enum-numbers.ts'
import { fieldNumber } from './field-numbers.ts'

/*
 * Bytes that another implementation (protobufjs 8) made with Mesos' own .proto files of 1.11.
 */
const vectors = {
  call:
    '0a030a0166100322da010a030a016f12c701080112c2010abf010a074772c3bcc39f6512030a01741a03' +
    '0a016122130a046370757310001a0909000000000000e03f22150a05706f7274731001220a0a080898f2' +
    '011099f2013a3a122d0a130a01411802220c08021a080a067333637233740a160a01521802220f080112' +
    '0b0a066465762f646212016b1a017830003a01613a01624a1b080212170a016318022a100803220c0801' +
    '12080a066465762f646252080a060a016b12017662080a060880e497d0127a110a046370757312090900' +
    '0000000000f03f1a09090000000000000440',
  teardown: '081f8201050a030a0166',
  subscribe: '10011a1e0a190a04726f6f7412016e210000000000004e4052020806620161120161',
  event: '08042a280a260a030a0174100131000000000000f83f400148025a1007070707070707070707070707070707',
  response: '080112020801',
  agents:
    '080952430a410a0c0a016832040a02533040bb2710011a06312e31312e302201702a0a08808090bbbad6' +
    'adf00d3a160a046370757310001a0909000000000000104032012a6000',
} as const

/** One with bytes in it, its tag, and its length in three bytes. */
const bytesField = (number: number, bytes: Uint8Array): Uint8Array => {
  const length = [bytes.length & 127, (bytes.length >>> 7) & 127, bytes.length >>> 14]
  const [low = 0, middle = 0, high = 0] = length
  return Buffer.concat([Buffer.of((number << 3) | 2, low | 128, middle | 128, high), bytes])
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const roots = [
  ['scheduler.Call', SchedulerCall],
  ['scheduler.Event', SchedulerEvent],
  ['executor.Call', ExecutorCall],
  ['executor.Event', ExecutorEvent],
  ['master.Call', MasterCall],
  ['master.Response', MasterResponse],
  ['master.Event', MasterEvent],
  ['agent.Call', AgentCall],
  ['agent.Response', AgentResponse],
  ['agent.ProcessIO', ProcessIo],
  ['ContainerConfig', ContainerConfig],
  ['ContainerLaunchInfo', ContainerLaunchInfo],
] as const

const call = {
  framework_id: { value: 'f' },
  type: 'ACCEPT',
  accept: {
    offer_ids: [{ value: 'o' }],
    filters: { refuse_seconds: 2.5 },
    operations: [
      {
        type: 'LAUNCH',
        launch: {
          task_infos: [
            {
              name: 'Grüße',
              task_id: { value: 't' },
              agent_id: { value: 'a' },
              resources: [
                { name: 'cpus', type: 'SCALAR', scalar: { value: 0.5 } },
                {
                  name: 'ports',
                  type: 'RANGES',
                  ranges: { range: [{ begin: 31_000, end: 31_001 }] },
                },
              ],
              command: {
                shell: false,
                value: 'x',
                arguments: ['a', 'b'],
                environment: {
                  variables: [
                    {
                      name: 'A',
                      type: 'SECRET',
                      secret: { type: 'VALUE', value: { data: 'czNjcjN0' } },
                    },
                    {
                      name: 'R',
                      type: 'SECRET',
                      secret: { type: 'REFERENCE', reference: { name: 'dev/db', key: 'k' } },
                    },
                  ],
                },
              },
              container: {
                type: 'MESOS',
                volumes: [
                  {
                    mode: 'RO',
                    container_path: 'c',
                    source: {
                      type: 'SECRET',
                      secret: { type: 'REFERENCE', reference: { name: 'dev/db' } },
                    },
                  },
                ],
              },
              kill_policy: { grace_period: { nanoseconds: 5_000_000_000 } },
              limits: { cpus: { value: 1 } },
              labels: { labels: [{ key: 'k', value: 'v' }] },
            },
          ],
        },
      },
    ],
  },
}

describe('MO20: protobuf is read as JSON is', () => {
  test('an ACCEPT with secrets, maps, ranges and text', () => {
    const read = fromProtobuf(SchedulerCall, 'scheduler.Call', bytesOf(vectors.call))

    expect(read).toEqual(parseCall(call))
    const variables =
      read.accept?.operations[0]?.launch?.task_infos[0]?.command?.environment?.variables
    const data = variables?.[0]?.secret?.value?.data
    expect(Buffer.from(data?.reveal() ?? []).toString()).toBe('s3cr3t')
  })

  test.each([
    [
      'subscribe',
      {
        type: 'SUBSCRIBE',
        subscribe: {
          framework_info: {
            user: 'root',
            name: 'n',
            failover_timeout: 60,
            roles: ['a'],
            capabilities: [{ type: 'MULTI_ROLE' }],
          },
          suppressed_roles: ['a'],
        },
      },
    ],
  ] as const)('a call to %s', (name, json) => {
    expect(fromProtobuf(SchedulerCall, 'scheduler.Call', bytesOf(vectors[name]))).toEqual(
      parseCall(json),
    )
  })

  test("an operator's call", () => {
    expect(fromProtobuf(MasterCall, 'master.Call', bytesOf(vectors.teardown))).toEqual(
      parseMasterCall({ type: 'TEARDOWN', teardown: { framework_id: { value: 'f' } } }),
    )
  })
})

describe('MO20: what is written are the bytes of Mesos', () => {
  test('of an event', () => {
    const event = parse(SchedulerEvent, {
      type: 'UPDATE',
      update: {
        status: {
          task_id: { value: 't' },
          state: 'TASK_RUNNING',
          source: 'SOURCE_EXECUTOR',
          uuid: Buffer.alloc(16, 7).toString('base64'),
          timestamp: 1.5,
          healthy: true,
        },
      },
    })
    const read = fromProtobuf(SchedulerEvent, 'scheduler.Event', bytesOf(vectors.event))

    expect(read).toEqual(event)
    const written = toProtobuf(SchedulerEvent, 'scheduler.Event', event)
    expect(written).toHaveLength(bytesOf(vectors.event).length)
    expect(fromProtobuf(SchedulerEvent, 'scheduler.Event', written)).toEqual(event)
  })

  test('of answers to operators', () => {
    const health: MasterResponse = { type: 'GET_HEALTH', get_health: { healthy: true } }
    expect(Buffer.from(toProtobuf(MasterResponse, 'master.Response', health)).toString('hex')).toBe(
      vectors.response,
    )
    expect(
      fromProtobuf(MasterResponse, 'master.Response', bytesOf(vectors.agents)).get_agents,
    ).toMatchObject({
      agents: [
        {
          agent_info: { hostname: 'h', id: { value: 'S0' } },
          deactivated: false,
          registered_time: { nanoseconds: 1e18 },
          total_resources: [{ name: 'cpus', scalar: { value: 4 }, role: '*' }],
        },
      ],
    })
  })

  test('a value of a secret stays out, unless it is asked for', () => {
    const read = fromProtobuf(SchedulerCall, 'scheduler.Call', bytesOf(vectors.call))
    const whole = toProtobuf(SchedulerCall, 'scheduler.Call', read, { withHidden: true })

    expect(Buffer.from(toProtobuf(SchedulerCall, 'scheduler.Call', read)).includes('s3cr3t')).toBe(
      false,
    )
    expect(fromProtobuf(SchedulerCall, 'scheduler.Call', whole)).toEqual(read)
  })
})

describe('MO21: bytes from outside', () => {
  test('of unknown fields are skipped, and so are unknown values of enums', () => {
    const more = Buffer.concat([
      bytesOf(vectors.teardown),
      Buffer.from('c83e01', 'hex'), // field 1001, a varint
      Buffer.from('ca3e03616263', 'hex'), // field 1001, three bytes
    ])
    expect(fromProtobuf(MasterCall, 'master.Call', more)).toEqual(
      fromProtobuf(MasterCall, 'master.Call', bytesOf(vectors.teardown)),
    )
    expect(fromProtobuf(MasterCall, 'master.Call', bytesOf('08cf0f')).type).toBeUndefined()
  })

  test('that leave out a required field are refused, by its name', () => {
    expect(() => fromProtobuf(MasterCall, 'master.Call', bytesOf('081f820100'))).toThrow(
      'Missing required fields: teardown.framework_id',
    )
  })

  test.each(['08', '82', '8201ff', '820105', '0a', 'ffffffffffffffffffff01'])(
    'that are no message (%s) are refused',
    (hex) => {
      expect(() => fromProtobuf(MasterCall, 'master.Call', bytesOf(hex))).toThrow(CallMalformed)
    },
  )

  test('that nest without end are refused', () => {
    let inner = Buffer.alloc(0)
    for (let depth = 0; depth < 200; depth++) {
      inner = Buffer.concat([Buffer.from([0x12]), varint(inner.length), inner])
    }
    const id = { is: 'message', name: 'ContainerID', fields: () => fields } as unknown as AnyMessage
    const fields = { parent: { label: 'optional', kind: id, reach: 'open' } }
    expect(() => fromProtobuf(id, 'ContainerID', inner)).toThrow('Nested deeper than 100 messages')
  })

  test('with a map of very many entries are read, each key once and none of them special', () => {
    // Were the map copied for each entry, this would not end before the test's time.
    const value = bytesField(2, Buffer.from('090000000000000040', 'hex'))
    const keys = Array.from({ length: 30_000 }, (_, index) => `k${index}`)
    const entries = ['__proto__', ...keys, 'k0'].map((key) =>
      bytesField(15, Buffer.concat([bytesField(1, Buffer.from(key)), value])),
    )
    const names = ['0a0174', '12030a0174', '1a030a0161'].map((hex) => Buffer.from(hex, 'hex'))
    const task = fromProtobuf(TaskInfo, 'TaskInfo', Buffer.concat([...names, ...entries]))

    expect(Object.keys(task.limits ?? {})).toEqual(['__proto__', ...keys])
    expect(Object.getPrototypeOf(task.limits)).toBe(Object.prototype)
  })

  test('never do anything but become a call or a refusal, whatever they are', () => {
    const dented = fc
      .tuple(fc.constantFrom(...Object.values(vectors)), fc.nat(), fc.nat(4), fc.uint8Array())
      .map(([hex, at, length, more]) => {
        const bytes = bytesOf(hex)
        const from = at % bytes.length
        return Buffer.concat([bytes.subarray(0, from), more, bytes.subarray(from + length)])
      })
    fc.assert(
      fc.property(
        fc.constantFrom(...roots),
        fc.oneof(fc.uint8Array({ maxLength: 80 }), dented),
        ([type, kind], bytes) => {
          expect(failureOf(() => fromProtobuf<unknown>(kind, type, bytes))).toBeUndefined()
        },
      ),
      { numRuns: 3000 },
    )
  })
})

/** What reading fails with that is not the refusal of what is malformed. */
function failureOf(read: () => unknown): unknown {
  try {
    read()
  } catch (error) {
    if (!(error instanceof CallMalformed)) return error
  }
  return undefined
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest & 127) | 128)
  }
}

test('MO22: every field and every enum value has its number', () => {
  const seen = new Set<string>()
  const without: string[] = []
  const look = (kind: AnyMessage, type: string): void => {
    if (seen.has(`${type} ${kind.name}`)) return
    seen.add(`${type} ${kind.name}`)
    for (const [name, field] of Object.entries(kind.fields())) {
      if (field.reach === 'internal') continue
      const found = fieldNumber(type, name)
      if (found === undefined) {
        without.push(`${type}.${name}`)
        continue
      }
      const of: AnyKind = field.kind.is === 'map' ? field.kind.of : field.kind
      if (of.is === 'message') look(of, found.type)
      if (of.is !== 'enumeration') continue
      for (const value of of.names) {
        if (enumNumbers[found.type]?.[value] === undefined) without.push(`${found.type}.${value}`)
      }
    }
  }
  for (const [type, kind] of roots) look(kind, type)

  // What JSON has here and the .proto files of Mesos have not: one that they dropped, and two of ours.
  expect(without).toEqual([
    'Volume.Source.CSIVolume.StaticProvisioning.readonly',
    'Volume.file',
    'ContainerInfo.service',
  ])
})

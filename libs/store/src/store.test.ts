import { utf8, utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { commandFormat, decodeCommand, encodeCommand } from './command.ts'
import { CommandNewer, Compacted, RevisionAhead, SnapshotMalformed, TxnInvalid } from './errors.ts'
import { StoreMachine, type ApplyResult } from './store.ts'
import {
  checkTxn,
  defaultStoreLimits,
  type Command,
  type Compare,
  type Op,
  type StoreLimits,
} from './txn.ts'
import type { WatchBatch } from './view.ts'

const put = (key: string, value = 'value', lease?: number): Op => ({
  do: 'put',
  key,
  value: utf8(value),
  ...(lease === undefined ? {} : { lease }),
})

const run = (
  store: StoreMachine,
  success: readonly Op[],
  rest: Partial<Command> = {},
): ApplyResult => store.apply(encodeCommand({ nowMs: 1000, compare: [], success, ...rest }))

const text = (store: StoreMachine, key: string, at?: number): string | undefined => {
  const kv = store.get(key, at)
  return kv === undefined ? undefined : utf8Text(kv.value)
}

describe('a transaction', () => {
  test('ST1: happens whole, and as one revision', () => {
    const store = new StoreMachine()

    const result = run(store, [put('a', 'one'), put('b', 'two')])

    expect(result).toEqual({ revision: 1, succeeded: true, responses: [1, 1], isReplay: false })
    expect([text(store, 'a'), text(store, 'b')]).toEqual(['one', 'two'])
    expect(store.get('a')).toMatchObject({ createRevision: 1, modRevision: 1, version: 1 })
  })

  test('ST1: that changes nothing makes no revision', () => {
    const store = new StoreMachine()
    run(store, [put('a')])

    expect(run(store, [{ do: 'delete', key: 'missing' }])).toMatchObject({
      revision: 1,
      responses: [0],
    })
    expect(run(store, [])).toMatchObject({ revision: 1, succeeded: true })
  })

  test('ST2: whose claims do not all hold does the other thing, and says which did not', () => {
    const store = new StoreMachine()
    run(store, [put('a', 'one')])
    const compare: Compare[] = [
      { key: 'a', target: 'version', is: '=', operand: 1 },
      { key: 'a', target: 'modRevision', is: '=', operand: 9 },
    ]

    const result = run(store, [put('a', 'two')], { compare, failure: [put('seen')] })

    expect(result).toMatchObject({ succeeded: false, failedCompare: 1, revision: 2 })
    expect([text(store, 'a'), text(store, 'seen')]).toEqual(['one', 'value'])
  })

  test.each<[string, Compare, boolean]>([
    ['a missing key has version 0', { key: 'x', target: 'version', is: '=', operand: 0 }, true],
    [
      'a missing key was never created',
      { key: 'x', target: 'createRevision', is: '<', operand: 1 },
      true,
    ],
    [
      'a missing key has no value',
      { key: 'x', target: 'value', is: '!=', operand: utf8('') },
      false,
    ],
    [
      'values are compared byte by byte',
      { key: 'a', target: 'value', is: '<', operand: utf8('two') },
      true,
    ],
    ['a prefix is smaller', { key: 'a', target: 'value', is: '<', operand: utf8('one!') }, true],
    [
      'an equal value is not larger',
      { key: 'a', target: 'value', is: '>', operand: utf8('one') },
      false,
    ],
  ])('ST2: %s', (_, claim, holds) => {
    const store = new StoreMachine()
    run(store, [put('a', 'one')])

    expect(run(store, [], { compare: [claim] }).succeeded).toBe(holds)
  })

  test('ST1: counts a key anew after it was deleted', () => {
    const store = new StoreMachine()
    run(store, [put('a')])
    run(store, [put('a')])
    expect(store.get('a')).toMatchObject({ createRevision: 1, modRevision: 2, version: 2 })

    run(store, [{ do: 'delete', key: 'a' }])
    run(store, [put('a')])

    expect(store.get('a')).toMatchObject({ createRevision: 4, modRevision: 4, version: 1 })
  })

  test('ST1: deletes what begins with a prefix, and nothing else', () => {
    const store = new StoreMachine()
    run(store, [put('a'), put('a/1'), put('a/2'), put('ab')])

    expect(run(store, [{ do: 'delete-prefix', prefix: 'a/' }]).responses).toEqual([2])

    expect(store.list('').kvs.map(({ key }) => key)).toEqual(['a', 'ab'])
  })
})

describe('the past', () => {
  test('ST3: can be read at any revision that was not compacted', () => {
    const store = new StoreMachine()
    run(store, [put('a', 'one')])
    run(store, [put('a', 'two'), put('b')])
    run(store, [{ do: 'delete', key: 'a' }])

    const view = store.viewAt(2)

    expect(text(store, 'a', 1)).toBe('one')
    expect([view.modRevision('a'), view.modRevision('b'), view.modRevision('c')]).toEqual([2, 2, 0])
    expect([store.modRevision('a'), store.modRevision('b')]).toEqual([0, 2])
    expect(view.list('').kvs.map(({ key }) => key)).toEqual(['a', 'b'])
    expect(store.get('a')).toBeUndefined()
    expect(() => store.get('a', 4)).toThrow(RevisionAhead)
  })

  test('ST3: is told in batches, one for a revision, with what was there before', () => {
    const store = new StoreMachine()
    const told: WatchBatch[] = []
    const stop = store.onBatch((batch) => told.push(batch))
    run(store, [put('b', 'one'), put('a', 'two')])
    run(store, [{ do: 'delete', key: 'b' }])
    stop()
    run(store, [put('c')])

    expect(told).toEqual([
      {
        revision: 1,
        events: [
          { type: 'put', key: 'a', kv: expect.objectContaining({ value: utf8('two') }) },
          { type: 'put', key: 'b', kv: expect.objectContaining({ value: utf8('one') }) },
        ],
      },
      {
        revision: 2,
        events: [
          {
            type: 'delete',
            key: 'b',
            previous: expect.objectContaining({ value: utf8('one'), modRevision: 1 }),
          },
        ],
      },
    ])
    expect(store.history('a', 1).map(({ revision }) => revision)).toEqual([1])
  })

  test('ST4: is forgotten by a compaction, but what is there now stays', () => {
    const store = new StoreMachine()
    run(store, [put('a', 'one')])
    run(store, [put('a', 'two')])
    run(store, [put('gone')])
    run(store, [{ do: 'delete', key: 'gone' }])
    const view = store.viewAt(1)

    run(store, [{ do: 'compact', revision: 4 }])

    expect(text(store, 'a')).toBe('two')
    expect(text(store, 'a', 4)).toBe('two')
    expect(() => store.get('a', 3)).toThrow(Compacted)
    expect(() => view.get('a')).toThrow(Compacted)
    expect(() => store.history('', 4)).toThrow(Compacted)
    expect(store.history('', 5)).toEqual([])
  })

  test('ST4: a compaction ahead of the present is refused', () => {
    const store = new StoreMachine()

    expect(run(store, [{ do: 'compact', revision: 1 }])).toMatchObject({
      rejection: 'revision-ahead',
    })
  })
})

describe('a session', () => {
  const session = { client: 'master-1/boot/0', seq: 1 }

  test('ST5: has each of its commands applied once, however often it is sent', () => {
    const store = new StoreMachine()
    const first = run(store, [put('a', 'one')], { session })
    run(store, [put('a', 'two')])

    const again = run(store, [put('a', 'one')], { session })

    expect(again).toEqual({ ...first, isReplay: true })
    expect(text(store, 'a')).toBe('two')
  })

  test('ST5: is remembered across a snapshot', () => {
    const store = new StoreMachine()
    const first = run(store, [put('a', 'one')], { session })
    const restored = new StoreMachine()
    restored.restore(store.snapshot())

    expect(run(restored, [put('a', 'one')], { session })).toEqual({ ...first, isReplay: true })
    expect(restored.revision).toBe(1)
  })

  test('ST5: hears that a command is stale when a later one was applied', () => {
    const store = new StoreMachine()
    run(store, [put('a', 'two')], { session: { ...session, seq: 2 } })

    expect(run(store, [put('a', 'one')], { session })).toMatchObject({
      rejection: 'stale',
      isReplay: true,
    })
    expect(text(store, 'a')).toBe('two')
  })

  test('ST5: is forgotten when it was silent longest, and others need the room', () => {
    const store = new StoreMachine({ sessionsMax: 2 })
    run(store, [put('a')], { session: { client: 'ada', seq: 1 } })
    run(store, [put('a')], { session: { client: 'bob', seq: 1 } })
    run(store, [put('a')], { session: { client: 'ada', seq: 2 } })
    run(store, [put('a')], { session: { client: 'eve', seq: 1 } })

    expect(run(store, [put('a')], { session: { client: 'ada', seq: 2 } }).isReplay).toBe(true)
    expect(run(store, [put('a')], { session: { client: 'bob', seq: 1 } }).isReplay).toBe(false)
  })
})

describe('a lease', () => {
  const grant: Op = { do: 'lease-grant', lease: 7, ttlMs: 500 }

  test('ST6: takes the keys under it along when it ends', () => {
    const store = new StoreMachine()
    expect(run(store, [grant, put('a', 'one', 7), put('b')]).responses[0]).toBe(1500)

    expect(run(store, [{ do: 'lease-revoke', lease: 7 }]).responses).toEqual([1])

    expect(store.list('').kvs.map(({ key }) => key)).toEqual(['b'])
    expect(store.leases()).toEqual([])
  })

  test('ST6: lets go of a key that is put again without it', () => {
    const store = new StoreMachine()
    run(store, [grant, put('a', 'one', 7)])
    run(store, [put('a', 'two')])

    run(store, [{ do: 'lease-revoke', lease: 7 }])

    expect(text(store, 'a')).toBe('two')
  })

  test('ST6: ends only when its time is over by the clock of the command', () => {
    const store = new StoreMachine()
    run(store, [grant, put('a', 'one', 7)])

    expect(run(store, [{ do: 'lease-expire', lease: 7 }], { nowMs: 1499 }).responses).toEqual([0])
    run(store, [{ do: 'lease-keepalive', lease: 7 }], { nowMs: 1400 })
    expect(run(store, [{ do: 'lease-expire', lease: 7 }], { nowMs: 1500 }).responses).toEqual([0])
    expect(run(store, [{ do: 'lease-expire', lease: 7 }], { nowMs: 1900 }).responses).toEqual([1])
    expect(store.get('a')).toBeUndefined()
  })

  test('ST6: is never shortened by a clock that is behind', () => {
    const store = new StoreMachine()
    run(store, [grant])

    run(store, [{ do: 'lease-keepalive', lease: 7 }], { nowMs: 10 })

    expect(store.leases()).toEqual([{ id: 7, ttlMs: 500, expiresAtMs: 1500 }])
  })

  test('ST6: lives for one more TTL when a new leader extends all', () => {
    const store = new StoreMachine()
    run(store, [grant])

    expect(run(store, [{ do: 'lease-extend-all' }], { nowMs: 5000 }).responses).toEqual([1])

    expect(store.leases()).toEqual([{ id: 7, ttlMs: 500, expiresAtMs: 5500 }])
  })

  test.each<[string, readonly Op[], string]>([
    ['is not granted twice', [grant], 'lease-exists'],
    ['that is unknown is not renewed', [{ do: 'lease-keepalive', lease: 8 }], 'lease-unknown'],
    ['that is unknown is not revoked', [{ do: 'lease-revoke', lease: 8 }], 'lease-unknown'],
    ['that is unknown holds no key', [put('a'), put('b', 'one', 8)], 'lease-unknown'],
  ])('ST6: %s, and nothing else of the transaction happens', (_, ops, rejection) => {
    const store = new StoreMachine()
    run(store, [grant])

    expect(run(store, ops)).toMatchObject({ succeeded: false, rejection, responses: [] })

    expect(store.list('').kvs).toEqual([])
    expect(store.revision).toBe(0)
  })
})

describe('what every replica would refuse', () => {
  const many = (count: number): Op[] => Array.from({ length: count }, (_, at) => put(`k${at}`))

  test.each<[string, Partial<Command>]>([
    ['an empty key', { success: [put('')] }],
    ['a key that is too long', { success: [put('k'.repeat(4097))] }],
    ['a value that is too long', { success: [put('a', 'x'.repeat(1024 * 1024 + 4097))] }],
    ['too many changes', { success: many(513) }],
    [
      'too many bytes',
      { success: many(5).map((op) => ({ ...op, value: new Uint8Array(1024 * 1024) }) as Op) },
    ],
    ['a key that is changed twice', { success: [put('a'), { do: 'delete', key: 'a' }] }],
    [
      'a key below a deleted prefix',
      { success: [put('a/b'), { do: 'delete-prefix', prefix: 'a/' }] },
    ],
    [
      'a prefix below a prefix',
      {
        success: [
          { do: 'delete-prefix', prefix: 'a' },
          { do: 'delete-prefix', prefix: 'a/' },
        ],
      },
    ],
    [
      'a lease that is changed twice',
      {
        success: [
          { do: 'lease-grant', lease: 1, ttlMs: 1 },
          { do: 'lease-keepalive', lease: 1 },
        ],
      },
    ],
    ['a revocation beside a change', { success: [{ do: 'lease-revoke', lease: 1 }, put('a')] }],
    ['a lease without an id', { success: [{ do: 'lease-grant', lease: 0, ttlMs: 1 }] }],
    ['a lease for no time', { success: [{ do: 'lease-grant', lease: 1, ttlMs: 0 }] }],
    ['a time in microseconds', { nowMs: 2 ** 50 }],
    ['a client without a name', { session: { client: '', seq: 1 } }],
    ['a fault in the branch that may not happen', { failure: [put('')] }],
  ])('ST7: %s is found before it is proposed, and changes nothing if it is', (_, wrong) => {
    const command: Command = { nowMs: 1, compare: [], success: [], ...wrong }
    expect(() => encodeCommand(command)).toThrow(TxnInvalid)
    const store = new StoreMachine()
    const before = store.stateHash()

    // By somebody whose limits are others, or who has none.
    const result = store.apply(encodeUnchecked(command))

    expect(result).toMatchObject({ succeeded: false, responses: [] })
    expect(['invalid', 'malformed']).toContain(result.rejection)
    expect(store.stateHash()).toBe(before)
  })

  test.each([
    ['is no Unicode', '\ud800'],
    ['a decoder would change', '\ufeffa'],
  ])('ST7: a key that %s never gets its bytes', (_, key) => {
    expect(() => checkTxn({ compare: [], success: [put(key)] })).toThrow(TxnInvalid)
  })

  test('ST7: says what is wrong, and never a value', () => {
    const txn = { compare: [], success: [put('a', 'canary'), put('a', 'canary')] }

    expect(() => checkTxn(txn)).toThrow('a transaction changes a key once')
    expect(() => checkTxn(txn)).not.toThrow('canary')
  })

  test('ST7: a command of a format that is older than any is malformed', () => {
    const bytes = encodeCommand({ nowMs: 1, compare: [], success: [] })
    bytes[0] = 0

    expect(new StoreMachine().apply(bytes)).toMatchObject({ rejection: 'malformed' })
    expect(() => decodeCommand(bytes)).toThrow('format 0')
  })

  test.each([commandFormat + 1, 255])('ST9: a command of format %d stops the machine', (format) => {
    const store = new StoreMachine()
    const bytes = encodeCommand({ nowMs: 1, compare: [], success: [put('a')] })
    bytes[0] = format
    const before = store.stateHash()

    expect(() => store.apply(bytes)).toThrow(CommandNewer)
    expect(() => store.apply(bytes)).toThrow(`has format ${format}`)
    expect(store.stateHash()).toBe(before)
  })
})

/** As a proposer would write it that checks nothing: valid in form, whatever it says. */
function encodeUnchecked(command: Command): Uint8Array {
  try {
    return encodeCommand(command, hardlyAnyLimits)
  } catch {
    return encodeByHand(command)
  }
}

const hardlyAnyLimits: StoreLimits = {
  ...defaultStoreLimits,
  keySizeBytesMax: 1e6,
  valueSizeBytesMax: 1e9,
  txnOpsMax: 1e6,
  txnSizeBytesMax: 1e9,
}

/** The bytes of docs/formats/command.md, drawn here once more. */
function encodeByHand({ session, nowMs, success, failure = [] }: Command): Uint8Array {
  const bytes: number[] = [1]
  const uint = (value: number): void => {
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
    bytes.push(rest)
  }
  const chunk = (part: Uint8Array): void => {
    uint(part.length)
    bytes.push(...part)
  }
  bytes.push(session === undefined ? 0 : 1)
  if (session !== undefined) {
    chunk(utf8(session.client))
    uint(session.seq)
  }
  uint(nowMs)
  uint(0)
  for (const branch of [success, failure]) {
    uint(branch.length)
    for (const op of branch) {
      switch (op.do) {
        case 'put':
          bytes.push(1)
          chunk(utf8(op.key))
          uint(op.lease ?? 0)
          chunk(op.value)
          break
        case 'delete':
          bytes.push(2)
          chunk(utf8(op.key))
          break
        case 'delete-prefix':
          bytes.push(3)
          chunk(utf8(op.prefix))
          break
        case 'lease-grant':
          bytes.push(4)
          uint(op.lease)
          uint(op.ttlMs)
          break
        case 'lease-keepalive':
          bytes.push(5)
          uint(op.lease)
          break
        case 'lease-revoke':
          bytes.push(6)
          uint(op.lease)
          break
        default:
          throw new Error(`${op.do} needs no writing by hand`)
      }
    }
  }
  return Uint8Array.from(bytes)
}

describe('a snapshot', () => {
  test('ST8: gives the same bytes again, and tells who listens', () => {
    const store = new StoreMachine()
    run(store, [{ do: 'lease-grant', lease: 7, ttlMs: 500 }, put('a', 'one', 7), put('b')])
    run(store, [{ do: 'delete', key: 'b' }], { session: { client: 'ada', seq: 3 } })
    const restored = new StoreMachine()
    const told: number[] = []
    restored.onRestore((revision) => told.push(revision))

    restored.restore(store.snapshot())

    expect(restored.snapshot()).toEqual(store.snapshot())
    expect(restored.stateHash()).toBe(store.stateHash())
    expect(told).toEqual([2])
    expect(run(restored, [{ do: 'lease-revoke', lease: 7 }]).responses).toEqual([1])
  })

  test.each([
    ['no bytes', []],
    ['another format', [2, 0, 0, 0, 0, 0]],
    ['a compaction ahead of the revision', [1, 0, 1, 0, 0, 0]],
    ['a revision that changed nothing', [1, 1, 0, 0, 0, 0]],
    ['keys out of order', [1, 1, 0, 2, 1, 98, 1, 1, 1, 1, 1, 0, 1, 97, 1, 1, 1, 1, 1, 0, 0, 0]],
    ['a version of a later revision', [1, 1, 0, 1, 1, 97, 1, 1, 2, 1, 1, 0, 0, 0]],
    ['a version before its creation', [1, 1, 0, 1, 1, 97, 1, 1, 1, 2, 1, 0, 0, 0]],
    ['a key under no known lease', [1, 1, 0, 1, 1, 97, 1, 2, 1, 1, 1, 7, 0, 0, 0]],
    ['a count that no memory holds', [1, 255, 255, 255, 255, 255, 255, 255, 15, 0, 0, 0, 0]],
  ])('ST8: with %s is refused, and the store stays as it was', (_, bytes) => {
    const store = new StoreMachine()
    run(store, [put('a')])
    const before = store.stateHash()

    expect(() => store.restore(Uint8Array.from(bytes))).toThrow(SnapshotMalformed)

    expect(store.stateHash()).toBe(before)
  })

  test('ST8: of many keys keeps them all, in order, also after half of them went', () => {
    const store = new StoreMachine()
    const names = Array.from({ length: 3000 }, (_, at) => `k/${(at * 7919) % 3000}`)
    for (const name of names) run(store, [put(name)])
    for (const name of names.slice(0, 2900)) run(store, [{ do: 'delete', key: name }])
    run(store, [{ do: 'compact', revision: store.revision }])

    const restored = new StoreMachine()
    restored.restore(store.snapshot())

    expect(restored.list('').kvs.map(({ key }) => key)).toEqual(names.slice(2900).sort())
    expect(store.list('')).toEqual(restored.list(''))
  })
})

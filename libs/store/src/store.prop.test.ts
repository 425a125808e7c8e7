import { BytesMalformed } from '@conclave/kernel'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCommand, encodeCommand, isNewerCommand } from './command.ts'
import { CommandNewer, SnapshotMalformed } from './errors.ts'
import { compareKeys } from './key-order.ts'
import { StoreMachine } from './store.ts'
import { anyCommand } from './testing/arbitrary-command.ts'
import { NaiveStore } from './testing/naive-store.ts'
import type { Command } from './txn.ts'
import type { WatchBatch } from './view.ts'

const sessionsMax = 2
const commands = fc.array(anyCommand, { maxLength: 40 })

function machineAfter(list: readonly Command[]): StoreMachine {
  const machine = new StoreMachine({ sessionsMax })
  for (const command of list) machine.apply(encodeCommand(command))
  return machine
}

/** All that can be seen of a store, at every revision that is kept. */
function everything(store: StoreMachine): unknown {
  const revisions = Array.from(
    { length: store.revision - store.compactRevision + 1 },
    (_, at) => store.compactRevision + at,
  )
  return {
    revision: store.revision,
    compactRevision: store.compactRevision,
    states: revisions.map((at) => store.list('', { at }).kvs),
    batches: store.history('', store.compactRevision + 1),
    below: store.history('a/', store.compactRevision + 1),
    leases: store.leases(),
  }
}

function everythingNaive(naive: NaiveStore): unknown {
  const revisions = Array.from(
    { length: naive.revision - naive.compactRevision + 1 },
    (_, at) => naive.compactRevision + at,
  )
  return {
    revision: naive.revision,
    compactRevision: naive.compactRevision,
    states: revisions.map((at) => naive.list('', at)),
    batches: naive.history('', naive.compactRevision + 1),
    below: naive.history('a/', naive.compactRevision + 1),
    leases: naive.leases(),
  }
}

test('ST1, ST2, ST4, ST6, ST8: whatever it is told, it answers and looks as a store that keeps a copy of every revision', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const machine = new StoreMachine({ sessionsMax })
      const naive = new NaiveStore(sessionsMax)
      for (const command of list) {
        expect(machine.apply(encodeCommand(command))).toEqual(naive.apply(command))
      }
      expect(everything(machine)).toEqual(everythingNaive(naive))
    }),
    { numRuns: 400 },
  )
})

test('ST3: who listens is told of every revision once, in order and whole', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const withoutCompaction = list.filter(({ success, failure = [] }) =>
        [...success, ...failure].every((op) => op.do !== 'compact'),
      )
      const machine = new StoreMachine({ sessionsMax })
      const told: WatchBatch[] = []
      machine.onBatch((batch) => told.push(batch))

      for (const command of withoutCompaction) machine.apply(encodeCommand(command))

      expect(told.map(({ revision }) => revision)).toEqual(
        Array.from({ length: machine.revision }, (_, at) => at + 1),
      )
      expect(told).toEqual(machine.history('', 1))
    }),
  )
})

test('ST5: the same commands make the same bytes, with a snapshot in between or without', () => {
  fc.assert(
    fc.property(commands, fc.nat(), (list, at) => {
      const cut = list.length === 0 ? 0 : at % list.length
      const straight = machineAfter(list)
      const restored = new StoreMachine({ sessionsMax })
      restored.restore(machineAfter(list.slice(0, cut)).snapshot())

      const results = list.slice(cut).map((command) => restored.apply(encodeCommand(command)))

      expect(restored.stateHash()).toBe(straight.stateHash())
      const again = machineAfter(list.slice(0, cut))
      expect(results).toEqual(list.slice(cut).map((command) => again.apply(encodeCommand(command))))
      expect(everything(restored)).toEqual(everything(straight))
    }),
  )
})

test('ST8: a snapshot written chunk by chunk is that of its first moment, whatever happens meanwhile', () => {
  fc.assert(
    fc.property(commands, fc.nat(), fc.integer({ min: 1, max: 200 }), (list, at, chunkBytes) => {
      const cut = list.length === 0 ? 0 : at % list.length
      const machine = machineAfter(list.slice(0, cut))
      const expected = machine.snapshot()

      const writer = machine.beginSnapshot(chunkBytes)
      const second = machine.beginSnapshot()
      const chunks: Uint8Array[] = []
      const write = (): boolean => {
        const chunk = writer.next()
        if (chunk !== undefined) chunks.push(chunk.slice())
        return chunk !== undefined
      }
      for (const command of list.slice(cut)) {
        machine.apply(encodeCommand(command))
        write()
      }
      const meanwhile = machine.snapshot()
      second.close()
      while (write());

      const straight = machineAfter(list)
      expect(Buffer.concat(chunks)).toEqual(Buffer.from(expected))
      expect(chunks.slice(0, -1).every(({ length }) => length === chunkBytes)).toBe(true)
      expect(meanwhile).toEqual(straight.snapshot())
      expect(machine.snapshot()).toEqual(straight.snapshot())
      expect(everything(machine)).toEqual(everything(straight))
    }),
    { numRuns: 300 },
  )
})

test('ST8: a snapshot is read chunk by chunk, however it was cut, and counts when all of it was', () => {
  fc.assert(
    fc.property(commands, fc.integer({ min: 1, max: 64 }), (list, chunkBytes) => {
      const written = machineAfter(list)
      const bytes = written.snapshot()
      const machine = machineAfter(list.slice(0, 3))
      const before = machine.stateHash()
      const told: number[] = []
      machine.onRestore((revision) => told.push(revision))

      const reader = machine.beginRestore()
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        reader.push(bytes.slice(at, at + chunkBytes))
        expect(machine.stateHash()).toBe(before)
      }
      machine.adopt(reader.end())

      expect(machine.stateHash()).toBe(written.stateHash())
      expect(everything(machine)).toEqual(everything(written))
      expect(told).toEqual([written.revision])
    }),
  )
})

test('ST7: chunks that are lost, doubled or exchanged make no other state', () => {
  fc.assert(
    fc.property(
      commands,
      fc.integer({ min: 32, max: 128 }),
      fc.nat(),
      fc.constantFrom('lost', 'doubled', 'exchanged'),
      (list, chunkBytes, at, how) => {
        const machine = machineAfter(list)
        const chunks: Uint8Array[] = []
        const bytes = machine.snapshot()
        for (let from = 0; from < bytes.length; from += chunkBytes)
          chunks.push(bytes.slice(from, from + chunkBytes))
        const place = at % chunks.length
        const [chunk = bytes] = chunks.splice(place, 1)
        if (how === 'doubled') chunks.splice(place, 0, chunk, chunk)
        if (how === 'exchanged') chunks.splice(place + 1, 0, chunk)
        const other = new StoreMachine({ sessionsMax })

        const isRestored = didRestore(other, Buffer.concat(chunks))

        // What comes of values that changed places is sound, and so may be what a few bytes more or less, or
        // a beginning that is gone, make of it: there the digest of the content tells.
        const maySound = how === 'exchanged' || (how === 'lost' && place === 0)
        expect(isRestored && !maySound).toBe(false)
      },
    ),
  )
})

test('ST7: bytes that are no snapshot are refused, and nothing has changed', () => {
  fc.assert(
    fc.property(commands, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, at, flip) => {
      const bytes = machineAfter(list).snapshot()
      const damaged = bytes.slice()
      damaged[at % bytes.length] = (damaged[at % bytes.length] ?? 0) ^ flip
      const machine = machineAfter(list.slice(0, 3))
      const before = machine.stateHash()

      const isRestored = didRestore(machine, damaged)

      // A flipped value is a snapshot like any other: that it is the right one is the journal's to know.
      const isSound = isRestored || machine.stateHash() === before
      expect(isSound).toBe(true)
      const copy = new StoreMachine({ sessionsMax })
      copy.restore(machine.snapshot())
      expect(everything(copy)).toEqual(everything(machine))
    }),
  )
})

test('ST7: a snapshot that is cut off anywhere, or goes on, is refused', () => {
  fc.assert(
    fc.property(commands, (list) => {
      const bytes = machineAfter(list).snapshot()
      const machine = new StoreMachine({ sessionsMax })
      for (let size = 0; size < bytes.length; size++) {
        expect(didRestore(machine, bytes.subarray(0, size))).toBe(false)
      }
      expect(didRestore(machine, Uint8Array.of(...bytes, 0))).toBe(false)
    }),
    { numRuns: 30 },
  )
})

function didRestore(machine: StoreMachine, bytes: Uint8Array): boolean {
  try {
    machine.restore(bytes)
    return true
  } catch (error) {
    if (error instanceof SnapshotMalformed) return false
    throw error
  }
}

test('ST7: bytes that are no command change nothing, and every replica says so', () => {
  fc.assert(
    fc.property(commands, fc.uint8Array({ maxLength: 60 }), (list, bytes) => {
      fc.pre(!isCommand(bytes) && !isNewerCommand(bytes))
      const machine = machineAfter(list)
      const before = machine.stateHash()

      expect(machine.apply(bytes)).toMatchObject({ succeeded: false, rejection: 'malformed' })

      expect(machine.stateHash()).toBe(before)
    }),
  )
})

function isCommand(bytes: Uint8Array): boolean {
  try {
    decodeCommand(bytes)
    return true
  } catch (error) {
    if (error instanceof BytesMalformed || error instanceof CommandNewer) return false
    throw error
  }
}

test('ST7: no bytes of a known format make it throw', () => {
  fc.assert(
    fc.property(anyCommand, fc.nat(), fc.integer({ min: 1, max: 255 }), (command, at, flip) => {
      const bytes = encodeCommand(command)
      bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ flip
      fc.pre(!isNewerCommand(bytes))
      const [one, other] = [new StoreMachine(), new StoreMachine()]

      expect(one.apply(bytes)).toEqual(other.apply(bytes))
      const copy = new StoreMachine()
      copy.restore(one.snapshot())
      expect(copy.stateHash()).toBe(one.stateHash())
    }),
    { numRuns: 500 },
  )
})

test('a command comes back from its bytes as it was, and is refused when it is cut off', () => {
  fc.assert(
    fc.property(anyCommand, (command) => {
      const bytes = encodeCommand(command)
      expect(decodeCommand(bytes)).toEqual(command)
      for (let size = 0; size < bytes.length; size++) {
        expect(isCommand(bytes.subarray(0, size))).toBe(false)
      }
    }),
  )
})

test('ST1: keys are in the order of their UTF-8 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})

test('ST1: pages put together are the whole list, however many keys there are', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }), {
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 7 }),
      (names, limit) => {
        const machine = new StoreMachine()
        for (const name of names) {
          const put = { do: 'put', key: `k/${name}`, value: new Uint8Array() } as const
          machine.apply(encodeCommand({ nowMs: 0, compare: [], success: [put] }))
        }
        const paged: string[] = []
        for (let after: string | undefined; ; after = paged.at(-1)) {
          const page = machine.list('k/', { limit, ...(after === undefined ? {} : { after }) })
          paged.push(...page.kvs.map(({ key }) => key))
          if (!page.more) break
        }
        expect(paged).toEqual(machine.list('k/').kvs.map(({ key }) => key))
        expect(paged).toHaveLength(names.length)
      },
    ),
  )
})

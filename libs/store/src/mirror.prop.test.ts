import { utf8 } from '@conclave/kernel'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeCommand } from './command.ts'
import { Compacted, RevisionAhead } from './errors.ts'
import { Mirror, type MirrorChange } from './mirror.ts'
import { StoreMachine } from './store.ts'
import { anyCommand } from './testing/arbitrary-command.ts'
import type { KeyValue, WatchBatch, WatchEvent } from './view.ts'

/** As if others changed something twice between any two revisions of ours. */
const there = (revision: number): number => 3 * revision

const spread = (kv: KeyValue): KeyValue => ({
  ...kv,
  createRevision: there(kv.createRevision),
  modRevision: there(kv.modRevision),
})

const spreadEvent = (event: WatchEvent): WatchEvent => ({
  ...event,
  ...(event.type === 'put' && { kv: spread(event.kv) }),
  ...(event.previous && { previous: spread(event.previous) }),
})

const changeOf = (event: WatchEvent): MirrorChange =>
  event.type === 'put' ? { type: 'put', kv: spread(event.kv) } : { type: 'delete', key: event.key }

test('ST10: fed with what a store changes, it looks as that store at every revision, and between them', () => {
  fc.assert(
    fc.property(
      fc.array(anyCommand, { maxLength: 40 }),
      fc.nat({ max: 40 }),
      fc.nat({ max: 40 }),
      (commands, begin, forget) => {
        const machine = new StoreMachine()
        const mirror = new Mirror()
        const told: WatchBatch[] = []
        const wanted: WatchBatch[] = []
        let base = 0
        for (const [at, command] of commands.entries()) {
          if (at === begin) {
            base = machine.revision
            mirror.become(there(base), machine.list('').kvs.map(spread))
            mirror.onBatch((batch) => told.push(batch))
            machine.onBatch(({ revision, events }) => {
              mirror.apply(there(revision), events.map(changeOf).toReversed())
              mirror.apply(there(revision) + 1, [])
              wanted.push({ revision: there(revision), events: events.map(spreadEvent) })
            })
          }
          // The machine's own history is the measure here, so it keeps it.
          const { success, failure = [] } = command
          if ([...success, ...failure].some((op) => op.do === 'compact')) continue
          machine.apply(encodeCommand(command))
        }
        if (commands.length <= begin) return
        if (forget >= base && forget <= machine.revision) {
          mirror.compact(there(forget))
          base = forget
        }

        expect(told).toEqual(wanted)
        for (let revision = base; revision <= machine.revision; revision++) {
          const kvs = machine.list('', { at: revision }).kvs.map(spread)
          expect(mirror.list('', { at: there(revision) }).kvs).toEqual(kvs)
          const between = Math.min(there(revision) + 1, mirror.revision)
          expect(mirror.viewAt(between).list('').kvs).toEqual(kvs)
          for (const kv of kvs) {
            expect(mirror.get(kv.key, there(revision))).toEqual(kv)
            expect(mirror.viewAt(between).modRevision(kv.key)).toBe(kv.modRevision)
          }
        }
        for (const key of ['', 'a', 'b', ...machine.list('').kvs.map((kept) => kept.key)]) {
          expect(mirror.modRevision(key)).toBe(there(machine.modRevision(key)))
        }
        expect(() => mirror.get('a', there(base) - 1)).toThrow(Compacted)
        expect(() => mirror.get('a', mirror.revision + 1)).toThrow(RevisionAhead)
      },
    ),
    { numRuns: 300 },
  )
})

const kv = (key: string, modRevision: number): KeyValue => ({
  key,
  value: utf8(`${key} at ${modRevision}`),
  createRevision: modRevision,
  modRevision,
  version: 1,
})

describe('ST10: a mirror', () => {
  test('tells that all may have changed when it begins anew, and forgets what was before', () => {
    const mirror = new Mirror()
    const told: number[] = []
    mirror.onRestore((revision) => told.push(revision))
    mirror.become(10, [kv('b', 3), kv('a', 7)])
    mirror.apply(12, [{ type: 'put', kv: kv('c', 12) }])

    mirror.become(40, [kv('d', 20)])

    expect(told).toEqual([10, 40])
    expect(mirror.list('').kvs.map(({ key }) => key)).toEqual(['d'])
    expect(() => mirror.list('', { at: 12 })).toThrow(Compacted)
  })

  test('lists pages behind a key, and keys without their values', () => {
    const mirror = new Mirror()
    mirror.become(
      10,
      ['c', 'a/2', 'a/1', 'a/3', 'b'].map((key) => kv(key, 5)),
    )

    const first = mirror.list('a/', { limit: 2, keysOnly: true })
    expect(first).toMatchObject({ more: true, revision: 10 })
    expect(first.kvs.map(({ key, value }) => [key, value.length])).toEqual([
      ['a/1', 0],
      ['a/2', 0],
    ])
    const rest = mirror.list('a/', { limit: 2, after: 'a/2' })
    expect(rest).toMatchObject({ more: false, kvs: [{ key: 'a/3' }] })
  })

  test('says what is gone where the state is kept apart from what it cannot read itself', () => {
    const mirror = new Mirror()
    mirror.become(10, [])
    expect(mirror.compactRevision).toBe(0)

    mirror.compact(4)

    expect(mirror.compactRevision).toBe(4)
    expect(() => mirror.get('a', 9)).toThrow(Compacted)
    expect(mirror.get('a', 10)).toBeUndefined()
  })
})

import { utf8, utf8Text } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { beginAnew, type LogLeft } from './begin-anew.ts'
import { decodeConfChange, encodeConfChange } from './codec.ts'
import { confChange, type ConfChangeType } from './conf-change.ts'
import type { ConfState, Entry } from './entry.ts'
import { allMembers } from './membership.ts'
import { message } from './message.ts'
import { RawNode } from './raw-node.ts'
import { MemoryStorage, foundingSnapshot } from './storage.ts'

/** What is left of a member, started again as its disk has it, and driven until nothing more follows. */
function started(self: number, { hardState, snapshot, entries }: LogLeft) {
  const storage = new MemoryStorage()
  if (snapshot !== undefined) storage.applySnapshot(snapshot)
  storage.append(entries)
  if (hardState !== undefined) storage.setHardState(hardState)
  const applied: Entry[] = []
  let [, config]: readonly [unknown, ConfState] = storage.initialState()
  const node = new RawNode({ id: self, storage, random: new SeededRandom(1), preVote: true })
  const settle = (): void => {
    while (node.hasReady()) {
      const ready = node.ready()
      if (ready.hardState !== undefined) storage.setHardState(ready.hardState)
      storage.append(ready.entries)
      for (const entry of ready.committedEntries) {
        applied.push(entry)
        if (entry.type !== 'EntryNormal')
          config = node.applyConfChange(decodeConfChange(entry.data))
      }
      node.advance()
    }
  }
  settle()
  for (let ticks = 0; ticks < 50; ticks++) {
    node.tick()
    settle()
  }
  const texts = applied
    .filter(({ type, data }) => type === 'EntryNormal' && data.length > 0)
    .map(({ data }) => utf8Text(data))
  return { node, config, texts, settle, role: node.basicStatus().softState.state }
}

const change = (type: ConfChangeType, nodeId: number, index: number, term: number): Entry => ({
  type: 'EntryConfChangeV2',
  index,
  term,
  data: encodeConfChange(confChange([{ type, nodeId }])),
})

function anew(self: number, log: LogLeft): LogLeft {
  const batch = beginAnew(self, log)
  if (batch === undefined) throw new Error('it cannot go on')
  return { ...log, hardState: batch.hardState, entries: [...log.entries, ...batch.entries] }
}

describe('RF15: a member that has lost the others for good', () => {
  test('leads a group of its own, with every entry that it has', () => {
    fc.assert(
      fc.property(
        fc.record({
          voters: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 2, maxLength: 5 }),
          terms: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 8 }),
          committed: fc.nat({ max: 8 }),
          learners: fc.array(fc.integer({ min: 8, max: 9 }), { maxLength: 2 }),
          self: fc.nat(),
          times: fc.integer({ min: 1, max: 3 }),
        }),
        ({ voters, terms, committed, learners, self: at, times }) => {
          const snapshot = foundingSnapshot(voters)
          let term = 1
          const texts = terms.map((by, index): Entry => {
            term += by
            return { type: 'EntryNormal', index: 2 + index, term, data: utf8(`entry ${index}`) }
          })
          const entries = [
            ...texts,
            ...learners.map((nodeId, index) =>
              change('ConfChangeAddLearnerNode', nodeId, 2 + texts.length + index, term),
            ),
          ]
          // A learner among them, too.
          const everybody = [...voters, ...learners]
          const self = everybody[at % everybody.length] ?? 1
          const commit = 1 + Math.min(committed, entries.length)
          let log: LogLeft = { snapshot, entries, hardState: { term: term + 1, vote: 0, commit } }
          for (let time = 0; time < times; time++) log = anew(self, log)

          const after = started(self, log)
          expect(after.role).toBe('StateLeader')
          expect(allMembers(after.config)).toEqual([self])
          expect(after.texts).toEqual(texts.map(({ data }) => utf8Text(data)))
        },
      ),
    )
  })

  test('comes up as that group again, in a term that none of the others had', () => {
    const snapshot = foundingSnapshot([1, 2, 3])
    const entries: Entry[] = [{ type: 'EntryNormal', index: 2, term: 4, data: utf8('kept') }]
    const log = anew(3, { snapshot, entries, hardState: { term: 6, vote: 1, commit: 1 } })
    expect(log.hardState).toEqual({ term: 7, vote: 3, commit: log.entries.length + 1 })
    expect(log.entries.slice(1).every(({ term }) => term === 7)).toBe(true)
    const { node, settle } = started(3, log)
    // One of the others, which was elected by nobody it knows.
    node.step(message({ type: 'MsgVote', to: 3, from: 1, term: 7, index: 9, logTerm: 6 }))
    settle()
    expect(node.basicStatus().softState.state).toBe('StateLeader')
  })

  test('has nothing to go on with where it was never let in, or two change at once', () => {
    expect(beginAnew(4, { entries: [] })).toBeUndefined()
    const { meta } = foundingSnapshot([1, 2])
    const joint = { ...meta, confState: { ...meta.confState, votersOutgoing: [1, 3] } }
    expect(beginAnew(1, { snapshot: { meta: joint }, entries: [] })).toBeUndefined()
    const two = confChange([
      { type: 'ConfChangeAddNode', nodeId: 3 },
      { type: 'ConfChangeRemoveNode', nodeId: 2 },
    ])
    const data = encodeConfChange(two)
    const entries: Entry[] = [{ type: 'EntryConfChangeV2', index: 2, term: 1, data }]
    expect(beginAnew(1, { snapshot: { meta }, entries })).toBeUndefined()
  })
})

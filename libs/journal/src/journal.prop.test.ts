import type { Entry, HardState } from '@conclave/raft'
import { SeededRandom } from '@conclave/testkit'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Journal } from './journal.ts'
import type { Recovered } from './recovery.ts'
import { directory, entry, key, open, saveSnapshot, snapshotAt } from './testing/journal-fixture.ts'
import { SimulatedDisk } from './testing/simulated-disk.ts'

/** What a journal promised, and what it may hold beyond that. */
interface State {
  readonly hardState: HardState | undefined
  readonly entries: readonly Entry[]
  readonly snapshotIndex: number
}

const nothing: State = { hardState: undefined, entries: [], snapshotIndex: 0 }

/**
 * One thing that a member asks of its journal, and a number: of entries, or of how far back from the
 * end it reaches. `replace` is the snapshot of a leader whose log does not agree with this one.
 */
type Demand = [
  what: 'append' | 'overwrite' | 'snapshot' | 'replace' | 'hard-state' | 'rotate',
  number: number,
]

const demand: fc.Arbitrary<Demand> = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(fc.constant('append'), fc.integer({ min: 1, max: 4 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('overwrite'), fc.integer({ min: 1, max: 3 })) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('snapshot'), fc.integer({ min: 0, max: 5 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('replace'), fc.integer({ min: -3, max: 3 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('hard-state'), fc.constant(0)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('rotate'), fc.constant(0)) },
)

/** Asks one thing after another, and remembers every state that was asked for and the last acknowledged. */
class Member {
  readonly disk: SimulatedDisk
  readonly #journal: Journal
  readonly #keys: { newest: number }
  readonly states: State[]
  acknowledged = 0
  #term: number

  constructor(disk: SimulatedDisk, journal: Journal, state: State, keys: { newest: number }) {
    this.disk = disk
    this.#journal = journal
    this.states = [state]
    this.#keys = keys
    this.#term = Math.max(1, state.hardState?.term ?? 1, state.entries.at(-1)?.term ?? 1)
  }

  async carryOut(demands: readonly Demand[]): Promise<void> {
    for (const one of demands) {
      await this.#demand(one)
      this.acknowledged = this.states.length - 1
    }
  }

  get #now(): State {
    return this.states.at(-1) ?? nothing
  }

  get #last(): number {
    return this.#now.entries.at(-1)?.index ?? Math.max(1, this.#now.snapshotIndex)
  }

  async #demand([what, number]: Demand): Promise<void> {
    const now = this.#now
    switch (what) {
      case 'append': {
        const first = this.#last + 1
        const text = 'x'.repeat((first * 337) % 900)
        const added = Array.from({ length: number }, (_, at) => entry(first + at, text, this.#term))
        this.states.push({ ...now, entries: [...now.entries, ...added] })
        await this.#journal.append({ entries: added })
        break
      }
      case 'overwrite': {
        this.#term++
        const from = Math.max(now.snapshotIndex, 1, this.#last - number) + 1
        const added = [entry(from, 'of another leader', this.#term)]
        const hardState = { term: this.#term, vote: 0, commit: now.snapshotIndex }
        const kept = now.entries.filter(({ index }) => index < from)
        this.states.push({ ...now, hardState, entries: [...kept, ...added] })
        await this.#journal.append({ hardState, entries: added })
        break
      }
      case 'hard-state': {
        this.#term++
        const hardState = { term: this.#term, vote: 2, commit: now.snapshotIndex }
        this.states.push({ ...now, hardState })
        await this.#journal.append({ hardState, entries: [] })
        break
      }
      case 'snapshot': {
        const { snapshotIndex: before, entries } = now
        const at = entries.findLast(({ index }) => index <= this.#last - number)
        if (at === undefined || at.index <= before) return
        this.states.push({ ...now, snapshotIndex: at.index })
        await saveSnapshot(this.#journal, snapshotAt(at.index, undefined, at.term))
        break
      }
      case 'replace': {
        const index = Math.max(now.snapshotIndex + 1, 2, this.#last + number)
        const term = ++this.#term
        const hardState = { term, vote: 0, commit: index }
        this.states.push({ hardState, entries: [], snapshotIndex: index })
        await saveSnapshot(this.#journal, snapshotAt(index, 'theirs', term))
        break
      }
      case 'rotate': {
        const id = ++this.#keys.newest
        await this.#journal.rotateKey({ id, bytes: key(id) })
        break
      }
    }
  }
}

const openWithKeys = (disk: SimulatedDisk, newest: number) =>
  open(disk, {
    key: key(newest),
    keyId: newest,
    olderKeys: Array.from({ length: newest - 1 }, (_, at) => ({ id: at + 1, bytes: key(at + 1) })),
  })

/** A snapshot raises the term to its own, in which nobody was voted for yet. */
function voteOf(
  { hardState }: State,
  { snapshot }: Recovered,
): { term: number; vote: number } | undefined {
  const term = snapshot?.meta.term ?? 0
  return term > (hardState?.term ?? 0) ? { term, vote: 0 } : hardState
}

/** Which of `states` this is, as it would be read back. */
function oneOf(recovered: Recovered, states: readonly State[]): State | undefined {
  const index = recovered.snapshot?.meta.index ?? 0
  const { hardState } = recovered
  return states.find(
    (state) =>
      state.snapshotIndex >= index &&
      sameEntries(
        recovered.entries,
        state.entries.filter((one) => one.index > index),
      ) &&
      hardState?.term === voteOf(state, recovered)?.term &&
      hardState?.vote === voteOf(state, recovered)?.vote,
  )
}

const sameEntries = (a: readonly Entry[], b: readonly Entry[]): boolean =>
  a.length === b.length &&
  a.every((one, at) => {
    const other = b[at]
    return (
      other !== undefined &&
      one.index === other.index &&
      one.term === other.term &&
      Buffer.compare(one.data, other.data) === 0
    )
  })

const ignore = (): undefined => undefined

test('J1, J4, J12: whatever the moment of a power cut, all that was acknowledged is recovered, and what was asked for after it as far as it goes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          demands: fc.array(demand, { minLength: 1, maxLength: 12 }),
          cutAfter: fc.integer({ min: 0, max: 60 }),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      fc.integer(),
      async (lives, seed) => {
        const random = new SeededRandom(seed)
        const keys = { newest: 1 }
        let disk = new SimulatedDisk()
        let state = nothing
        for (const { demands, cutAfter } of lives) {
          const { journal } = await openWithKeys(disk, keys.newest)
          const member = new Member(disk, journal, state, keys)
          disk.cutPowerAfter(cutAfter)
          await member.carryOut(demands).catch(ignore)
          // A rotation that was cut off may or may not have happened; both keys are at hand.
          disk = disk.crash(random)
          const { recovered } = await openWithKeys(disk.copy(), keys.newest)
          const found = oneOf(recovered, member.states.slice(member.acknowledged))
          expect(
            found,
            'a state that was asked for, and not before what was acknowledged',
          ).toBeDefined()
          state = found ?? nothing
        }
      },
    ),
    { numRuns: 300 },
  )
})

/** Runs `scenario` once with the power on, then again with a cut after each of its steps. */
async function atEveryStep(
  prepare: (disk: SimulatedDisk) => Promise<Journal>,
  scenario: (journal: Journal) => Promise<void>,
  check: (disk: SimulatedDisk, isDone: boolean) => Promise<void>,
): Promise<number> {
  for (let cutAfter = 0; ; cutAfter++) {
    for (let seed = 0; seed < 8; seed++) {
      const disk = new SimulatedDisk()
      const journal = await prepare(disk)
      disk.cutPowerAfter(cutAfter)
      const isDone = await scenario(journal).then(
        () => true,
        () => false,
      )
      await check(disk.crash(seed === 0 ? undefined : new SeededRandom(seed)), isDone)
      if (isDone && seed === 7) return cutAfter
    }
  }
}

test('J9: a crash at any step of saving a snapshot leaves the old state or the new one', async () => {
  const stepCount = await atEveryStep(
    async (disk) => {
      const { journal } = await open(disk)
      for (let index = 2; index < 30; index++) {
        await journal.append({ entries: [entry(index, 'x'.repeat(300))] })
      }
      await saveSnapshot(journal, snapshotAt(10))
      return journal
    },
    (journal) => saveSnapshot(journal, snapshotAt(25)),
    async (disk, isDone) => {
      const { recovered } = await open(disk)
      const index = recovered.snapshot?.meta.index ?? 0
      expect(isDone ? [25] : [10, 25]).toContain(index)
      expect(recovered.entries.map((one) => one.index)).toEqual(
        Array.from({ length: 29 - index }, (_, at) => index + 1 + at),
      )
    },
  )

  expect(stepCount).toBeGreaterThan(8)
})

test('J9: a crash at any step of replacing the log by the snapshot of a leader leaves one of the two', async () => {
  await atEveryStep(
    async (disk) => {
      const { journal } = await open(disk)
      await journal.append({ entries: [entry(2), entry(3)] })
      return journal
    },
    (journal) => saveSnapshot(journal, snapshotAt(50, 'theirs', 4)),
    async (disk, isDone) => {
      const { recovered } = await open(disk)
      const isNew = recovered.snapshot !== undefined
      expect(isNew || !isDone).toBe(true)
      expect(recovered.entries).toHaveLength(isNew ? 0 : 2)
      expect(recovered.hardState?.term ?? 0).toBe(isNew ? 4 : 0)
    },
  )
})

test('J11: a crash at any step of a key rotation leaves a journal that the two keys open', async () => {
  await atEveryStep(
    async (disk) => {
      const { journal } = await open(disk)
      await journal.append({ entries: [entry(2)] })
      return journal
    },
    async (journal) => {
      await journal.rotateKey({ id: 2, bytes: key(2) })
      await journal.append({ entries: [entry(3)] })
    },
    async (disk, isDone) => {
      const { recovered } = await open(disk, {
        key: key(2),
        keyId: 2,
        olderKeys: [{ id: 1, bytes: key() }],
      })
      expect(recovered.entries.length).toBeGreaterThanOrEqual(isDone ? 2 : 1)
    },
  )
})

async function diskWithTornTail(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  const { journal } = await open(disk)
  await journal.append({ entries: [entry(2)] })
  await journal.append({ entries: [entry(3)] })
  const left = disk.crash()
  const path = left.paths().find((one) => one.endsWith('.wal')) ?? directory
  const bytes = left.bytes(path)
  const end = bytes.findLastIndex((byte) => byte !== 0)
  left.overwrite(path, bytes.fill(0, end - 20))
  return left
}

test('J12: a crash at any step of a recovery that cuts a torn tail recovers the same', async () => {
  for (let cutAfter = 0; cutAfter < 12; cutAfter++) {
    const disk = await diskWithTornTail()
    disk.cutPowerAfter(cutAfter)
    await open(disk).catch(ignore)
    const { recovered } = await open(disk.crash(new SeededRandom(cutAfter)))
    expect(recovered.entries, `cut after ${cutAfter}`).toEqual([entry(2)])
  }
})

import { SeededRandom } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { OutcomeUnknown, Unavailable } from './master/errors.ts'
import { ReplicaGroup, type GroupMember } from './testing/replica-group.ts'

/** What became of the writes, as their callers were told. */
interface Told {
  readonly acknowledged: Set<string>
  readonly refused: Set<string>
  readCount: number
}

/** A group whose messages are lost, doubled and reordered, whose disks lag and whose members crash. */
class IllTreatedGroup {
  readonly group: ReplicaGroup
  readonly told: Told = { acknowledged: new Set(), refused: new Set(), readCount: 0 }
  readonly broken: string[] = []
  readonly #random: SeededRandom
  #writeCount = 0

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.group = new ReplicaGroup(3, {
      deadlineTicks: 60,
      snapshotEntries: 15,
      trailingEntries: 3,
      snapshotSendTicks: 30,
      snapshotChunkBytes: 60,
      snapshotWindow: 3,
      proposalsMax: 8,
    })
  }

  async act(): Promise<void> {
    const member = this.group.member(this.#random.below(3) + 1)
    const dice = this.#random.below(1000)
    if (dice < 300) this.#transport()
    else if (dice < 600) member.work()
    else if (dice < 780) this.#tick(member)
    else if (dice < 880) void this.#write(member)
    else if (dice < 940) void this.#read(member)
    else if (dice < 955) member.journal.hold()
    else if (dice < 980) member.journal.release()
    else if (dice < 985) member.crash()
    else if (dice < 993) this.#restart(member)
    else if (dice < 996) this.group.cut(member)
    else this.group.heal()
    await Promise.resolve()
  }

  /** Everybody comes back, and the network is whole. */
  async recover(): Promise<void> {
    const { group } = this
    group.heal()
    for (const member of group.members) {
      member.journal.release()
      this.#restart(member)
    }
    await group.tick(120)
  }

  #tick(member: GroupMember): void {
    this.group.clock.advance(50)
    if (member.isUp) member.replica.tick()
  }

  #restart(member: GroupMember): void {
    if (!member.isUp) member.restart()
  }

  #transport(): void {
    const { inFlight } = this.group
    const at = this.#random.below(Math.max(1, inFlight.length))
    const envelope = inFlight[at]
    if (envelope === undefined) return
    const dice = this.#random.below(100)
    if (dice < 6) inFlight.splice(at, 1)
    else {
      if (dice < 12) inFlight.push(envelope)
      this.group.deliver(at)
    }
  }

  async #write(member: GroupMember): Promise<void> {
    if (!member.isUp) return
    const key = `k${++this.#writeCount}`
    try {
      const { responses } = await member.put(key)
      this.told.acknowledged.add(key)
      if (responses[0] !== 1) this.broken.push(`${key} was applied more than once`)
    } catch (error) {
      if (error instanceof Unavailable) this.told.refused.add(key)
      else if (!(error instanceof OutcomeUnknown)) this.broken.push(String(error))
    }
  }

  /** A read that is confirmed sees all that anybody was told of before it was asked for. */
  async #read(member: GroupMember): Promise<void> {
    if (!member.isUp) return
    const { store } = member
    const before = [...this.told.acknowledged]
    try {
      await member.replica.linearize()
      this.told.readCount++
      const missing = before.filter((key) => store.get(key) === undefined)
      if (missing.length > 0) this.broken.push(`a read missed ${missing.join(' ')}`)
    } catch (error) {
      if (!(error instanceof Unavailable)) this.broken.push(String(error))
    }
  }
}

const seedFrom = Number(process.env['SEED'] ?? 1)
const seedCount = Number(process.env['SEEDS'] ?? 15)
const seeds = Array.from({ length: seedCount }, (_, at) => seedFrom + at)

test('R1, R2: whatever happens, acknowledged writes stay, refused ones never happen, none happens twice, and reads see what was acknowledged', async () => {
  let acknowledgedCount = 0
  let readCount = 0
  for (const seed of seeds) {
    const chaos = new IllTreatedGroup(seed)
    for (let acted = 0; acted < 6000; acted++) await chaos.act()
    await chaos.recover()

    const { group, told, broken } = chaos
    const { store } = group.member(1)
    const keys = store.list('').kvs
    const present = new Set(keys.map(({ key }) => key))
    const after = {
      broken,
      stateCount: new Set(group.members.map((member) => member.store.stateHash())).size,
      lost: [...told.acknowledged].filter((key) => !present.has(key)),
      unwanted: [...told.refused].filter((key) => present.has(key)),
      doubled: keys.filter(({ version }) => version !== 1).map(({ key }) => key),
    }
    expect({ seed, ...after }).toEqual({
      seed,
      broken: [],
      stateCount: 1,
      lost: [],
      unwanted: [],
      doubled: [],
    })
    acknowledgedCount += told.acknowledged.size
    readCount += told.readCount
  }
  // A schedule in which nothing happens would prove nothing.
  expect(acknowledgedCount).toBeGreaterThan(seedCount * 20)
  expect(readCount).toBeGreaterThan(seedCount * 20)
}, 120_000)

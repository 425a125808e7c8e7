import { memberHunters } from './member-hunters.ts'
import type { Dice } from './dice.ts'
import type { Planned } from './fault.ts'
import type { Setting } from './setting.ts'

/** A schedule that random faults find too seldom: it goes after one class of mistakes. */
interface Hunt {
  /** What it does from `atMs` on. */
  readonly plan: (dice: Dice, atMs: number) => readonly Planned[]
  /** How long it takes until the next one can begin. */
  readonly tookMs: number
  /** What its prey is caught in best, when a run has no other hunts. */
  readonly setting?: Partial<Setting>
}

export const hunters = {
  ...memberHunters,
  /** A record is durable, and nobody was told: after the restart it must count, and only once. */
  'between-append-and-ack': {
    tookMs: 1000,
    plan: (dice, atMs) => {
      const when = dice.pick(['synced', 'written', 'writing'] as const)
      const downMs = dice.between(100, 800)
      return [
        { atMs, do: 'crash', who: 'leader', when, power: true, downMs },
        { atMs, do: 'crash', who: 'follower', when: 'synced', power: true, downMs },
      ]
    },
  },
  /** A leader that nobody answers must answer nobody: no stale read, no lost write. */
  'leader-alone': {
    tookMs: 1500,
    setting: { thinkUs: 50_000, keys: 1 },
    plan: (dice, atMs) => [
      {
        atMs,
        do: 'cut',
        who: 'leader',
        way: dice.pick(['both', 'in', 'out'] as const),
        forMs: dice.between(800, 3_000),
      },
      {
        atMs: atMs + dice.between(0, 500),
        do: 'clock',
        who: 'leader',
        jumpMs: 0,
        driftPermille: 300,
      },
    ],
  },
  /** A leader sleeps through its own deposition, and wakes up with questions waiting. */
  'frozen-leader': {
    tookMs: 1500,
    setting: { thinkUs: 50_000, keys: 1 },
    plan: (dice, atMs) => [{ atMs, do: 'pause', who: 'leader', forMs: dice.between(700, 2_500) }],
  },
  /** A follower falls so far behind that it needs a snapshot, and dies while it is saved. */
  'snapshot-race': {
    tookMs: 2500,
    setting: { snapshotEntries: 8, trailingEntries: 1, thinkUs: 50_000 },
    plan: (dice, atMs) => {
      const who = dice.between(1, 3)
      return [
        { atMs, do: 'cut', who, way: 'both', forMs: 2_000 },
        { atMs: atMs + 1_900, do: 'crash', who, when: 'saving', power: true, downMs: 200 },
        {
          atMs: atMs + dice.between(1_900, 2_300),
          do: 'crash',
          who: 'leader',
          when: dice.pick(['saving', 'now'] as const),
          power: dice.permille(500),
          downMs: 300,
        },
      ]
    },
  },
  /**
   * A leader writes what nobody else hears of, and more than the others do, until it is sent a snapshot that
   * stands for what they agreed on; it dies when its log says so, and what was replaced is still on its disk.
   */
  'replaced-log': {
    tookMs: 3000,
    setting: {
      members: 3,
      snapshotEntries: 8,
      trailingEntries: 1,
      thinkUs: 50_000,
      proposalsMax: 64,
    },
    plan: (dice, atMs) => [
      { atMs, do: 'crash', who: 'leader', when: 'marking', power: dice.permille(700), downMs: 200 },
      { atMs, do: 'cut', who: 'leader', way: 'both', forMs: dice.between(1_200, 2_200) },
      { atMs, do: 'burst', who: 'leader', count: 60 },
    ],
  },
  /** So many clients come by that some must be forgotten: those that were silent longest, and nobody else. */
  'many-clients': {
    tookMs: 1200,
    // Nothing else goes wrong: who waits for an answer for long may be forgotten meanwhile.
    setting: { thinkUs: 50_000, stubbornPermille: 0, sessionsMax: 100, proposalsMax: 64 },
    plan: (_dice, atMs) => [{ atMs, do: 'burst', who: 'leader', count: 45 }],
  },
  /** The process of the leader is killed, and nothing else happens: the others need not wait for silence. */
  'killed-leader': {
    tookMs: 2500,
    setting: { members: 3, thinkUs: 50_000, delayUs: 200, inflightMessages: 256 },
    plan: (_dice, atMs) => [
      { atMs, do: 'crash', who: 'leader', when: 'now', power: false, downMs: 600 },
    ],
  },
  /** A command of a newer build is handed on to a leader, which must leave it alone. */
  'newer-build': {
    tookMs: 1500,
    plan: (dice, atMs) => [
      { atMs, do: 'newer-command', who: 'leader' },
      { atMs: atMs + dice.between(5, 200), do: 'hang-up', who: 'leader' },
      { atMs: atMs + dice.between(300, 900), do: 'newer-command', who: 'leader' },
    ],
  },
  /** Journals go on under new keys, while their machines lose power. */
  'new-keys': {
    tookMs: 1500,
    plan: (dice, atMs) => {
      const who = dice.between(1, 3)
      return [
        { atMs, do: 'new-key', who },
        {
          atMs: atMs + dice.between(0, 3),
          do: 'crash',
          who,
          when: dice.pick(['now', 'written', 'synced', 'writing'] as const),
          power: dice.permille(600),
          downMs: 150,
        },
        { atMs: atMs + 600, do: 'new-key', who: 'leader' },
      ]
    },
  },
  /** A snapshot takes dozens of chunks, and between them the link breaks, and either end dies. */
  'chunk-by-chunk': {
    tookMs: 3500,
    setting: { snapshotEntries: 8, trailingEntries: 1, snapshotChunkBytes: 64, thinkUs: 50_000 },
    plan: (dice, atMs) => {
      const who = dice.between(1, 3)
      const healedAt = atMs + 2_000
      const power = dice.permille(500)
      return [
        { atMs, do: 'cut', who, way: 'both', forMs: 2_000 },
        ...[0, 1, 2].map((turn) => ({
          atMs: healedAt + turn * 150 + dice.between(5, 140),
          do: 'cut' as const,
          who,
          way: dice.pick(['both', 'in', 'out'] as const),
          forMs: dice.between(5, 60),
        })),
        {
          atMs: healedAt + dice.between(0, 300),
          do: 'crash',
          who,
          when: 'saving',
          power,
          downMs: 80,
        },
        {
          atMs: healedAt + dice.between(200, 600),
          do: 'crash',
          who: 'leader',
          when: dice.pick(['now', 'saving'] as const),
          power,
          downMs: 300,
        },
      ]
    },
  },
  /** Power cuts in the middle of writes, and again while the tail is being cut. */
  'torn-tail': {
    tookMs: 1200,
    plan: (dice, atMs) => {
      const who = dice.pick([1, 2, 3, 'leader'] as const)
      return [
        { atMs, do: 'crash', who, when: 'writing', power: true, downMs: 100 },
        { atMs: atMs + 600, do: 'crash', who, when: 'recovering', power: true, downMs: 100 },
        { atMs: atMs + 900, do: 'crash', who, when: 'recovering', power: true, downMs: 100 },
      ]
    },
  },
  /**
   * Raft's Figure 8: two leaders in turn write what nobody else has, and die; a third spreads the entry of
   * the first, which is not committed by that, and dies before it has spread one of its own.
   */
  'figure-8': {
    tookMs: 5500,
    setting: {
      members: 3,
      clients: 5,
      thinkUs: 50_000,
      messageSizeBytes: 0,
      inflightMessages: 1,
    },
    plan: (dice, atMs) => {
      const dies = { do: 'crash', power: true } as const
      const mute = { do: 'cut', way: 'out' } as const
      return [
        { atMs, ...mute, who: 'leader', forMs: 600 },
        { atMs: atMs + 400, ...dies, who: 'leader', when: 'now', downMs: dice.between(500, 800) },
        { atMs: atMs + 401, ...mute, who: 'next-leader', forMs: 300 },
        { atMs: atMs + 401, ...dies, who: 'next-leader', when: 'synced', downMs: 1_800 },
        { atMs: atMs + 402, ...dies, who: 'next-leader', when: 'committing', downMs: 3_000 },
      ]
    },
  },
  /** Each new leader is cut off as soon as it is one, and comes back among the entries of others. */
  'leaders-in-turn': {
    tookMs: 2500,
    plan: (dice, atMs) =>
      [1, 2, 3].map((turn) => ({
        atMs: atMs + turn,
        do: 'cut',
        who: 'next-leader',
        way: dice.pick(['both', 'in', 'out'] as const),
        forMs: dice.between(300, 900),
      })),
  },
} as const satisfies Record<string, Hunt>

export type Hunter = keyof typeof hunters

const names = Object.keys(hunters) as [Hunter, ...Hunter[]]

/** What a run that does nothing else hunts: as many seeds as there are hunters have them all. */
export const hunterOf = (seed: number): Hunter => names[seed % names.length] ?? names[0]

/** One hunt after another, from the first leader on. */
export function huntFor(hunter: Hunter, durationMs: number, dice: Dice): readonly Planned[] {
  const hunt: Hunt = hunters[hunter]
  const planned: Planned[] = []
  let atMs = 1_200 + dice.around(300)
  while (atMs < durationMs) {
    planned.push(...hunt.plan(dice, atMs))
    atMs += hunt.tookMs + dice.around(500)
  }
  return planned
}

/** What a hunter wants the setting to be. */
export const settingFor = (hunter: Hunter): Partial<Setting> => {
  const hunt: Hunt = hunters[hunter]
  return hunt.setting ?? {}
}

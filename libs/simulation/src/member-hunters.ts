import type { Dice } from './dice.ts'
import type { Planned } from './fault.ts'
import type { Setting } from './setting.ts'

const growing: Partial<Setting> = { members: 3, spares: 4, thinkUs: 50_000 }
const join = { do: 'change', who: 'leader', step: 'add-learner', subject: 'new', nth: 0 } as const
const promote = { do: 'change', step: 'promote', subject: 'learner', nth: 0 } as const
const remove = { do: 'change', who: 'leader', step: 'remove' } as const

/** Hunts for mistakes in who counts, and when. */
export const memberHunters = {
  /** The only voter is asked to go: nobody would be left to agree on anything, so it may not. */
  'last-voter': {
    tookMs: 2500,
    setting: { ...growing, members: 1, spares: 1 },
    plan: (dice: Dice, atMs: number): readonly Planned[] => [
      { atMs, ...remove, step: dice.pick(['remove', 'demote'] as const), subject: 'self', nth: 0 },
      { atMs: atMs + 400, ...join },
      {
        atMs: atMs + 1_200,
        ...remove,
        step: dice.pick(['remove', 'demote'] as const),
        subject: 'self',
        nth: 0,
      },
    ],
  },
  /** A member comes in and is promoted while one part does not hear of it. */
  'change-in-a-partition': {
    tookMs: 3500,
    setting: growing,
    plan: (dice: Dice, atMs: number): readonly Planned[] => [
      { atMs, ...join },
      { atMs: atMs + 600, do: 'cut', who: 'follower', way: 'both', forMs: 1_800 },
      { atMs: atMs + 650, ...promote, who: 'leader' },
      {
        atMs: atMs + dice.between(700, 1_200),
        do: 'crash',
        who: 'leader',
        when: 'now',
        power: dice.permille(500),
        downMs: dice.between(300, 2_000),
      },
      { atMs: atMs + 2_500, ...remove, subject: 'voter', nth: dice.below(3) },
    ],
  },
  /** A leader dies right after it has put a change into its log, and the next one as soon as it leads. */
  'leader-dies-changing': {
    tookMs: 3000,
    setting: growing,
    plan: (dice: Dice, atMs: number): readonly Planned[] => {
      const dies = { do: 'crash', power: true, downMs: dice.between(300, 1_200) } as const
      return [
        { atMs, ...join },
        { atMs: atMs + 500, ...promote, who: 'leader' },
        {
          atMs: atMs + 500,
          ...dies,
          who: 'leader',
          when: dice.pick(['written', 'synced', 'now'] as const),
        },
        {
          atMs: atMs + 501,
          ...dies,
          who: 'next-leader',
          when: dice.pick(['leading', 'committing', 'synced'] as const),
        },
        { atMs: atMs + 2_200, ...remove, subject: 'voter', nth: dice.below(3) },
      ]
    },
  },
  /** The leader is removed, or made a learner, and dies before or after it handed over. */
  'leader-leaves': {
    tookMs: 3000,
    setting: growing,
    plan: (dice: Dice, atMs: number): readonly Planned[] => [
      { atMs, ...join },
      { atMs: atMs + 500, ...promote, who: 'leader' },
      {
        atMs: atMs + 1_000,
        ...remove,
        step: dice.pick(['remove', 'demote'] as const),
        subject: 'self',
        nth: 0,
      },
      {
        atMs: atMs + dice.between(1_000, 1_400),
        do: 'crash',
        who: 'leader',
        when: dice.pick(['now', 'synced'] as const),
        power: dice.permille(500),
        downMs: 400,
      },
    ],
  },
  /** Somebody is removed who cannot hear of it, and comes back to stand for election. */
  'removed-unheard': {
    tookMs: 4000,
    setting: growing,
    plan: (dice: Dice, atMs: number): readonly Planned[] => {
      const nth = dice.below(3)
      return [
        { atMs, ...join },
        { atMs: atMs + 500, ...promote, who: 'leader' },
        { atMs: atMs + 900, do: 'cut', who: 'follower', way: 'both', forMs: 1_500 },
        { atMs: atMs + 950, ...remove, subject: 'voter', nth },
        { atMs: atMs + 2_400, do: 'pause', who: 'leader', forMs: dice.between(300, 900) },
        { atMs: atMs + 2_500, do: 'hang-up', who: 'leader' },
      ]
    },
  },
  /**
   * The bug of 2015: a change is in the logs of some and not committed, and whoever leads next is asked
   * for another one at once. With both under way, two majorities need not meet.
   */
  'inherited-change': {
    tookMs: 5500,
    setting: { ...growing, messageSizeBytes: 0, inflightMessages: 1 },
    plan: (dice: Dice, atMs: number): readonly Planned[] => [
      { atMs, ...join },
      { atMs: atMs + 300, ...join },
      // What the leader says takes long; it is heard when it is dead.
      { atMs: atMs + 900, do: 'slow-link', who: 'leader', ms: 120, forMs: 700 },
      { atMs: atMs + 950, ...promote, who: 'leader' },
      {
        atMs: atMs + 950 + dice.between(60, 200),
        do: 'crash',
        who: 'leader',
        when: 'now',
        power: true,
        downMs: 1_500,
      },
      { atMs: atMs + 960, ...promote, who: 'next-leader', nth: 1 },
      {
        atMs: atMs + 960,
        do: 'slow-link',
        who: 'next-leader',
        ms: dice.between(20, 150),
        forMs: 600,
      },
      {
        atMs: atMs + 2_200,
        do: 'cut',
        who: 'leader',
        way: dice.pick(['both', 'out'] as const),
        forMs: 1_500,
      },
    ],
  },
} as const

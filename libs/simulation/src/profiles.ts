import type { FaultKind } from './fault.ts'
import type { Hunter } from './hunters.ts'

export const profileNames = [
  'calm',
  'lossy',
  'crashes',
  'disk',
  'hunters',
  'mixed',
  'members',
] as const
export type ProfileName = (typeof profileNames)[number]

export const isProfileName = (name: string): name is ProfileName =>
  profileNames.some((known) => known === name)

/** What may go wrong in a run, and how often. */
interface Profile {
  /** Of each kind so many shares. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>
  /** Mean time between two faults. */
  readonly faultEveryMs: number
  readonly hunters: readonly Hunter[]
  /** Mean time between two hunts. */
  readonly huntEveryMs: number
  readonly isAboutOneHunter: boolean
  readonly isNetworkBad: boolean
  readonly isDiskSlow: boolean
  /** How many machines there may be that are no members yet. Without any, the members do not change. */
  readonly spares: readonly [number, ...number[]]
  /** How many members found the group. */
  readonly founders: readonly [number, ...number[]]
}

const never = Number.POSITIVE_INFINITY
const quiet: Profile = {
  faults: {},
  faultEveryMs: never,
  hunters: [],
  huntEveryMs: never,
  isAboutOneHunter: false,
  isNetworkBad: false,
  isDiskSlow: false,
  spares: [0],
  founders: [3, 3, 5],
}

export const profiles: Readonly<Record<ProfileName, Profile>> = {
  calm: quiet,
  lossy: {
    ...quiet,
    faults: { cut: 4, split: 3, 'slow-link': 2, pause: 1, transfer: 1 },
    faultEveryMs: 900,
    isNetworkBad: true,
  },
  crashes: {
    ...quiet,
    faults: {
      crash: 8,
      stop: 1,
      pause: 2,
      clock: 1,
      transfer: 1,
      'hang-up': 1,
      'newer-command': 1,
      burst: 1,
    },
    faultEveryMs: 700,
    hunters: ['between-append-and-ack', 'figure-8', 'snapshot-race', 'replaced-log'],
    huntEveryMs: 5_000,
  },
  disk: {
    ...quiet,
    faults: { crash: 4, 'fail-sync': 2, 'full-disk': 2, 'slow-disk': 3, flip: 1, 'new-key': 2 },
    faultEveryMs: 900,
    hunters: ['torn-tail', 'snapshot-race', 'new-keys'],
    huntEveryMs: 4_000,
    isDiskSlow: true,
  },
  /** Each run is about one hunter, which the seed chooses. */
  hunters: { ...quiet, isAboutOneHunter: true },
  mixed: {
    faults: {
      crash: 6,
      stop: 1,
      pause: 2,
      cut: 4,
      split: 2,
      'slow-link': 1,
      'slow-disk': 1,
      'fail-sync': 1,
      'full-disk': 1,
      flip: 1,
      clock: 1,
      transfer: 1,
      'hang-up': 1,
      change: 3,
      'new-key': 1,
      'newer-command': 1,
    },
    faultEveryMs: 700,
    hunters: [
      'between-append-and-ack',
      'leader-alone',
      'snapshot-race',
      'chunk-by-chunk',
      'torn-tail',
      'figure-8',
      'leaders-in-turn',
      'frozen-leader',
      'leader-dies-changing',
      'removed-unheard',
    ],
    huntEveryMs: 5_000,
    isAboutOneHunter: false,
    isNetworkBad: true,
    isDiskSlow: true,
    spares: [0, 0, 2],
    founders: [3, 3, 5],
  },
  members: {
    faults: { change: 12, crash: 4, cut: 2, split: 2, pause: 1, transfer: 1, 'hang-up': 1 },
    faultEveryMs: 500,
    hunters: [
      'change-in-a-partition',
      'leader-dies-changing',
      'leader-leaves',
      'removed-unheard',
      'inherited-change',
    ],
    huntEveryMs: 4_000,
    isAboutOneHunter: false,
    isNetworkBad: true,
    isDiskSlow: false,
    spares: [2, 3, 4],
    founders: [1, 3, 3, 5],
  },
}

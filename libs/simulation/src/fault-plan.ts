import type { Dice } from './dice.ts'
import {
  moments,
  steps,
  ways,
  type Fault,
  type FaultKind,
  type FaultPlan,
  type Planned,
} from './fault.ts'
import { hunters, huntFor, type Hunter } from './hunters.ts'
import { profiles, type ProfileName } from './profiles.ts'

export interface PlanOptions {
  readonly profile: ProfileName
  /** Whose hunts the run is about, beside what the profile says. */
  readonly hunter: Hunter | undefined
  readonly memberCount: number
  readonly durationMs: number
  readonly dice: Dice
}

/** What goes wrong in a run: drawn before it begins, so that it can be printed, kept and made smaller. */
export function drawPlan({
  profile,
  hunter,
  memberCount,
  durationMs,
  dice,
}: PlanOptions): FaultPlan {
  const { faults, faultEveryMs, hunters: hunting, huntEveryMs } = profiles[profile]
  const kinds = Object.entries(faults).flatMap(([kind, shares]) =>
    Array.from({ length: shares }, () => kind as FaultKind),
  )
  const plan: Planned[] = hunter === undefined ? [] : [...huntFor(hunter, durationMs, dice)]
  const [firstKind, ...otherKinds] = kinds
  if (firstKind !== undefined) {
    for (const atMs of times(faultEveryMs, durationMs, dice)) {
      plan.push({ atMs, ...drawFault(dice.pick([firstKind, ...otherKinds]), memberCount, dice) })
    }
  }
  const [firstHunter, ...otherHunters] = hunting
  if (firstHunter !== undefined) {
    for (const atMs of times(huntEveryMs, durationMs, dice)) {
      plan.push(...hunters[dice.pick([firstHunter, ...otherHunters])].plan(dice, atMs))
    }
  }
  return plan.sort((a, b) => a.atMs - b.atMs)
}

/** Not before a first leader had time to be found. */
function times(everyMs: number, untilMs: number, dice: Dice): number[] {
  const found: number[] = []
  for (let atMs = 800 + dice.around(everyMs); atMs < untilMs; atMs += 1 + dice.around(everyMs)) {
    found.push(atMs)
  }
  return found
}

function drawFault(kind: FaultKind, memberCount: number, dice: Dice): Fault {
  const anybody = dice.between(1, memberCount)
  const who = dice.pick([anybody, anybody, 'leader', 'follower'] as const)
  const forMs = 20 + dice.around(800)
  const downMs = 50 + dice.around(600)
  switch (kind) {
    case 'crash':
      return { do: kind, who, when: dice.pick(moments), power: dice.permille(600), downMs }
    case 'stop':
      return { do: kind, who, downMs }
    case 'pause':
    case 'full-disk':
      return { do: kind, who, forMs }
    case 'cut':
      return { do: kind, who, way: dice.pick(ways), forMs: 2 * forMs }
    case 'split':
      return { do: kind, from: anybody, count: dice.between(1, memberCount - 1), forMs: 2 * forMs }
    case 'slow-link':
      return { do: kind, who, ms: dice.between(20, 400), forMs: 2 * forMs }
    case 'slow-disk':
      return { do: kind, who, ms: dice.between(5, 100), forMs: 2 * forMs }
    case 'fail-sync':
      return { do: kind, who }
    case 'flip':
      return { do: kind, who, place: dice.below(1000), downMs }
    case 'hang-up':
    case 'new-key':
      return { do: kind, who }
    case 'newer-command':
      return { do: kind, who: 'leader' }
    case 'burst':
      return { do: kind, who: 'leader', count: dice.between(5, 60) }
    case 'change': {
      const step = dice.pick(steps)
      const subject = subjectOf[step]
      return {
        do: kind,
        who: 'leader',
        step,
        subject: subject === 'voter' && dice.permille(300) ? 'self' : subject,
        nth: dice.below(4),
      }
    }
    case 'clock':
      return {
        do: kind,
        who,
        jumpMs: dice.between(-60_000, 60_000),
        driftPermille: dice.between(-100, 100),
      }
    default:
      return { do: kind, to: anybody }
  }
}

/** Whom such a step is usually about. */
const subjectOf = {
  'add-learner': 'new',
  promote: 'learner',
  demote: 'voter',
  remove: 'voter',
} as const

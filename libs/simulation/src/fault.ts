/**
 * Whom a fault hits: a member, whoever is in this role when the time has come, or whoever becomes leader
 * next, before anybody hears of it. Faults of one time hit the same next leader.
 */
export type Target = number | 'leader' | 'follower' | 'next-leader'

/**
 * When an armed crash strikes: at once, or as soon as its target has written a record, has synced one
 * (and told nobody yet), is in the middle of a write, saves a snapshot, has noted one in its log (and what
 * it replaces is still there), has just become leader, has
 * committed its first entry as one, or recovers.
 */
export const moments = [
  'now',
  'written',
  'synced',
  'writing',
  'saving',
  'marking',
  'leading',
  'committing',
  'recovering',
] as const
export type Moment = (typeof moments)[number]

/** How the members change by one step of one of them. */
export const steps = ['add-learner', 'promote', 'demote', 'remove'] as const
export type Step = (typeof steps)[number]

export const subjects = ['new', 'learner', 'voter', 'self'] as const
/**
 * Whom a change is about: somebody who was never a member, the n-th learner, the n-th voter but for
 * whoever is asked, or whoever is asked.
 */
export type Subject = (typeof subjects)[number]

export const ways = ['both', 'in', 'out'] as const
/** Which messages of a member are cut off: all, those to it, or those from it. */
export type Way = (typeof ways)[number]

/** One thing that goes wrong. Times are in ms of virtual time; places in thousandths. */
export type Fault =
  /** The process ends, or with `power` its whole machine: then unsynced writes survive in part. */
  | {
      readonly do: 'crash'
      readonly who: Target
      readonly when: Moment
      readonly power: boolean
      readonly downMs: number
    }
  | { readonly do: 'stop'; readonly who: Target; readonly downMs: number }
  | { readonly do: 'pause'; readonly who: Target; readonly forMs: number }
  | { readonly do: 'cut'; readonly who: Target; readonly way: Way; readonly forMs: number }
  /** Two halves: the first `count` members counted from `from`, and the rest. */
  | {
      readonly do: 'split'
      readonly from: number
      readonly count: number
      readonly forMs: number
    }
  | { readonly do: 'slow-link'; readonly who: Target; readonly ms: number; readonly forMs: number }
  | { readonly do: 'slow-disk'; readonly who: Target; readonly ms: number; readonly forMs: number }
  | { readonly do: 'fail-sync'; readonly who: Target }
  | { readonly do: 'full-disk'; readonly who: Target; readonly forMs: number }
  /** Its journal is to be sealed under another key from now on. */
  | { readonly do: 'new-key'; readonly who: Target }
  /** A follower of a newer build hands it a command that nobody here knows. */
  | { readonly do: 'newer-command'; readonly who: Target }
  /** While the machine is off, one bit changes in what had been promised long before. */
  | { readonly do: 'flip'; readonly who: Target; readonly place: number; readonly downMs: number }
  | {
      readonly do: 'clock'
      readonly who: Target
      readonly jumpMs: number
      readonly driftPermille: number
    }
  /** So many clients that were never heard of before ask it for something small at once. */
  | { readonly do: 'burst'; readonly who: Target; readonly count: number }
  | { readonly do: 'transfer'; readonly to: number }
  /** Its links break at its end, as if its process had ended; it goes on. */
  | { readonly do: 'hang-up'; readonly who: Target }
  /** An operator asks `who` to change the members. */
  | {
      readonly do: 'change'
      readonly who: Target
      readonly step: Step
      readonly subject: Subject
      readonly nth: number
    }

export const faultKinds = [
  'crash',
  'stop',
  'pause',
  'cut',
  'split',
  'slow-link',
  'slow-disk',
  'fail-sync',
  'full-disk',
  'flip',
  'clock',
  'transfer',
  'hang-up',
  'change',
  'new-key',
  'newer-command',
  'burst',
] as const satisfies readonly Fault['do'][]

export type FaultKind = Fault['do']

export type Planned = Fault & { readonly atMs: number }

/** Everything that goes wrong in one run, by time. */
export type FaultPlan = readonly Planned[]

/** `1200 crash who=leader when=synced power=true downMs=800`: one line of a history file. */
export function formatFault(planned: Planned): string {
  const { atMs, do: kind, ...fields } = planned
  const texts = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`)
  return [String(atMs), kind, ...texts].join(' ')
}

export class FaultMalformed extends Error {}

/** @throws FaultMalformed with what is wrong with the line */
export function parseFault(line: string): Planned {
  const [at = '', kind = '', ...texts] = line.trim().split(/\s+/)
  const fields = new Map(texts.map((text) => [text.split('=')[0] ?? '', text.split('=')[1] ?? '']))
  const no = (what: string): never => {
    throw new FaultMalformed(`${line}: ${what}`)
  }
  const number = (name: string, text = fields.get(name)): number =>
    /^-?\d+$/.test(text ?? '') ? Number(text) : no(`${name} is a whole number`)
  const one = <Name extends string>(name: string, names: readonly Name[]): Name =>
    names.find((known) => known === fields.get(name)) ?? no(`${name} is ${names.join(' or ')}`)
  const target = (): Target => {
    const text = fields.get('who') ?? ''
    return /^\d+$/.test(text)
      ? Number(text)
      : one('who', ['leader', 'follower', 'next-leader'] as const)
  }
  const atMs = number('the time', at)
  switch (kind) {
    case 'crash':
      return {
        atMs,
        do: kind,
        who: target(),
        when: one('when', moments),
        power: one('power', ['true', 'false']) === 'true',
        downMs: number('downMs'),
      }
    case 'stop':
      return { atMs, do: kind, who: target(), downMs: number('downMs') }
    case 'pause':
    case 'full-disk':
      return { atMs, do: kind, who: target(), forMs: number('forMs') }
    case 'cut':
      return { atMs, do: kind, who: target(), way: one('way', ways), forMs: number('forMs') }
    case 'split':
      return {
        atMs,
        do: kind,
        from: number('from'),
        count: number('count'),
        forMs: number('forMs'),
      }
    case 'slow-link':
    case 'slow-disk':
      return { atMs, do: kind, who: target(), ms: number('ms'), forMs: number('forMs') }
    case 'fail-sync':
      return { atMs, do: kind, who: target() }
    case 'flip':
      return { atMs, do: kind, who: target(), place: number('place'), downMs: number('downMs') }
    case 'clock':
      return {
        atMs,
        do: kind,
        who: target(),
        jumpMs: number('jumpMs'),
        driftPermille: number('driftPermille'),
      }
    case 'hang-up':
    case 'new-key':
    case 'newer-command':
      return { atMs, do: kind, who: target() }
    case 'change':
      return {
        atMs,
        do: kind,
        who: target(),
        step: one('step', steps),
        subject: one('subject', subjects),
        nth: number('nth'),
      }
    case 'burst':
      return { atMs, do: kind, who: target(), count: number('count') }
    case 'transfer':
      return { atMs, do: kind, to: number('to') }
    default:
      return no('there is no such fault')
  }
}

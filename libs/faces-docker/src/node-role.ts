import { setTimeout as sleep } from 'node:timers/promises'
import type { Caller, MemberApi } from '@conclave/actors'

const triesMax = 40
const pauseMs = 250
/** What whoever asks meets while leadership is handed on: it is decided, and the next leader does it. */
const passing = [
  'cluster.not-leader',
  'cluster.unavailable',
  'cluster.outcome-unknown',
  'member.busy',
]

/** `leave`: down, and out of the group for good. */
export type RoleChange = 'promote' | 'demote' | 'leave'

/**
 * A master that is made, or is no longer, one that votes. A leader that is demoted hands leadership on first,
 * so whoever asked may find nobody leading for a moment.
 *
 * @param isOver whether this machine is a master no more, so that there is nobody here to ask
 * @throws what the masters refuse it with
 */
export async function changeRole(
  members: MemberApi,
  caller: Caller,
  masterId: string,
  change: RoleChange,
  isOver: () => boolean = () => false,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await members[change](caller, masterId)
      return
    } catch (error) {
      if (change === 'leave' && isOver()) return
      if (tries > 1 && (await isDone(members, caller, masterId, change))) return
      const { code } = error as { code?: unknown }
      if (!passing.includes(String(code)) || tries === triesMax) throw error
      await sleep(pauseMs)
    }
  }
}

async function isDone(
  members: MemberApi,
  caller: Caller,
  masterId: string,
  change: RoleChange,
): Promise<boolean> {
  try {
    const known = (await members.list(caller)).find((one) => one.masterId === masterId)
    if (change === 'leave') return known === undefined
    return known !== undefined && (known.role === 'learner') === (change === 'demote')
  } catch {
    return false
  }
}

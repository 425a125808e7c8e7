import { setTimeout as sleep } from 'node:timers/promises'
import type { Caller, MemberApi } from '@conclave/actors'

const triesMax = 40
const pauseMs = 250
/** What whoever asks meets while leadership is handed on: it is decided, and the next leader does it. */
const passing = ['cluster.not-leader', 'cluster.unavailable', 'cluster.outcome-unknown']

/**
 * A master that is made, or is no longer, one that votes. A leader that is demoted hands leadership on first,
 * so whoever asked may find nobody leading for a moment.
 *
 * @throws what the masters refuse it with
 */
export async function changeRole(
  members: MemberApi,
  caller: Caller,
  masterId: string,
  role: 'manager' | 'worker',
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      if (role === 'worker') await members.demote(caller, masterId)
      else await members.promote(caller, masterId)
      return
    } catch (error) {
      if (tries > 1 && (await isDone(members, caller, masterId, role))) return
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
  role: 'manager' | 'worker',
): Promise<boolean> {
  try {
    const known = (await members.list(caller)).find((one) => one.masterId === masterId)
    return known !== undefined && (known.role === 'learner') === (role === 'worker')
  } catch {
    return false
  }
}
